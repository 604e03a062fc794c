"""The challenges' baseline: NAL-R for each ear, a compressor, and a soft clip."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from hearlab.arrays import Array
from hearlab.datasets.layout import SAMPLE_RATE
from hearlab.errors import InputError
from hearlab.fitting import Compressor, NalR
from hearlab.fitting.soft_clip import soft_clip
from hearlab.listeners import Audiogram, Listener

MICROPHONE = "CH1"  # the front pair


class Baseline:
    """Hearing aid of the Clarity (CEC2) and Cadenza (CAD1) baselines.

    Args:
        gain: dB, after the prescription and before the compressor.
        nalr: arguments of `hearlab.fitting.NalR` without the rate.
        compressor: arguments of `hearlab.fitting.Compressor` without the rate; its own defaults are the published
            baseline's values.
        soft_clip: pass the speech output through tanh.
        music_compressor: compress each stem of the music, too (published: not).

    Raises:
        InputError: a value is wrong.
    """

    SPEECH_MICROPHONES = (MICROPHONE,)  # others are not read

    def __init__(
        self,
        *,
        gain: float = 0.0,
        nalr: Mapping[str, Any] | None = None,
        compressor: Mapping[str, Any] | None = None,
        soft_clip: bool = True,
        music_compressor: bool = False,
    ) -> None:
        if isinstance(gain, bool) or not isinstance(gain, int | float) or not math.isfinite(gain):
            raise InputError("baseline", "wrong value", field="gain", found=repr(gain), wanted="a number of dB")
        for field, value in (("soft_clip", soft_clip), ("music_compressor", music_compressor)):
            if not isinstance(value, bool):
                raise InputError("baseline", "wrong value", field=field, found=repr(value), wanted="true or false")
        self._gain = 10 ** (gain / 20)
        self._nalr = _section("nalr", nalr, {"taps"})
        self._compressor = _section(
            "compressor",
            compressor,
            {"attack", "release", "threshold", "attenuation", "rms_buffer_size", "makeup_gain"},
        )
        self._soft_clip = soft_clip
        self._music_compressor = music_compressor
        self._prescriptions: dict[float, NalR] = {}
        self._compressors: dict[float, Compressor] = {}
        self._filters: dict[tuple[float, bytes, bytes], Array] = {}
        # Wrong values are refused now, not in the middle of a run.
        for field, at_rate in (("nalr", self._prescription), ("compressor", self._compressor_at)):
            try:
                at_rate(SAMPLE_RATE)
            except InputError as error:
                raise InputError(
                    "baseline", error.problem, field=f"{field}.{error.field}", found=error.found, wanted=error.wanted
                ) from None

    def speech(self, microphones: dict[str, Array], rate: int, listener: Listener) -> Array:
        """Enhance the front microphones (CH1); the other pairs are not used.

        Args:
            microphones: {'CH1': (n, 2)} at least, in [-1, 1].
            rate: sample rate in Hz.
            listener: whose audiograms are fitted.

        Returns:
            (n + taps, 2) samples; between -1 and 1 with the soft clip.

        Raises:
            InputError: CH1 is missing or has another shape, or an audiogram does not reach from 250 to 6000 Hz.
        """
        if MICROPHONE not in microphones:
            raise InputError("microphones", "channel is missing", field=MICROPHONE, found=", ".join(microphones))
        enhanced = self._fit(microphones[MICROPHONE], rate, listener, f"microphones {MICROPHONE}")
        enhanced = self._compressor_at(rate).apply(enhanced, out=enhanced)
        return soft_clip(enhanced) if self._soft_clip else enhanced

    def music(self, stems: dict[str, Array], rate: int, listener: Listener) -> dict[str, Array]:
        """Fit each stem to both ears; the soft clip belongs to the remix and is not applied here.

        Args:
            stems: {name: (n, 2)}.
            rate: sample rate in Hz.
            listener: whose audiograms are fitted.

        Returns:
            {name: (n + taps, 2)}, the same keys.

        Raises:
            InputError: a stem has another shape, or an audiogram does not reach from 250 to 6000 Hz.
        """
        fitted = {name: self._fit(stem, rate, listener, f"stem {name}") for name, stem in stems.items()}
        if self._music_compressor:
            fitted = {name: self._compressor_at(rate).apply(stem, out=stem) for name, stem in fitted.items()}
        return fitted

    def _fit(self, samples: Array, rate: float, listener: Listener, where: str) -> Array:
        """Prescription and gain, shape (n + taps, 2)."""
        if samples.ndim != 2 or samples.shape[1] != 2 or samples.shape[0] == 0:
            raise InputError(where, "wrong shape", found=samples.shape, wanted="(n, 2), n > 0")
        prescription = self._prescription(rate)
        fitted = np.empty((samples.shape[0] + prescription.taps, 2))
        for ear, audiogram in enumerate((listener.left, listener.right)):
            prescription.apply(self._filter(audiogram, rate), samples[:, ear], out=fitted[:, ear])
        fitted *= self._gain  # songs are long: in place
        return fitted

    def _prescription(self, rate: float) -> NalR:
        if rate not in self._prescriptions:
            self._prescriptions[rate] = NalR(rate=rate, **self._nalr)
        return self._prescriptions[rate]

    def _compressor_at(self, rate: float) -> Compressor:
        if rate not in self._compressors:
            self._compressors[rate] = Compressor(rate, **self._compressor)
        return self._compressors[rate]

    def _filter(self, audiogram: Audiogram, rate: float) -> Array:
        # By the audiogram itself: two data sets may use one id for different listeners.
        key = (rate, audiogram.levels.tobytes(), audiogram.frequencies.tobytes())
        if key not in self._filters:
            self._filters[key] = self._prescription(rate).filter(audiogram)
        return self._filters[key]


def _section(field: str, values: Mapping[str, Any] | None, known: set[str]) -> dict[str, Any]:
    if values is None:
        return {}
    if not isinstance(values, Mapping):
        raise InputError("baseline", "must be keys and values", field=field, found=repr(values))
    for key in values:
        if key not in known:
            raise InputError(
                "baseline", "unknown key", field=f"{field}.{key}", wanted=f"one of {', '.join(sorted(known))}"
            )
    return dict(values)
