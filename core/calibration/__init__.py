"""From investment history to an immutable snapshot of rates and outcomes."""
