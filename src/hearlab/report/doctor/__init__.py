"""`hearlab doctor`: what is installed, reachable and complete."""
