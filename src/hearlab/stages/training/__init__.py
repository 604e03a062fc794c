"""Stages that learn from the training part of the data."""
