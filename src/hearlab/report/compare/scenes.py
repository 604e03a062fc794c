"""The package's rendered scenes beside our own rendering of them, file by file and sample by sample."""

from __future__ import annotations

import contextlib
import filecmp
import math
import multiprocessing
import os
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hearlab.audio import check_size, opened
from hearlab.errors import InputError
from hearlab.progress import UnitProgress
from hearlab.text import table

FULL_SCALE = 32768  # steps of 16 bits in a signal from 0 to 1
FEW_SCENES = 8  # for which starting other processes takes longer than reading
NAMED = 10  # files with another form that are named
_NAME = re.compile(r"(?P<scene>S\d{5})_(?P<kind>\w+)\.wav")


@dataclass(frozen=True)
class FileDifference:
    """One file of a scene in both places.

    Attributes:
        kind: such as mix_CH1.
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


@dataclass(frozen=True)
class KindDifference:
    """All files of a kind: sums of `FileDifference`, the largest difference, and the scene that has it."""

    kind: str
    files: int
    equal: int
    samples: int
    differing: int
    largest: float
    worst: str
    difference: float
    signal: float

    @property
    def level(self) -> float:
        """Level of the difference re that of the packaged signal, in dB; -inf where nothing differs."""
        if not self.difference:
            return -math.inf
        return 10 * math.log10(self.difference / self.signal) if self.signal else math.inf


@dataclass(frozen=True)
class SceneComparison:
    """What was compared.

    Attributes:
        scenes: names of the compared scenes.
        kinds: one row for each kind of file.
        forms: files of another length, rate or number of channels, and files that one side lacks, one line each.
        only_packaged, only_rendered: number of scenes that one side has alone.
    """

    scenes: tuple[str, ...]
    kinds: list[KindDifference]
    forms: list[str]
    only_packaged: int
    only_rendered: int


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
    jobs = [(packaged, rendered, scene, tuple(sorted(theirs[scene] | ours[scene]))) for scene in chosen]
    files = list(_differences(jobs, workers))
    kinds = sorted({file.kind for file in files if file.form is None})
    return SceneComparison(
        tuple(chosen),
        [_kind_difference(kind, [file for file in files if file.kind == kind and file.form is None]) for kind in kinds],
        [f"{_file(file.scene, file.kind)}: {file.form}" for file in files if file.form is not None],
        only_packaged=len(theirs) - len(shared),
        only_rendered=len(ours) - len(shared),
    )


def _kind_difference(kind: str, files: Sequence[FileDifference]) -> KindDifference:
    worst = max(files, key=lambda file: file.largest)
    return KindDifference(
        kind,
        len(files),
        sum(file.equal for file in files),
        sum(file.samples for file in files),
        sum(file.differing for file in files),
        worst.largest,
        worst.scene if worst.largest else "",
        sum(file.difference for file in files),
        sum(file.signal for file in files),
    )


Job = tuple[Path, Path, str, tuple[str, ...]]


def _differences(jobs: Sequence[Job], workers: int) -> Iterator[FileDifference]:
    with contextlib.ExitStack() as stack:
        progress = UnitProgress("data compare", len(jobs))
        stack.callback(progress.finish)
        results: Iterator[list[FileDifference]] = map(_compare_scene, jobs)
        if workers > 1 and len(jobs) >= FEW_SCENES:
            # Not forked: a copy of a process with threads can hang.
            context = multiprocessing.get_context("spawn")
            results = stack.enter_context(ProcessPoolExecutor(workers, mp_context=context)).map(_compare_scene, jobs)
        for files in results:
            yield from files
            progress.advance()


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
    with opened(path) as sound:
        check_size(path, sound.frames, sound.channels, sound.samplerate)
        samples = sound.read(sound.frames, dtype="float64", always_2d=True)
        scale = 1 if sound.subtype in ("FLOAT", "DOUBLE") else FULL_SCALE
        return samples * scale, int(sound.samplerate)


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
        largest = f"{kind.largest:.3g}{'' if kind.kind == 'hr' else ' LSB'}"
        level = "-" if not kind.difference else f"{kind.level:.1f} dB"
        rows.append([kind.kind, str(kind.files), str(kind.equal), f"{share:.4f} %", largest, level, kind.worst or "-"])
    lines = [table(rows), *(f"other form: {line}" for line in found.forms[:NAMED])]
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
