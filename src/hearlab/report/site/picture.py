"""One picture of a scene or song: waveforms and spectrograms of its versions, audiograms and scores."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hearlab.arrays import Array
from hearlab.audio import read_audio
from hearlab.cores import usable_cores
from hearlab.errors import InputError
from hearlab.files import atomic_path
from hearlab.report.site.audiogram import LIGHT, draw_audiogram
from hearlab.report.site.pages import grade_text, scene_facts
from hearlab.report.site.results import Results, TrackResults, read_results
from hearlab.report.site.sound.loudness import loudness
from hearlab.report.site.sound.spectrogram import DARKEST, HIGHEST, LOWEST, RANGE, spectrogram
from hearlab.report.site.versions import Group, Version, version_groups
from hearlab.scoring.tracks import ENHANCED, UNPROCESSED
from hearlab.text import printable, shortened

LISTENERS = 4  # in one picture
THREADS = 4  # reading and transforms leave Python's lock alone
NAME = 70  # columns of its heading for the name
ROW, WIDTH = 1.35, 12.0  # inches
DOTS = 110  # per inch
ENVELOPE = 1200  # columns of a waveform
TICKS = (250, 1000, 4000)  # Hz
INK, WAVE = "#22272b", "#14679e"


def draw(root: Path, name: str, path: Path, *, listener: str | None = None) -> None:
    """Write the picture of a scene or song as PNG.

    Args:
        root: the workspace.
        name: a scene or song that was scored.
        path: the PNG file.
        listener: show only this one; else the first four.

    Raises:
        InputError: the name or the listener is not known, or there are no sounds.
    """
    results = read_results(root, compared=False)
    track = next((track for track in results.tracks if name in track.units), None)
    if track is None:
        known = [unit for track in results.tracks for unit in track.units]
        raise InputError(
            "hearlab show", "no scene or song of that name was scored", found=name, wanted=f"such as {known[0]}"
        )
    listeners = track.units[name]
    if listener is not None:
        if listener not in listeners:
            raise InputError(name, "was not scored for this listener", found=listener, wanted=", ".join(listeners))
        listeners = [listener]
    shown = listeners[:LISTENERS]
    group = _group(results, track, name, shown)
    _write(path, results, track, name, shown, group)


def _group(results: Results, track: TrackResults, name: str, listeners: list[str]) -> Group:
    groups = [group for group in version_groups(results, track.track, name, listeners) if group.versions]
    if not groups:
        raise InputError(name, "has no sounds here", advice="dvc pull or dvc repro brings them")
    kept = [version for version in groups[0].versions if not version.label.startswith(("Target in", "Interferers"))]
    return Group(groups[0].name, tuple(kept))


@dataclass(frozen=True, eq=False)
class _Measured:
    """A version's mono signal, length in seconds, loudness in LUFS, and spectrogram in dB relative to that."""

    mono: Array
    seconds: float
    level: float
    levels: Array


def _write(path: Path, results: Results, track: TrackResults, name: str, listeners: list[str], group: Group) -> None:
    with ThreadPoolExecutor(min(THREADS, usable_cores())) as pool:
        jobs = [pool.submit(_measured, results.root, version) for version in group.versions]
        # Reading and transforms leave Python's lock alone: they run while matplotlib is imported, which takes as long.
        from matplotlib import rc_context
        from matplotlib.figure import Figure

        measured = [job.result() for job in jobs]
    people = [track.listeners[one] for one in listeners if one in track.listeners]
    height = ROW * len(group.versions) + (3.0 if people else 0.4) + 0.7
    # A name is no formula: dollar signs stay what they are.
    with rc_context({"font.size": 9, "text.parse_math": False, "axes.edgecolor": "#c9ced3"}):
        figure = Figure(figsize=(WIDTH, height), dpi=DOTS, layout="constrained")
        rows: Any = figure
        audiograms: Any = None
        if people:
            parts: Any = figure.subfigures(2, 1, height_ratios=[ROW * len(group.versions), 2.9])
            rows, audiograms = parts
        facts = scene_facts(track.scenes.get(name, {}))
        heading = [shortened(printable(name), NAME), *(f"{label}: {value}" for label, value in facts[:2])]
        figure.suptitle("   ".join(heading), color=INK)
        axes = rows.subplots(len(group.versions), 2, squeeze=False, width_ratios=[1, 1.5])
        longest = max(sound.seconds for sound in measured)  # one time axis: only the last row has numbers
        for pair, version, sound in zip(axes, group.versions, measured, strict=True):
            _draw_version(pair, _title(track, name, version, sound.level), sound, longest)
        for axis in axes[:-1].ravel():
            axis.set_xticklabels([])
        for axis in axes[-1]:
            axis.set_xlabel("time (s)")
        if audiograms is not None:
            for axis, person in zip(audiograms.subplots(1, LISTENERS, squeeze=False)[0], people, strict=False):
                draw_audiogram(axis, person, LIGHT)
                axis.set_title(f"{person.id}: {grade_text(person)}", fontsize=9)
            for axis in audiograms.axes[len(people) :]:
                axis.set_axis_off()
        # At once: savefig would draw all of the figure for it, and then draw it again.
        layout: Any = figure.get_layout_engine()
        layout.execute(figure)
        figure.set_layout_engine("none")
        with atomic_path(path) as temporary:
            figure.savefig(temporary, format="png", metadata={"Software": None})


def _measured(root: Path, version: Version) -> _Measured:
    part = version.parts[0]
    samples, rate = read_audio(root / part.path)
    first = round(part.start * rate)
    samples = part.factor * samples[first : None if part.end is None else round(part.end * rate)]
    level = loudness(samples, rate)
    levels = spectrogram(samples, rate) - (level if math.isfinite(level) else 0.0)
    return _Measured(samples.mean(axis=1), samples.shape[0] / rate, level, levels)


def envelope(mono: Array, seconds: float, most: int = ENVELOPE) -> tuple[Array, Array, Array]:
    """A waveform of shape (n,) in at most `most` columns: their centres in seconds, lowest and highest samples."""
    if not mono.size:
        return np.zeros(0), np.zeros(0), np.zeros(0)
    edges = np.linspace(0, mono.size, min(most, mono.size) + 1).astype(int)
    times = (edges[:-1] + edges[1:]) * (seconds / mono.size / 2)
    return times, np.minimum.reduceat(mono, edges[:-1]), np.maximum.reduceat(mono, edges[:-1])


def _draw_version(axes: Any, title: str, sound: _Measured, longest: float) -> None:
    """Waveform and spectrogram side by side, on a time axis of `longest` seconds."""
    mono, seconds = sound.mono, sound.seconds
    times, lowest, highest = envelope(mono, seconds)
    axes[0].fill_between(times, lowest, highest, color=WAVE, linewidth=0)
    peak = max(float(np.abs(mono).max(initial=0.0)), 1e-6)
    axes[0].set_ylim(-1.1 * peak, 1.1 * peak)
    axes[0].set_xlim(0, longest)
    axes[0].set_title(title, loc="left", fontsize=9, color=INK)
    axes[1].imshow(
        sound.levels[::-1],
        aspect="auto",
        origin="lower",
        extent=(0, seconds, 0, 1),
        cmap="magma",
        vmin=RANGE[0],
        vmax=RANGE[1],
    )
    axes[1].set_xlim(0, longest)
    axes[1].set_facecolor(DARKEST)
    places = [math.log(tick / LOWEST) / math.log(HIGHEST / LOWEST) for tick in TICKS]
    axes[1].set_yticks(places, [f"{tick / 1000:g}k" if tick >= 1000 else str(tick) for tick in TICKS])
    axes[1].set_ylabel("Hz")


def _title(track: TrackResults, name: str, version: Version, level: float) -> str:
    heard = f"{level:.1f} LUFS" if math.isfinite(level) else "silent"
    texts = []
    for one in track.metrics:
        score = None
        if version.kind == ENHANCED:
            score = one.score(one.enhanced, (name, version.listener))
        elif version.kind == UNPROCESSED:
            score = one.mean(one.unprocessed, name)
        texts += [f"{one.metric.short} {score:.3f}"] if score is not None else []
    return "   ".join([version.label, *texts, heard])
