"""Data sets of the user's own recordings: found and checked, described in `datasets/NAME`, linked into the layout."""
