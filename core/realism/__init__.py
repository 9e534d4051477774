"""Simulated deals and funds beside published ones: does the model look like the world?"""
