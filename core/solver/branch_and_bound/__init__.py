"""The dedicated branch and bound, in the space of x. Each package below imports only those before it.

lp      a dense tableau and the dual simplex
cuts    scenario rows, CVaR cuts, chance cuts, and the linear program with them
bounds  scenarios decided by reduced costs and by optimality-based bound tightening (OBBT)
tree    open nodes, branching, the work at one node
search  one solve: incumbents, bounds at the root, exploration of the tree
"""
