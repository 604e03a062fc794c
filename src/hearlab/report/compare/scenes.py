"""The package's rendered scenes beside our own rendering of them, file by file and sample by sample."""

from __future__ import annotations

import filecmp
import math
import multiprocessing
import os
import re
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import soundfile

from hearlab.errors import InputError
from hearlab.progress import UnitProgress

FULL_SCALE = 32768  # steps of 16 bits in a signal from 0 to 1
FEW_SCENES = 8  # for which starting other processes takes longer than reading
NAMED = 10  # files with another form that are named
_NAME = re.compile(r"(?P<scene>S\d{5})_(?P<kind>\w+)\.wav")


@dataclass(frozen=True)
class FileDifference:
    """One file of a scene in both places.

    Attributes:
        equal: whether the bytes are equal.
        samples: values of all channels; differing: how many of them differ.
        largest: the largest difference, in steps of 16 bits; of float files (hr) in the file's own unit.
        difference, signal: sums of squares.
        form: how length, rate or channels differ, or what is missing; nothing else is compared then.
    """

    scene: str
    kind: str
    equal: bool = False
    samples: int = 0
    differing: int = 0
    largest: float = 0.0
    difference: float = 0.0
    signal: float = 0.0
    form: str | None = None


@dataclass
class KindDifference:
    """All files of a kind, such as mix_CH1; the fields are sums of `FileDifference`, but `largest`."""

    kind: str
    files: int = 0
    equal: int = 0
    samples: int = 0
    differing: int = 0
    largest: float = 0.0
    worst: str = ""
    difference: float = 0.0
    signal: float = 0.0

    @property
    def level(self) -> float:
        """Level of the difference re that of the packaged signal, in dB; -inf where nothing differs."""
        if not self.difference:
            return -math.inf
        return 10 * math.log10(self.difference / self.signal) if self.signal else math.inf

    def add(self, file: FileDifference) -> None:
        self.files += 1
        self.equal += file.equal
        self.samples += file.samples
        self.differing += file.differing
        self.difference += file.difference
        self.signal += file.signal
        if file.largest > self.largest:
            self.largest, self.worst = file.largest, file.scene


@dataclass
class SceneComparison:
    """What was compared.

    Attributes:
        scenes: names of the compared scenes.
        kinds: one row for each kind of file.
        forms: files of another length, rate or number of channels, and files that one side lacks, one line each.
        only_packaged, only_rendered: number of scenes that one side has alone.
    """

    scenes: tuple[str, ...]
    kinds: list[KindDifference] = field(default_factory=list)
    forms: list[str] = field(default_factory=list)
    only_packaged: int = 0
    only_rendered: int = 0


def compare_scenes(packaged: Path, rendered: Path, *, count: int | None = None, workers: int = 1) -> SceneComparison:
    """Compare all scenes that both folders hold.

    Args:
        packaged, rendered: folders of scene files.
        count: how many scenes at most; they are taken evenly from the list.
        workers: processes.

    Raises:
        InputError: a folder holds no scenes, they share none, the files are links to the same bytes, or one cannot be
            read.
    """
    theirs, ours = _files(packaged), _files(rendered)
    shared = sorted(theirs.keys() & ours.keys())
    if not shared:
        raise InputError(rendered, "holds no scene that the package holds too", found=f"{len(ours)} scenes")
    first = sorted(theirs[shared[0]] & ours[shared[0]])
    if first and os.path.samefile(packaged / _file(shared[0], first[0]), rendered / _file(shared[0], first[0])):
        raise InputError(
            rendered,
            "holds the package's scenes, not rendered ones",
            advice="dvc exp run -S render.source=rendered render_scenes@dev, or give another folder with --rendered",
        )
    chosen = shared if count is None else _evenly(shared, count)
    found = SceneComparison(
        tuple(chosen), only_packaged=len(theirs) - len(shared), only_rendered=len(ours) - len(shared)
    )
    kinds: dict[str, KindDifference] = {}
    jobs = [(packaged, rendered, scene, tuple(sorted(theirs[scene] | ours[scene]))) for scene in chosen]
    for file in _differences(jobs, workers):
        if file.form is not None:
            found.forms.append(f"{_file(file.scene, file.kind)}: {file.form}")
        else:
            kinds.setdefault(file.kind, KindDifference(file.kind)).add(file)
    found.kinds = [kinds[kind] for kind in sorted(kinds)]
    return found


Job = tuple[Path, Path, str, tuple[str, ...]]


def _differences(jobs: Sequence[Job], workers: int) -> Iterable[FileDifference]:
    progress = UnitProgress("data compare", len(jobs))
    try:
        if workers == 1 or len(jobs) < FEW_SCENES:
            for job in jobs:
                yield from _compare_scene(job)
                progress.advance()
            return
        # Not forked: a copy of a process with threads can hang.
        with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
            for files in pool.map(_compare_scene, jobs):
                yield from files
                progress.advance()
    finally:
        progress.finish()


def _compare_scene(job: Job) -> list[FileDifference]:
    packaged, rendered, scene, kinds = job
    return [_compare_file(packaged, rendered, scene, kind) for kind in kinds]


def _compare_file(packaged: Path, rendered: Path, scene: str, kind: str) -> FileDifference:
    paths = [folder / _file(scene, kind) for folder in (packaged, rendered)]
    for path, side in zip(paths, ("packaged", "rendered"), strict=True):
        if not path.exists():
            return FileDifference(scene, kind, form=f"not {side}")
    equal = filecmp.cmp(paths[0], paths[1], shallow=False)
    (theirs, rate), (ours, our_rate) = (_read(path) for path in paths)
    if (theirs.shape, rate) != (ours.shape, our_rate):
        return FileDifference(scene, kind, form=f"packaged {_form(theirs, rate)}, rendered {_form(ours, our_rate)}")
    difference = ours - theirs
    return FileDifference(
        scene,
        kind,
        equal,
        samples=theirs.size,
        differing=int(np.count_nonzero(difference)),
        largest=float(np.max(np.abs(difference), initial=0.0)),
        difference=float(np.sum(difference**2)),
        signal=float(np.sum(theirs**2)),
    )


def _read(path: Path) -> tuple[np.ndarray, int]:
    """Samples of shape (n, channels), in steps of 16 bits unless the file holds floats, and the rate in Hz."""
    try:
        with soundfile.SoundFile(path) as sound:
            samples = sound.read(dtype="float64", always_2d=True)
            scale = 1 if sound.subtype in ("FLOAT", "DOUBLE") else FULL_SCALE
            return samples * scale, int(sound.samplerate)
    except (soundfile.SoundFileError, OSError) as error:
        raise InputError(path, "cannot be read", found=str(error)) from None


def _form(samples: np.ndarray, rate: int) -> str:
    return f"{samples.shape[0]} samples of {samples.shape[1]} channels at {rate} Hz"


def _files(folder: Path) -> dict[str, set[str]]:
    """The kinds of files of each scene in a folder."""
    try:
        names = os.listdir(folder)
    except OSError:
        raise InputError(folder, "no such folder", wanted="a folder of scene files") from None
    found: dict[str, set[str]] = {}
    for match in filter(None, map(_NAME.fullmatch, names)):
        found.setdefault(match["scene"], set()).add(match["kind"])
    if not found:
        raise InputError(folder, "holds no scenes", wanted="files such as S06001_mix_CH1.wav")
    return found


def _file(scene: str, kind: str) -> str:
    return f"{scene}_{kind}.wav"


def _evenly(names: Sequence[str], count: int) -> list[str]:
    if count < 1:
        raise InputError("--scenes", "is too small", found=count, wanted="at least 1")
    count = min(count, len(names))
    return [names[index * len(names) // count] for index in range(count)]


def comparison_text(found: SceneComparison) -> str:
    """The comparison for people."""
    rows = [["file", "scenes", "equal", "differing", "largest", "level re signal", "worst scene"]]
    for kind in found.kinds:
        share = 100 * kind.differing / kind.samples if kind.samples else 0.0
        unit = "" if kind.kind == "hr" else " LSB"
        rows.append(
            [
                kind.kind,
                str(kind.files),
                str(kind.equal),
                f"{share:.4f} %",
                f"{kind.largest:.3g}{unit}",
                "-" if not kind.difference else f"{kind.level:.1f} dB",
                kind.worst or "-",
            ]
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        )
        for row in rows
    ]
    lines += [f"other form: {line}" for line in found.forms[:NAMED]]
    if len(found.forms) > NAMED:
        lines.append(f"other form: {len(found.forms) - NAMED} more files")
    for number, side in ((found.only_packaged, "packaged"), (found.only_rendered, "rendered")):
        if number:
            lines.append(f"{number} scenes are only {side}")
    lines.append(
        f"({len(found.scenes)} scenes; equal: files of the same bytes; LSB: a step of 16 bits; "
        "hr: in the file's own unit)"
    )
    return "\n".join(lines)
