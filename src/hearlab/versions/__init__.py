"""What git and DVC know: revisions, dvc.lock, DVC's configuration and cache, and checkouts of a revision."""
