"""What runs on one machine: the embedded PostgreSQL, our own Prefect server, and the stack of `vcfolio up`."""
