"""Open nodes, the choice of a branch, and the compiled work at one node."""
