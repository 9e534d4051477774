"""Prefect flows: the life of a session."""
