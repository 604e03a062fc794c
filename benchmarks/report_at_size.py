"""The listening site of a whole evaluation: `python benchmarks/report_at_size.py`.

Makes a workspace with the scores of 2,500 scenes for three listeners each and all sounds that a page has (seven of a
scene, as long as those of the demo), and runs `hearlab report` on it twice, each time in a process of its own: first
with the pages that it makes by default, then with one for every scene. The files of the sounds are links to some that
differ: what was measured is remembered by the name of a file, so each is read, measured and drawn. They are read
from memory, not from the disk.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

import machine
from hearlab.audio import to_pcm16, write_wav
from hearlab.datasets.layout import SAMPLE_RATE, Workspace, enhanced_file, scene_file
from hearlab.files import write_json

REPOSITORY = Path(__file__).resolve().parent.parent
SCENES, LISTENERS, PER_SCENE = 2500, 83, 3
SIGNALS = ("mix", "target", "target_anechoic", "interferer")
SECONDS = (3.2, 4.0)  # of the demo's sounds
DISTINCT = 64
FREQUENCIES = [250, 500, 1000, 2000, 3000, 4000, 6000, 8000]


def make_workspace(root: Path, scenes: int, seconds: tuple[float, float]) -> None:
    """Fill `root` with what `dvc repro` would leave of the speech track."""
    rng = np.random.default_rng(19)
    root.mkdir(parents=True)
    shutil.copy(REPOSITORY / "params.yaml", root)
    files = Workspace(root / "data/demo")
    people = [f"L{number:04d}" for number in range(1, LISTENERS + 1)]
    losses = {name: np.sort(rng.integers(5, 80, 8)).tolist() for name in people}
    write_json(files.clarity.listeners, {name: _listener(name, levels) for name, levels in losses.items()})
    names = [f"S{6001 + number}" for number in range(scenes)]
    write_json(files.scenes("dev"), [_scene(name, float(rng.uniform(-12, 6))) for name in names])
    sounds = [_sound(root / f"sounds/{number}.wav", rng, seconds) for number in range(DISTINCT)]
    rows: dict[str, list[tuple[str, str, float]]] = {"speech": [], "speech_unprocessed": []}
    channel = 1
    for place, name in enumerate(names):
        heard = sorted(rng.choice(people, PER_SCENE, replace=False).tolist())
        targets = [scene_file(files.rendered("dev"), name, signal, channel) for signal in SIGNALS]
        targets += [enhanced_file(files.enhanced, name, listener) for listener in heard]
        for number, target in enumerate(targets):
            target.parent.mkdir(parents=True, exist_ok=True)
            os.link(sounds[(place * len(targets) + number) % DISTINCT], target)
        for listener in heard:
            rows["speech"].append((name, listener, float(rng.uniform(0, 1))))
            rows["speech_unprocessed"].append((name, listener, float(rng.uniform(0, 0.6))))
    for table, lines in rows.items():
        _table(root / f"metrics/{table}.csv", lines)
    means = {name: float(np.mean([score for *_, score in lines])) for name, lines in rows.items()}
    averages = {"pairs": scenes * PER_SCENE, "enhanced": means["speech"], "unprocessed": means["speech_unprocessed"]}
    write_json(root / "metrics/speech.json", {"haspi": averages})


def _listener(name: str, levels: list[int]) -> dict[str, Any]:
    ears = {f"audiogram_levels_{side}": levels for side in "lr"}
    return {"name": name, "audiogram_cfs": FREQUENCIES, **ears}


def _scene(name: str, snr: float) -> dict[str, Any]:
    interferers = [{"type": "speech"}, {"type": "noise"}]
    return {"scene": name, "SNR": snr, "room": "R1", "target": {"name": "T1"}, "interferers": interferers}


def _sound(path: Path, rng: np.random.Generator, seconds: tuple[float, float]) -> Path:
    """Noise of a falling spectrum that comes and goes four times a second, as speech does."""
    count = round(SAMPLE_RATE * rng.uniform(*seconds))
    spectrum = np.fft.rfft(rng.standard_normal((count, 2)), axis=0)
    spectrum /= np.sqrt(1 + (np.fft.rfftfreq(count, 1 / SAMPLE_RATE)[:, None] / 500) ** 2)
    noise = np.fft.irfft(spectrum, count, axis=0)
    swell = np.abs(np.sin(np.pi * 2 * np.arange(count) / SAMPLE_RATE + rng.uniform(0, np.pi)))
    path.parent.mkdir(parents=True, exist_ok=True)
    write_wav(path, to_pcm16(0.3 * noise / np.abs(noise).max() * swell[:, None], 32767), SAMPLE_RATE)
    return path


def _table(path: Path, rows: Iterable[tuple[str, str, float]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("scene", "listener", "haspi"))
        writer.writerows(rows)


def timed(root: Path, *arguments: str) -> dict[str, Any]:
    """Run `hearlab report` and say how long it took; processor time is of it and all its workers."""
    before, started = _children(), time.perf_counter()
    command = [sys.executable, "-P", "-m", "hearlab.cli", "report", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY / "src")}
    done = subprocess.run(command, cwd=root, env=environment, stdout=subprocess.PIPE, text=True, check=False)
    seconds = time.perf_counter() - started
    if done.returncode:
        raise SystemExit(done.returncode)
    return {
        "seconds": round(seconds, 1),
        "processor": round(_children() - before, 1),
        "load": machine.load(),
        "said": done.stdout.strip().splitlines()[-1],
    }


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def measure(root: Path, scenes: int, every: bool) -> list[dict[str, Any]]:
    """First and second runs with the default pages, and if `every` with a page for each scene."""
    rows = []
    print(f"{'':38}{'clock, s':>10}{'CPU, s':>10}{'load':>7}")
    for name, arguments in (("default pages", ()), ("a page for each scene", ("--scenes", str(scenes)))):
        if arguments and not every:
            continue
        out = f"report-{bool(arguments):d}"
        shutil.rmtree(root / out, ignore_errors=True)  # of an earlier measurement in the same folder
        for turn in ("first", "second"):
            row = {"name": f"{name}, {turn} run", **timed(root, "--out", out, *arguments)}
            rows.append(row)
            print(f"{row['name']:38}{row['seconds']:10.1f}{row['processor']:10.1f}{row['load']:7.1f}  {row['said']}")
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=int, default=SCENES, help=f"default: {SCENES}")
    parser.add_argument("--seconds", type=float, help=f"length of the sounds; default: {SECONDS[0]} to {SECONDS[1]}")
    parser.add_argument("--few", action="store_true", help="the default pages only")
    parser.add_argument("--folder", type=Path, help="where the workspace is made and stays; default: nowhere")
    parser.add_argument("--output", type=Path, help="a JSON file of the figures")
    options = parser.parse_args()
    lengths = SECONDS if options.seconds is None else (options.seconds, options.seconds)
    with tempfile.TemporaryDirectory(prefix="report-at-size-") as temporary:
        root = (options.folder or Path(temporary)) / "workspace"
        if not root.exists():
            make_workspace(root, options.scenes, lengths)
            print(f"made: {options.scenes} scenes, {options.scenes * (len(SIGNALS) + PER_SCENE)} sounds", flush=True)
        rows = measure(root, options.scenes, not options.few)
    if options.output:
        found = {"machine": machine.machine(), "commit": machine.commit(), "rows": rows}
        options.output.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
