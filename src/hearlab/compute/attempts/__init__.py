"""What an attempt at a stage's units notes and decides: the unit in flight, why units fail, whether Ray is worth it."""
