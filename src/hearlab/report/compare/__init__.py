"""Comparing two results pair by pair."""
