"""Compiled inner loops: one place for numba, SIMD lanes, transforms, and random normals."""
