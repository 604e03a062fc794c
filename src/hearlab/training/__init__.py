"""Training a hearing aid by the metrics: scenes, crops, losses, and the loop with its checkpoints."""
