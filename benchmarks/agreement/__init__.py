"""Random and extreme cases for both implementations, and the comparison of their results."""
