"""The HTTP API and the web page. Stands on `db` and `core` alone."""
