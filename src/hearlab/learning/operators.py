"""The two ways in which the operators of the ear are computed: by compiled loops on the CPU, in parallel elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from hearlab.arrays import Array
from hearlab.learning.library import torch

Tensor = torch.Tensor


class Operators(Protocol):
    """What `hearlab.learning.compiled` and `hearlab.learning.parallel` both offer; see the former."""

    def sections(self, signals: Tensor, coefficients: Array) -> Tensor: ...

    def control_rms(self, signals: Tensor, lengths: Sequence[int], bands: Sequence[int]) -> Tensor: ...

    def compress(
        self,
        signals: Tensor,
        poles: Tensor,
        factors: Tensor,
        curves: Array,
        lengths: Sequence[int],
        bands: Sequence[int],
        moving: bool,
        dtype: torch.dtype,
    ) -> tuple[Tensor, Tensor, Tensor]: ...

    def adapt(
        self,
        envelopes: Tensor,
        motions: Tensor,
        offsets: Array,
        early: Any,
        motion_early: Any,
        late: Any,
        lengths: Sequence[int],
    ) -> tuple[Tensor, Tensor]: ...

    def covariances(self, references: Tensor, processed: Tensor, lengths: Sequence[int]) -> tuple[Tensor, Tensor]: ...

    def broadband_delay(self, reference: Tensor, processed: Tensor) -> int: ...

    def early_rows(self, references: Tensor, processed: Tensor, lengths: Sequence[int]) -> Any: ...
