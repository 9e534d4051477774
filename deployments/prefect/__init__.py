"""Calls to Prefect's server, ours or another."""
