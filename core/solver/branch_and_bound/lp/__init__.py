"""The linear program: a dense tableau and the dual simplex on it, whose conclusions carry certificates."""
