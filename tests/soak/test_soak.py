"""Random actions on a small workspace; after each, a run's outputs are byte by byte those of a run from nothing.

`make soak MINUTES=60 SEED=7`; what is promised is in docs/reliability.md.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import sys
import tempfile
import time
from collections import Counter, deque
from pathlib import Path

import pytest
from actions import ACTIONS, repro
from from_nothing import FromNothing, RunFailed, differences
from small_workspace import HOME, INPUTS, TRACEBACK, Fault, command, make_workspace

pytestmark = pytest.mark.slow
MINUTES_AMONG_TESTS = 1.0
ASKED_FOR = os.environ.get("HEARLAB_SOAK_MINUTES")  # by `make soak`, which draws another seed each time
MINUTES = float(ASKED_FOR or MINUTES_AMONG_TESTS)
SEED = int(os.environ.get("HEARLAB_SOAK_SEED") or (random.SystemRandom().randrange(10**6) if ASKED_FOR else 1))
TRIES = 3  # of a run: it may stop with one line that says what changed meanwhile
REASON = re.compile(r"^(hearlab: .*|.*: \d+ of \d+ units failed|ERROR: (?!.*failed to run: hearlab).*)$", re.MULTILINE)
SHOWN = 12  # files that a fault names
LATEST = 8  # actions that a fault names


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


class Soak:
    """A workspace, its right outputs, and the story so far."""

    def __init__(self, folder: Path) -> None:
        self.log = folder / "output.txt"
        self.workspace = make_workspace(folder / "workspace")
        self.right = FromNothing(folder / "from-nothing")
        self.pristine = folder / "inputs"
        for name in HOME:
            shutil.copytree(self.workspace / name, self.pristine / name)
        self.story: deque[str] = deque(maxlen=LATEST)
        self.counts: Counter[str] = Counter()

    def step(self, number: int) -> str:
        """Do a step and give the fault that it found, or nothing."""
        try:
            self._step(number)
        except (Fault, RunFailed) as fault:
            return str(fault)
        return ""

    def _step(self, number: int) -> None:
        rng = random.Random(f"{SEED} {number}")
        action = rng.choice(ACTIONS) if number else ACTIONS[-1]
        name = action.__name__
        self.counts[name] += 1
        self.story.append(f"{number} {name}")
        done = action(self.workspace, rng)
        self.story[-1] = f"{number} {name}: {done}"
        started = time.monotonic()
        words = repro(rng) if number else ("dvc", "repro")
        music = len(words) == 2
        self.story[-1] += f"; {' '.join(words)}"
        self._run(words)
        ran = time.monotonic() - started
        wrong = differences(self.workspace, self.right.expected(self.workspace, music=music), music=music)
        say(f"step {self.story[-1]} in {ran:.1f} s, compared after {time.monotonic() - started:.1f} s")
        if wrong:
            more = [f"and {len(wrong) - SHOWN} more"] if len(wrong) > SHOWN else []
            raise Fault("\n".join(("outputs differ from those of a run from nothing:", *wrong[:SHOWN], *more)))

    def _run(self, words: tuple[str, ...]) -> None:
        """Run, again if it says that something changed meanwhile, and with good inputs if they are bad."""
        for attempt in range(TRIES):
            code, output = command(self.workspace, *words)
            with self.log.open("a") as file:
                file.write(f"--- {self.story[-1]}\n{output}")
            if TRACEBACK in output:
                raise Fault(f"dvc repro shows a traceback:\n{output}")
            if code == 0:
                return
            reason = REASON.search(output)
            if reason is None:
                raise Fault(f"dvc repro failed without a reason:\n{output}")
            self.story[-1] += f"; it failed: {reason[0]}"
            self._restore_inputs(only_missing=attempt == 0)
        raise Fault(f"dvc repro failed {TRIES} times:\n{output}")

    def _restore_inputs(self, *, only_missing: bool) -> None:
        for source in self.pristine.rglob("*"):
            target = self.workspace / source.relative_to(self.pristine)
            if source.is_file() and not (only_missing and target.exists()):
                target.parent.mkdir(parents=True, exist_ok=True)
                target.unlink(missing_ok=True)
                shutil.copy2(source, target)
        for name in INPUTS:  # DVC does not look at the home: the stages that link to it run again
            shutil.rmtree(self.workspace / name, ignore_errors=True)


def test_soak() -> None:
    folder = Path(tempfile.mkdtemp(prefix="hearlab-soak-"))
    say(f"\nsoak: seed {SEED}, {MINUTES:g} minutes, in {folder}")
    soak = Soak(folder)
    end, number = time.monotonic() + 60 * MINUTES, 0
    while number == 0 or time.monotonic() < end:
        fault = soak.step(number)
        if fault:
            story = "\n".join(soak.story)
            text = f"seed {SEED}, step {number}: {fault}\nthe last actions:\n{story}\nkept in {folder}"
            pytest.fail(text, pytrace=False)
        number += 1
    counts = ", ".join(f"{name} {count}" for name, count in sorted(soak.counts.items()))
    say(f"soak: {number} steps, {soak.right.runs} runs from nothing, no difference; {counts}")
    shutil.rmtree(folder)
