"""What is fitted to a listener by a metric."""
