"""What is checked after the solve: the greedy rival, every limit again, fresh scenarios."""
