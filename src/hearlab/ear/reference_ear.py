"""Reference and processed speech in two ears, a normal and an impaired one: envelopes in dB above threshold.

Kates and Arehart (2021), as HASPI needs it. The reference depends on its level and on the length it shares with the
processed signal only, so it serves any number of processed signals.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from hearlab.ear.adaptation import adapt
from hearlab.ear.alignment import align_rows
from hearlab.ear.filterbank import compensating_delays
from hearlab.ear.hearing import Hearing, envelopes_side_by_side
from hearlab.ear.loss import LossParameters, normal_hearing
from hearlab.ear.resampling import MODEL_RATE
from hearlab.kernels.rows import Row, delay

# Up to this length, a minute, the compressed bands of a reference are kept for all processed signals (184 MB); those of
# a longer one are computed again for each, a band of both signals at a time: about a sixth of the time of a score.
KEPT_SAMPLES = 60 * MODEL_RATE


class ReferenceEar:
    """A reference signal in a normal ear; processed signals are then heard beside it.

    Args:
        reference: at 24 kHz, without the silence around it, shape (n,).
        level: dB SPL of an RMS of 1.
        basal_shift: see `Hearing`.

    Attributes:
        samples: number n of samples.
    """

    def __init__(self, reference: NDArray[np.floating], level: float, basal_shift: float = 0.0) -> None:
        self.samples = reference.size
        self._level = level
        self._hearing = Hearing(reference, normal_hearing(), level, basal_shift)
        if self.samples <= KEPT_SAMPLES:
            self._hearing.keep(motions=False)
            self._hearing.release()
        # Both sides are compensated with the delays of the reference's filters, as published.
        self._late = compensating_delays(self._hearing.bandwidths)

    def envelopes(self, before: int = 0) -> Iterator[Row]:
        """The reference's envelopes in dB above threshold at 24 kHz, low bands first, after so many zeros `before`.

        Zeros follow, too, as many as a window of 0.02 s needs. An envelope is overwritten by the next one.
        """
        for number, pair in enumerate(self._hearing.envelopes()):
            yield from self._firing(2 * number, pair, normal_hearing(), before)

    def processed_envelopes(self, processed: Hearing, before: int = 0) -> Iterator[Row]:
        """Envelopes of a processed signal of the same length, aligned with the reference; otherwise as `envelopes`."""
        if not self._hearing.kept_envelopes and not processed.kept_envelopes:
            for band, (reference, row) in enumerate(envelopes_side_by_side(self._hearing, processed)):
                align_rows([reference], [row], self.samples)
                yield from self._firing(band, [row], processed.loss, before)
            return
        references = self._hearing.kept_envelopes or self._hearing.envelopes()
        pairs = zip(references, processed.envelopes(), strict=True)
        for number, (reference, rows) in enumerate(pairs):
            align_rows(reference, rows, self.samples)
            yield from self._firing(2 * number, rows, processed.loss, before)

    def _firing(self, first: int, rows: Iterable[Row], loss: LossParameters, before: int) -> Iterator[Row]:
        for band, row in enumerate(rows, first):
            adapt(row, loss.inner_attenuation[band], self._level)
            yield delay(row, self.samples, int(self._late[band]), before)
