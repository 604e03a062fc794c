"""Sizes and times as people read them."""

from __future__ import annotations


def size_text(count: int) -> str:
    """12 bytes, 3.4 kB, 28.0 GB: decimal units, as disks and download pages count."""
    if count < 1000:
        return f"{count} bytes"
    value = float(count)
    for unit in ("kB", "MB", "GB", "TB"):
        value /= 1000
        if value < 999.95 or unit == "TB":
            break
    return f"{value:.1f} {unit}"


def clock_text(seconds: float) -> str:
    """5:07 or 2:05:07."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
