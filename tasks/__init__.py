"""Prefect tasks: load, one core call, return."""
