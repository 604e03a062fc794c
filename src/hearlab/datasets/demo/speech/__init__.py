"""Rooms, heads, talkers and noises of the demo data set."""
