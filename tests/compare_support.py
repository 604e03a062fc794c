"""What the tests of comparisons share: score files, metadata, and the command."""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

from hearlab.commands.results import compare

LISTENERS = ("L0001", "L0002", "L0003")
STEMS = ("bass", "drums", "other", "vocals")
FREQUENCIES = [250, 500, 1000, 2000, 3000, 4000, 6000, 8000]


def write(path: Path, header: Iterable[str], rows: Iterable[Iterable[object]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
    return path


def speech(path: Path, scores: np.ndarray) -> Path:
    """A score table; `scores` has a row for each scene (S6001, ...) and a column for each listener."""
    rows = [
        (f"S{6001 + scene}", LISTENERS[listener], f"{score:.8f}")
        for scene, line in enumerate(scores)
        for listener, score in enumerate(line)
    ]
    return write(path, ("scene", "listener", "haspi"), rows)


def music(path: Path, scores: dict[tuple[str, str], dict[str, float]]) -> Path:
    """A score table; `scores` gives each stem's, the same for both ears."""
    header = ["song", "listener", "score", *(f"{side}_{stem}" for stem in STEMS for side in ("left", "right"))]
    rows = [
        [*pair, sum(stems.values()) / len(stems), *(stems[stem] for stem in STEMS for _ in range(2))]
        for pair, stems in scores.items()
    ]
    return write(path, header, rows)


def metadata(folder: Path, scenes: int, snrs: Iterable[float]) -> Path:
    """scenes.dev.json and listeners.json: no, moderate and severe loss."""
    types = [["speech"], ["noise", "speech"], ["music", "music"]]
    entries = [
        {"scene": f"S{6001 + k}", "SNR": snr, "interferers": [{"type": kind} for kind in types[k % 3]]}
        for k, snr in zip(range(scenes), snrs, strict=True)
    ]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "scenes.dev.json").write_text(json.dumps(entries))
    people = {
        name: {
            "name": name,
            "audiogram_cfs": FREQUENCIES,
            "audiogram_levels_l": [loss] * 8,
            "audiogram_levels_r": [90] * 8,
        }
        for name, loss in zip(LISTENERS, (10, 40, 70), strict=True)
    }
    (folder / "listeners.json").write_text(json.dumps(people))
    return folder


def run(folder: Path, *arguments: str) -> None:
    """The command `hearlab compare`, in that folder."""
    parser = argparse.ArgumentParser()
    compare.add(parser.add_subparsers(required=True))
    options = parser.parse_args(["compare", *arguments])
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        options.run(options)
