"""Compiled loops of the differentiable metrics, in double precision: what the exact metrics compute, and adjoints."""
