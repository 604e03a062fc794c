"""`hearlab plan`: what a run would do, and what it costs."""
