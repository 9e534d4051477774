"""The embedded PostgreSQL server, with real processes."""
