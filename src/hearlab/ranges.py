"""Ranges of plausible values: codes for "no answer", such as 999 and -999, lie outside."""

SNRS = (-200.0, 200.0)  # dB
SIGNAL_LEVELS = (0.0, 200.0)  # dB SPL of a signal with RMS 1
