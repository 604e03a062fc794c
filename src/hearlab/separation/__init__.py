"""Separating songs into vocals, drums, bass and other: Open-Unmix and Hybrid Demucs behind one interface."""

from hearlab.separation.loading import MODELS, load_separator, weights_files
from hearlab.separation.separator import Separator

__all__ = ["MODELS", "Separator", "load_separator", "weights_files"]
