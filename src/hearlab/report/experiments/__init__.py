"""Experiments and commits with results, as lists and tables."""
