"""External validation: simulated deals and funds beside published figures."""
