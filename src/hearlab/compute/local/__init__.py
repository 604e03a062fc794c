"""Units in worker processes of this machine."""
