"""The spectrograms of a trial as one picture: what the system was given, what it made, and what scores compare with."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from hearlab.arrays import Array
from hearlab.audio import read_audio
from hearlab.files import atomic_path
from hearlab.lab.laboratory import Lab, Trial
from hearlab.lab.signals import SceneSignals
from hearlab.report.site.sound.loudness import loudness
from hearlab.report.site.sound.spectrogram import DARKEST, HIGHEST, LOWEST, RANGE, spectrogram
from hearlab.text import printable, shortened

TICKS = (250, 1000, 4000)  # Hz
ROW, WIDTH, DOTS = 1.6, 9.0, 110  # inches, and dots per inch
NAME = 60  # columns of the heading


def draw_trial(lab: Lab, trial: Trial, path: Path) -> None:
    """Write the picture as PNG.

    Raises:
        InputError: a signal cannot be read.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    signals = lab.signals(trial.name)
    heard, heard_rate = read_audio(lab.root / trial.sound)
    if isinstance(signals, SceneSignals):
        chosen = f"CH{lab.params.render.reference_channel}"
        microphone = chosen if chosen in signals.microphones else next(iter(signals.microphones))
        rows = [(f"microphones {microphone}", signals.microphones[microphone], signals.rate)]
        rows += [("enhanced", heard, heard_rate), ("reference", signals.reference, signals.rate)]
    else:
        rows = [("remix", heard, heard_rate), ("original", signals.mixture, signals.rate)]
    scores = ", ".join(f"{name.upper()} {trial.scores[name]:.4f}" for name in trial.scores if "_" not in name)
    with rc_context({"font.size": 9, "text.parse_math": False}):  # a name is no formula
        figure = Figure(figsize=(WIDTH, ROW * len(rows) + 0.5), dpi=DOTS, layout="constrained")
        figure.suptitle(f"{shortened(printable(trial.name), NAME)}   {trial.listener}   {scores}")
        axes = figure.subplots(len(rows), 1, squeeze=False, sharex=True)[:, 0]
        seconds = max(samples.shape[0] / rate for _, samples, rate in rows)
        for axis, (label, samples, rate) in zip(axes, rows, strict=True):
            _spectrogram(axis, label, samples, rate)
        axes[-1].set_xlim(0, seconds)
        axes[-1].set_xlabel("time (s)")
        with atomic_path(path) as temporary:
            figure.savefig(temporary, format="png", metadata={"Software": None})


def _spectrogram(axis: Any, label: str, samples: Array, rate: int) -> None:
    level = loudness(samples, rate)
    levels = spectrogram(samples, rate) - (level if math.isfinite(level) else 0.0)
    extent = (0, samples.shape[0] / rate, 0, 1)
    low, high = RANGE
    image = np.asarray(levels)[::-1]
    axis.imshow(image, aspect="auto", origin="lower", extent=extent, cmap="magma", vmin=low, vmax=high)
    axis.set_facecolor(DARKEST)
    axis.set_yticks([math.log(tick / LOWEST) / math.log(HIGHEST / LOWEST) for tick in TICKS], list(map(str, TICKS)))
    axis.set_ylabel("Hz")
    heard = f"{level:.1f} LUFS" if math.isfinite(level) else "silent"
    axis.set_title(f"{label}   {heard}", loc="left", fontsize=9)
