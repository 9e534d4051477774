"""Scenario matrices: the array with its keys, its canonical key, its bytes, reduction, and matrices from outside."""
