"""Postgres: settings, engine, tables, one module per aggregate, migrations, the embedded server."""
