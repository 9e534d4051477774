"""What is checked after the solve: the greedy portfolio, every limit again, scenarios out of sample."""
