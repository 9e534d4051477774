"""Scenario rows, CVaR cuts and chance cuts, and the linear program that gets them where its solution breaks them."""
