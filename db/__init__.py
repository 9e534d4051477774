"""Postgres: settings, engine, tables, one module per aggregate and migrations. Takes a URL and starts nothing."""
