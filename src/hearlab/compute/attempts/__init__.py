"""What an attempt at a stage's units notes and decides: where they run, in which groups, and why they fail."""
