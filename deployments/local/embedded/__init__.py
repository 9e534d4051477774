"""A PostgreSQL server of the user's own: started on demand, shared by their processes, stopped by the last one."""
