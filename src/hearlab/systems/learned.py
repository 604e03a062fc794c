"""A hearing aid that was trained: a small network takes away noise, and the baseline's prescription follows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from hearlab.arrays import Array
from hearlab.datasets.layout import SAMPLE_RATE
from hearlab.enhancement.hearing import enhanced
from hearlab.enhancement.network import FREQUENCIES, losses_of
from hearlab.enhancement.weights import load_enhancer
from hearlab.errors import InputError
from hearlab.listeners import Listener
from hearlab.systems.baseline import Baseline

CHANNELS = ("CH1", "CH2", "CH3")  # front, middle and rear pair of the hearing aid


class Learned:
    """A network that hears the six microphones of the hearing aid, then NAL-R and the compressor of the baseline.

    The network is causal: a sample of its output depends on nothing that comes 4.4 ms or more after it. One network
    serves all listeners: it is told their hearing losses.

    Args:
        weights: file of the weights, with its description beside it; None: none yet, and nothing can be enhanced.
        hearing_aid: arguments of `hearlab.systems.baseline.Baseline`, which follows.

    Raises:
        InputError: a value is wrong; the weights are missing, damaged, malicious, or of another network.
    """

    SPEECH_MICROPHONES = CHANNELS  # others are not read

    def __init__(self, *, weights: str | None = None, **hearing_aid: Any) -> None:
        self._hearing_aid = Baseline(**hearing_aid)
        if weights is not None and not isinstance(weights, str):
            raise InputError("learned", "wrong value", field="weights", found=repr(weights)[:60], wanted="a file")
        self._network = None if weights is None else load_enhancer(Path(weights))

    def speech(self, microphones: dict[str, Array], rate: int, listener: Listener) -> Array:
        """Enhance the microphones CH1 to CH3; CH0, at the ear drum, is not used.

        Args:
            microphones: {'CH1': (n, 2), 'CH2': ..., 'CH3': ...} at least, in [-1, 1]; an RMS of 1 is 100 dB SPL.
            rate: 44100 Hz.
            listener: with audiograms from 250 to 6000 Hz.

        Returns:
            (n + taps, 2) samples; between -1 and 1 with the soft clip.

        Raises:
            InputError: there are no weights, a channel is missing or differs in length, another rate, or an audiogram
                is too short.
        """
        if self._network is None:
            raise InputError(
                "learned", "has no weights", field="weights", advice="train them: dvc repro train_enhancer"
            )
        if rate != SAMPLE_RATE:
            raise InputError("learned", "was trained at another rate", found=f"{rate} Hz", wanted=f"{SAMPLE_RATE} Hz")
        for channel in CHANNELS:
            if channel not in microphones:
                raise InputError("microphones", "channel is missing", field=channel, found=", ".join(microphones))
            shape = microphones[channel].shape
            count = microphones[CHANNELS[0]].shape[0]
            if len(shape) != 2 or shape[1] != 2 or shape[0] == 0:
                raise InputError("microphones", "wrong shape", field=channel, found=shape, wanted="(n, 2), n > 0")
            if shape[0] != count:
                wanted = f"{count} samples, as {CHANNELS[0]}"
                raise InputError("microphones", "differ in length", field=channel, found=shape[0], wanted=wanted)
        losses = losses_of([ear.at(FREQUENCIES) for ear in (listener.left, listener.right)])
        signals = np.concatenate([microphones[channel] for channel in CHANNELS], axis=1)
        clean = enhanced(self._network, signals, losses)
        return self._hearing_aid.speech({"CH1": clean}, rate, listener)

    def music(self, stems: dict[str, Array], rate: int, listener: Listener) -> dict[str, Array]:
        """Fit each stem as the baseline does: the network is for speech. Arguments and errors are the baseline's."""
        return self._hearing_aid.music(stems, rate, listener)
