"""Separating songs into vocals, drums, bass and other: Open-Unmix and Hybrid Demucs behind one interface."""

from hearlab.separation.loading import load_separator, weights_files
from hearlab.separation.separator import Separator

__all__ = ["Separator", "load_separator", "weights_files"]
