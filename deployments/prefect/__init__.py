"""Our own Prefect server on the embedded PostgreSQL, for those who have none."""
