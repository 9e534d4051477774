"""The domain, pure: no I/O, clock, environment, Prefect or SQL. Time, seeds and data come in as arguments."""
