"""Arrays that hold what a band carries: one row a signal, with zeros around it.

Filters write and read eight samples at a time, bands are delayed against each other, and windows reach beyond both
ends; zeros around the samples serve all of them without copies. Rows are in single precision: that adds errors of 6e-8
to what the double-precision filters found, and halves the memory of a song.
"""

from __future__ import annotations

import numpy as np

from hearlab.arrays import Array32

# Zeros before the first and after the last sample: more than any delay between bands (445 samples) and than half a
# window of the envelopes' low-pass.
MARGIN = 512

Row = Array32


def empty_rows(count: int, samples: int) -> Array32:
    """Rows of zeros for so many samples each, shape (count, MARGIN + samples + MARGIN or a little more)."""
    return np.zeros((count, MARGIN + -(-samples // 8) * 8 + MARGIN), dtype=np.float32)


def inside(row: Row) -> Row:
    """What lies between the margins: the samples and, if their number is no multiple of 8, a few zeros."""
    return row[..., MARGIN:-MARGIN]


def delay(row: Row, samples: int, late: int, before: int = 0) -> Row:
    """The row `late` samples later, cut off at `samples`; with so many zeros `before`, and zeros after it.

    What is cut off is overwritten with zeros in the row itself.
    """
    row[MARGIN + max(samples - late, 0) : MARGIN + samples] = 0
    return row[MARGIN - late - before :]
