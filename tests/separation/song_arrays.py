"""Songs in memory, as the training reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hearlab.separation.training_data import Signal


@dataclass(frozen=True)
class SongArrays:
    """A `SongSource` in memory: song -> stem -> samples of shape (n, 2)."""

    stems: Mapping[str, Mapping[str, NDArray[np.floating]]]

    @property
    def songs(self) -> Sequence[str]:
        return list(self.stems)

    def frames(self, song: str) -> int:
        return next(iter(self.stems[song].values())).shape[0]

    def excerpt(self, song: str, stem: str, start: int, frames: int) -> Signal:
        return np.asarray(self.stems[song][stem][start : start + frames], np.float32)
