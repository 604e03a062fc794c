"""A small made workspace with scenes and songs whose names are hostile, quick to make."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from hearlab.audio import to_pcm16, write_wav
from hearlab.datasets.layout import REMIX_RATE, STEM_RATE, STEMS, Workspace, enhanced_file, music_file, scene_file
from hearlab.datasets.stem_files import write_remix, write_stem

REPOSITORY = Path(__file__).resolve().parents[3]
RATE = 44100
SECONDS = 2.0
SCENES = {"S06001": -6.2, "S06002": 4.5}
# A scene of this name has scores and no sounds: its name cannot be a file's.
HOSTILE_SCENE = "S9<!--<script>alert(1)"
LISTENERS = ("L0001", "L0002")
SONG_LISTENERS = ("L5041", "L5042")
# What a folder's name may hold: all but a slash and a backslash.
HOSTILE_SONG = (
    "<script>alert(1)<img src=x onerror=alert(2)> \"Don't\" & 'so' #1 100% ? é 🎷 {{ 7 * 7 }} &lt;b&gt;".ljust(190, "x")
)
SONGS = (HOSTILE_SONG, "Plain Band - Quiet Song")
FREQUENCIES = [250, 500, 1000, 2000, 3000, 4000, 6000, 8000]


def make_workspace(root: Path) -> Path:
    """Fill `root` with what `dvc repro` would leave of both tracks."""
    root.mkdir(parents=True, exist_ok=True)
    shutil.copy(REPOSITORY / "params.yaml", root)
    files = Workspace(root / "data" / "demo")
    rng = np.random.default_rng(7)
    _people(files.clarity.listeners, LISTENERS)
    _people(files.cadenza.listeners("valid"), SONG_LISTENERS)
    entries = [
        {
            "scene": name,
            "SNR": snr,
            "room": "R06001",
            "target": {"name": "T001"},
            "interferers": [{"type": "speech"}, {"type": "noise"}],
        }
        for name, snr in {**SCENES, HOSTILE_SCENE: 0.0}.items()
    ]
    _json(files.scenes("dev"), entries)
    for name in SCENES:
        folder = files.rendered("dev")
        target, noise = 0.1 * tone(440.0), 0.05 * rng.standard_normal((round(RATE * SECONDS), 2))
        for signal, samples in {
            "mix": target + noise,
            "target": target,
            "target_anechoic": 4 * target,
            "interferer": noise,
        }.items():
            wav(scene_file(folder, name, signal, 1), samples)
        for place, listener in enumerate(LISTENERS):
            wav(enhanced_file(files.enhanced, name, listener), (2.5 - place) * target + noise)
    pairs = [(scene, listener) for scene in (*SCENES, HOSTILE_SCENE) for listener in LISTENERS]
    metrics = root / "metrics"
    _csv(
        metrics / "speech.csv",
        ("scene", "listener", "haspi"),
        ((*pair, 0.3 + 0.05 * k) for k, pair in enumerate(pairs)),
    )
    _csv(
        metrics / "speech_unprocessed.csv",
        ("scene", "listener", "haspi"),
        ((*pair, 0.25 + 0.06 * k) for k, pair in enumerate(pairs)),
    )
    _json(metrics / "speech.json", {"haspi": {"pairs": len(pairs), "enhanced": 0.475, "unprocessed": 0.46}})
    _songs(root, files)
    return root


def _songs(root: Path, files: Workspace) -> None:
    rows = []
    for number, song in enumerate(SONGS):
        stems = {stem: 0.1 * tone(220.0 * (place + 1)) for place, stem in enumerate(STEMS)}
        if number:
            stems["vocals"] = np.zeros_like(stems["vocals"])
        for stem, samples in {**stems, "mixture": np.sum(list(stems.values()), axis=0)}.items():
            wav(files.cadenza.stem("valid", song, stem), samples)
            if stem != "mixture":
                path = files.separated / song / f"{stem}.wav"
                path.parent.mkdir(parents=True, exist_ok=True)
                write_wav(path, samples.astype(np.float32), RATE)
        for listener in SONG_LISTENERS:
            for stem, samples in stems.items():
                for ear, side in enumerate(("left", "right")):
                    # The right ear is louder: the factors must be used.
                    signal = (1 + ear) * samples[: STEM_RATE * 2, ear]
                    write_stem(music_file(files.enhanced_music, listener, song, f"{side}_{stem}"), signal, STEM_RATE)
            write_remix(
                music_file(files.enhanced_music, listener, song, "remix"),
                0.3 * tone(300.0, REMIX_RATE),
                REMIX_RATE,
                soft_clip=True,
            )
            rows.append([song, listener, 0.4 + 0.1 * number, *([0.4] * 8)])
    header = ["song", "listener", "score", *(f"{side}_{stem}" for stem in sorted(STEMS) for side in ("left", "right"))]
    _csv(root / "metrics" / "music.csv", header, rows)
    _json(root / "metrics" / "music.json", {"haaqi": {"pairs": len(rows), "score": 0.45}})


def tone(frequency: float, rate: int = RATE) -> np.ndarray:
    """A stereo sine of amplitude 1 that swells, shape (n, 2)."""
    times = np.arange(round(rate * SECONDS)) / rate
    signal = np.sin(2 * np.pi * frequency * times) * np.linspace(0.5, 1, times.size)
    return np.stack([signal, signal], axis=1)


def wav(path: Path, samples: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_wav(path, to_pcm16(samples, 32767), RATE)


def _people(path: Path, names: Iterable[str]) -> None:
    levels = [20, 25, 30, 40, 50, 55, 60, 65]
    entry = {"audiogram_cfs": FREQUENCIES, "audiogram_levels_l": levels, "audiogram_levels_r": [10 + x for x in levels]}
    _json(path, {name: {"name": name, **entry} for name in names})


def _json(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")


def _csv(path: Path, header: Iterable[str], rows: Iterable[Iterable[object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def git(root: Path, *arguments: str) -> None:
    """Run git in `root` as somebody."""
    who = ("-c", "user.name=Tester", "-c", "user.email=tester@example.org")
    subprocess.run(("git", *who, *arguments), cwd=root, check=True, capture_output=True)


def store(root: Path, content: bytes, suffix: str = "") -> str:
    """Put an object into DVC's cache as DVC does; gives its identity."""
    identity = hashlib.md5(content, usedforsecurity=False).hexdigest() + suffix
    path = root / ".dvc/cache/files/md5" / identity[:2] / identity[2:]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return identity
