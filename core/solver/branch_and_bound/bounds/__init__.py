"""Which scenarios must not or cannot help losing: by reduced costs, and by one linear program each (OBBT)."""
