"""One solve: incumbents (rounding, local search, ALSO-X), bounds at the root, then the tree."""
