"""HearLab: an experiment repository for hearing-aid signal processing."""

__version__ = "0.1.0"
