"""Composition roots: the command line and the local services it needs."""
