"""Fitting a hearing aid to an audiogram: linear prescription and compression."""

from hearlab.fitting.compressor import Compressor
from hearlab.fitting.nalr import NalR

__all__ = ["Compressor", "NalR"]
