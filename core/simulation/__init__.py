"""Scenario models: from a canonical key document to a MOIC matrix."""
