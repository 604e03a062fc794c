"""What the soak does to a workspace between two runs: each action is a function that gives a line on what it did."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import soundfile
from damage import alter_cache, alter_notes, alter_output, alter_unseen
from small_workspace import (
    BRANCHES,
    HOME,
    INPUTS,
    LAB,
    LAB_FILES,
    SPLIT,
    UNIT_STAGES,
    change_number,
    environment,
    must,
    replace,
    said,
    set_parameter,
)

Action = Callable[[Path, random.Random], str]

# Few values each, so that runs from nothing are shared between steps.
PARAMETERS: dict[str, tuple[object, ...]] = {
    "enhance.params.gain_db": (0, 3, -6),
    "enhance.system": ("my_lab:Aid", "my_lab.aid:Aid", "hearlab.systems.baseline:Baseline"),
    "evaluate.level": (100, 95),
    "render.equalise_loudness": (False, True),
    "scenes.snr_range": ([-12, 6], [0, 6]),
    "separate.overlap": (0.1, 0.2),
    "separate.train.learning_rate": (0.01, 0.02),
}
NUMBERS = (0.55, 0.7)  # what the numbers of the own package become
SOURCES = (
    ("src/hearlab/ear/loss.py", "LOWER_KNEE_DB = 30.0", "LOWER_KNEE_DB = 31.0"),
    ("src/hearlab/fitting/nalr.py", "OWN_SHARE = 0.31", "OWN_SHARE = 0.33"),
)
WHOLE = 0.25  # of the runs make both tracks, the others speech alone, which takes a third of the time
LONGEST = 3.0  # s of a stage, after which it is killed or disturbed, at most


# --- changes of what decides the results --------------------------------------------------------------------------


def change_parameter(folder: Path, rng: random.Random) -> str:
    name = rng.choice(sorted(PARAMETERS))
    value = rng.choice(PARAMETERS[name])
    set_parameter(folder, name, value)
    _fit_constructor(folder)
    return f"{name} = {value}"


def _fit_constructor(folder: Path) -> None:
    """The baseline's constructor has no gain_db, and would refuse it."""
    text = (folder / "params.yaml").read_text()
    if "system: hearlab." in text:
        set_parameter(folder, "enhance.params", {})
    elif "gain_db" not in text:
        set_parameter(folder, "enhance.params", {"gain_db": 0})


def experiment(folder: Path, rng: random.Random) -> str:
    level, loudness = rng.choice(PARAMETERS["evaluate.level"]), rng.choice(("true", "false"))
    words = ("-S", f"evaluate.level={level}", "-S", f"render.equalise_loudness={loudness}")
    return said(folder, "dvc", "exp", "run", *words, "score_speech")


def change_input(folder: Path, rng: random.Random) -> str:
    """Replace a file of the user's data by another of a few versions; what DVC links to it stays as it is.

    DVC does not look at where the user's data are: their links are removed, so that the stage which makes them runs.
    """
    for name in INPUTS:
        shutil.rmtree(folder / name, ignore_errors=True)
    kind = rng.choice(("target", "song", "pairs", "room"))
    if kind == "pairs":
        path = folder / HOME[0] / "metadata" / f"scenes_listeners.{SPLIT}.json"
        text = path.read_text()
        change = ('"L0005"', '"L0007"') if '"L0005"' in text else ('"L0007"', '"L0005"')
        replace(path, text.replace(*change).encode())
        return f"{path.name}: {' to '.join(change)}"
    patterns = {
        "target": (HOME[0], "dev/targets/*.wav"),
        "room": (HOME[0], "dev/rooms/HOA_IRs/*_t.wav"),
        "song": (HOME[1], "task1/audio/musdb18hq/train/*/*.wav"),
    }
    root, pattern = patterns[kind]
    path = rng.choice(sorted((folder / root).glob(pattern)))
    info = soundfile.info(path)
    samples, rate = soundfile.read(path)
    beside = path.with_name(f"new-{path.name}")
    soundfile.write(beside, samples[::-1], rate, subtype=info.subtype)  # twice: what it was
    os.replace(beside, path)
    return f"{path.name} reversed"


def change_own_code(folder: Path, rng: random.Random) -> str:
    files = [name for name in sorted(LAB_FILES) if name != "my_lab/__init__.py"]
    name, value = rng.choice(files), rng.choice(NUMBERS)
    if name == "my_lab/aid.py":
        path = folder / LAB / name
        path.write_text(path.read_text().replace("weight = 0.991", f"weight = {value}"))
    else:
        change_number(folder / LAB / name, value)
    return f"{name}: {value}"


def change_source(folder: Path, rng: random.Random) -> str:
    name, published, other = rng.choice(SOURCES)
    text = (folder / name).read_text()
    new = other if published in text else published
    (folder / name).write_text(text.replace(published, other) if new == other else text.replace(other, published))
    return f"{name}: {new}"


CHANGES: tuple[Action, ...] = (change_parameter, change_input, change_own_code, change_own_code, change_source)


def _change(folder: Path, rng: random.Random) -> str:
    action = rng.choice(CHANGES)
    return f"{action.__name__} {action(folder, rng)}"


# --- runs that are killed, doubled or disturbed -------------------------------------------------------------------


def repro(rng: random.Random) -> tuple[str, ...]:
    """`dvc repro` of both tracks, or of speech alone."""
    return ("dvc", "repro") if rng.random() < WHOLE else ("dvc", "repro", "score_speech")


def _start(folder: Path, *words: str) -> subprocess.Popen[bytes]:
    with (folder.parent / "output.txt").open("ab") as output:
        return subprocess.Popen(
            words,
            cwd=folder,
            env=environment(folder),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _stage_process(run: subprocess.Popen[bytes]) -> int | None:
    """The `hearlab stage` that a `dvc repro` has started."""
    try:
        children = psutil.Process(run.pid).children(recursive=True)
        return next((child.pid for child in children if "stage" in child.cmdline()), None)
    except psutil.Error:
        return None


def _within_a_stage(run: subprocess.Popen[bytes], rng: random.Random) -> str:
    """Wait until the first, second or third stage of a run has worked for a moment, if there is one; say which."""
    number, seconds = rng.choice((1, 1, 2, 3)), rng.uniform(0, LONGEST)
    seen: set[int] = set()
    while len(seen) < number:
        if not _wait(run, 0.03):
            return "after its end"
        stage = _stage_process(run)
        if stage is not None:
            seen.add(stage)
    return f"{seconds:.1f} s after the start of stage {number}" if _wait(run, seconds) else "after its end"


def _wait(run: subprocess.Popen[bytes], seconds: float) -> bool:
    """Wait that long; whether the run still goes on."""
    try:
        run.wait(seconds)
    except subprocess.TimeoutExpired:
        return True
    return False


def kill(folder: Path, rng: random.Random) -> str:
    change = _change(folder, rng)
    how = rng.choice((signal.SIGKILL, signal.SIGINT, signal.SIGTERM))
    whom = rng.choice(("group", "group", "stage", "dvc"))
    run = _start(folder, *repro(rng))
    when = _within_a_stage(run, rng)
    if run.poll() is not None:
        return f"{change}; not killed"
    stage = _stage_process(run)
    if whom == "group":
        os.killpg(run.pid, how)
    else:
        os.kill(stage if whom == "stage" and stage is not None else run.pid, how)
    slow = _wait(run, 60)
    if slow:
        os.killpg(run.pid, signal.SIGKILL)
        run.wait()
    return f"{change}; {how.name} to the {whom} {when}{', SIGKILL after 60 s more' if slow else ''}"


def change_during_run(folder: Path, rng: random.Random) -> str:
    change = _change(folder, rng)
    run = _start(folder, *repro(rng))
    when = _within_a_stage(run, rng)
    if rng.random() < 0.3:
        during = f"git checkout --force {rng.choice(BRANCHES)}"
        must(folder, *during.split())
    else:
        during = _change(folder, rng)
    return f"{change}; {when}: {during}; it exited with {run.wait()}"


def two_runs(folder: Path, rng: random.Random) -> str:
    change, seconds = _change(folder, rng), rng.uniform(0, 6)
    second = repro(rng) if rng.random() < 0.5 else ("hearlab", "stage", *rng.choice(UNIT_STAGES).split())
    runs = [_start(folder, *repro(rng))]
    time.sleep(seconds)
    runs.append(_start(folder, *second))
    return f"{change}; after {seconds:.1f} s {' '.join(second)}; exits {[run.wait() for run in runs]}"


def ignoring_memo(folder: Path, rng: random.Random) -> str:
    stage = rng.choice(UNIT_STAGES).replace(" ", "@")
    return said(folder, "dvc", "repro", "--force", "--single-item", stage, HEARLAB_MEMO="ignore")


def by_hand(folder: Path, rng: random.Random) -> str:
    """A stage without DVC, on whatever is there."""
    return f"{_change(folder, rng)}; {said(folder, 'hearlab', 'stage', *rng.choice(UNIT_STAGES).split())}"


# --- what happens to stored bytes and versions --------------------------------------------------------------------


def collect_garbage(folder: Path, rng: random.Random) -> str:
    words = rng.choice((("hearlab", "memo", "gc"), ("dvc", "gc", "--workspace", "--force")))
    return said(folder, *words)


def push_and_pull(folder: Path, rng: random.Random) -> str:
    done = [said(folder, "dvc", "push")]
    if rng.random() < 0.5:
        shutil.rmtree(folder / ".dvc" / "cache")
        done.append("the cache is removed")
        if rng.random() < 0.5:
            shutil.rmtree(folder / ".hearlab", ignore_errors=True)
            done.append("and .hearlab")
    done.append(said(folder, "dvc", "pull", "--force"))
    return ", ".join(done)


def switch_branch(folder: Path, rng: random.Random) -> str:
    done = []
    if rng.random() < 0.5:
        done.append(said(folder, "git", "commit", "--all", "--message", "As it is", "--allow-empty", "--quiet"))
    done.append(said(folder, "git", "checkout", "--force", "--quiet", rng.choice(BRANCHES)))
    if rng.random() < 0.5:
        done.append(said(folder, "dvc", "checkout", "--force"))
    return ", ".join(done)


def nothing(folder: Path, rng: random.Random) -> str:
    return ""


# Each as often as it is listed.
ACTIONS: tuple[Action, ...] = (
    *(change_parameter, change_input, change_own_code, change_own_code, change_source, experiment),
    *(kill, kill, kill, change_during_run, change_during_run, two_runs, ignoring_memo, by_hand),
    *(collect_garbage, push_and_pull, switch_branch, switch_branch),
    *(alter_output, alter_output, alter_cache, alter_unseen, alter_notes, nothing),
)
