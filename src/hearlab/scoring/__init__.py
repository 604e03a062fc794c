"""The table of tracks and metrics, score tables, their groups and statistics."""
