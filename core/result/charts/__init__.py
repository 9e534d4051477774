"""A result drawn: allocation, distribution of the multiple, states of the economy."""
