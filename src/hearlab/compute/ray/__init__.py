"""Units on Ray: a local one, or the cluster that RAY_ADDRESS names."""
