"""Many experiments in one go: the points of a grid or of a search, each a DVC experiment."""
