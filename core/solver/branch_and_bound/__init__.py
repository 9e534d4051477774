"""The dedicated branch and bound: a compiled dual simplex, cuts, bounds, incumbents and a tree, in the space of x."""
