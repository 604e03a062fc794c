"""An entry confirmed or denied: its revision checked out elsewhere, its scores pulled or computed, and made again."""

from __future__ import annotations

import math
import random
import secrets
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from hearlab.errors import InputError
from hearlab.files import md5_of_bytes, parse_json
from hearlab.params import PARAMS_FILE
from hearlab.report.leaderboard.add import further_averages, rounded_interval
from hearlab.report.leaderboard.entries import LeaderboardEntry, Origin
from hearlab.report.leaderboard.origin import origin_of, result_of
from hearlab.report.leaderboard.rescore import (
    Cell,
    Cells,
    differing,
    index_cells,
    list_files,
    read_cells,
    rescore,
    scoring_units,
)
from hearlab.scoring.machines import BETWEEN_MACHINES, other_machine
from hearlab.scoring.machines import FILE as MACHINES
from hearlab.scoring.table import Pair, track_tables
from hearlab.scoring.tracks import MUSIC_LEVEL, TRACKS
from hearlab.stages import ALWAYS
from hearlab.stages.system import OUTPUT, SystemState
from hearlab.text import printable
from hearlab.versions.checkout import ADVICE, Checkout
from hearlab.versions.lock import all_outs, outs, stages_behind
from hearlab.versions.revisions import WorkspaceFiles, find_revision

State = Literal["ok", "note", "differs"]
SHOWN = 20  # cells that are named
OTHER_LISTS = "nothing can be said of the entry: put it right in DVC's cache or remote"
ROUNDING = 5e-9  # scores are written with 8 decimals


@dataclass(frozen=True)
class Check:
    """One thing that was looked at; `cell` if it names a score."""

    state: State
    text: str
    cell: bool = False

    def __str__(self) -> str:
        return printable(f"{self.state:9}{self.text}")


@dataclass
class Verification:
    """All that was looked at, and the verdict."""

    entry: LeaderboardEntry
    checks: list[Check] = field(default_factory=list)
    how: str = ""

    @property
    def differences(self) -> list[Check]:
        return [check for check in self.checks if check.state == "differs"]

    @property
    def confirmed(self) -> bool:
        return not self.differences

    def __str__(self) -> str:
        verdict = "confirmed" if self.confirmed else "denied"
        line = f"{self.entry.name}: {verdict}: {self.entry.score:.4f} ({self.how})"
        # A score that differs says more than a hash that does.
        first = sorted(self.differences, key=lambda check: not check.cell)[:1]
        return printable("; ".join([line, *(check.text for check in first)]))


def verify(
    entry: LeaderboardEntry,
    root: Path,
    *,
    units: int | None = 20,
    seed: int | None = None,
    recompute: bool = False,
    confined: bool = True,
    tolerance: float = 1e-6,
    tell: Callable[[Check], None] = lambda check: None,
) -> Verification:
    """Confirm or deny an entry.

    Args:
        root: a clone that has the entry's commit, and DVC's cache or remote.
        units: pairs to score again, drawn at random; None for all. Pairs that look wrong are always among them.
        seed: of the draw; None for an unpredictable one.
        recompute: run the revision's whole pipeline with its own code. Without it, nothing of the revision is run.
        confined: then without network, and with nothing but its own folder to write to.
        tolerance: greatest difference of a score that is made again. The same signals give the same scores but for the
            last bits, in which processors differ.
        tell: gets each check as it is made.

    Raises:
        InputError: the entry is a published one, the commit is not here or holds links that leave it, the table, the
            signals or the lists cannot be had, or are not what dvc.lock says, or the revision cannot be computed.
    """
    if not isinstance(entry.origin, Origin):
        problem = "is published: there is no revision to check out"
        raise InputError(entry.name, problem, advice="hearlab check-baseline compares it")
    with Checkout(root, entry.origin.commit) as copy:
        found = _Verifier(entry, entry.origin, copy, root, tolerance, confined, tell)
        found.run(units, secrets.randbelow(10**6) if seed is None else seed, recompute)
    return found.verification


class _Verifier:
    def __init__(
        self,
        entry: LeaderboardEntry,
        origin: Origin,
        copy: Checkout,
        root: Path,
        tolerance: float,
        confined: bool,
        tell: Callable[[Check], None],
    ) -> None:
        self.entry, self.origin, self.copy, self.root = entry, origin, copy, root
        self.tolerance, self.confined, self._tell = tolerance, confined, tell
        self.track = TRACKS[entry.track]
        self.revision = find_revision(origin.commit, root)
        self.short = origin.commit[:7]
        self.result = result_of(self.revision, self.track, self.short)
        self.verification = Verification(entry)

    def run(self, units: int | None, seed: int, recompute: bool) -> None:
        self._identities()
        content, place = self.copy.stored(self.origin.scores) or (None, "")
        altered = content is not None and md5_of_bytes(content) != self.origin.scores
        if content is None:
            absent = f"{self.result.scores}: is neither in DVC's cache nor in its remote"
            if not recompute:
                raise InputError(self.short, absent, advice=ADVICE)
            self.check("note", f"{absent}: it is computed")
            self._recompute(None)
            return
        cells = read_cells(content, f"{self.short}: {self.result.scores}")
        suspects = differing(cells, self._index(), ROUNDING)
        if altered:
            self.check("differs", f"{self.result.scores}: what {place} gives is not what dvc.lock says")
        self._table(content)
        self._averages()
        if recompute:
            self._recompute(cells)
        else:
            self._sample(cells, suspects, None if altered and not suspects else units, seed)
        if not altered:
            self._workspace(content)

    def _index(self) -> Cells:
        """What the scoring stage remembers of the scores; nothing where it cannot be had."""
        try:
            content = self.revision.read(self.result.index)
        except InputError:
            return {}
        return index_cells(content, self.track)

    def check(self, state: State, text: str, *, cell: bool = False) -> None:
        self.verification.checks.append(Check(state, text, cell))
        self._tell(self.verification.checks[-1])

    def _same(self, what: str, entry: Any, found: Any) -> None:
        if entry != found:
            self.check("differs", f"{what}: the entry says {entry}, {self.short} has {found}")

    def _identities(self) -> None:
        """What the entry says of its commit, against the commit itself."""
        before = len(self.verification.checks)
        real = origin_of(self.revision, self.result)
        self._same("dvc.lock", self.origin.lock, real.lock)
        self._same("params.yaml", self.origin.params, real.params)
        self._same(self.result.scores, self.origin.scores, real.scores)
        self._same("data set", self.entry.dataset, self.result.dataset)
        self._same("split", self.entry.split, self.result.split)
        self._same(MUSIC_LEVEL, self.entry.rule, self.result.music_level)
        for kind, own, its in (("data", self.origin.data, real.data), ("weights", self.origin.weights, real.weights)):
            for path in sorted(own.keys() | its.keys()):
                self._same(f"{kind} {path}", own.get(path), its.get(path))
        if self.origin.system is not None:
            state = SystemState(**self.origin.system.model_dump(exclude={"commits"}))
            real_system = outs(self.revision.lock.get(ALWAYS, {})).get(OUTPUT.as_posix())
            self._same("system", md5_of_bytes(state.text().encode()), real_system)
        if len(self.verification.checks) == before:
            count = 3 + len(real.data) + len(real.weights)
            self.check("ok", f"commit {self.short}: dvc.lock, parameters, data, weights, scores ({count} hashes)")

    def _table(self, content: bytes) -> None:
        """The entry's numbers against the table."""
        tables = track_tables(content, f"{self.short}: {self.result.scores}", self.track)
        mean = tables[self.track.headline.name].mean()
        before = len(self.verification.differences)
        self._same("pairs", self.entry.units, mean.units)
        if abs(mean.mean - self.entry.score) > self.tolerance:
            self.check("differs", f"score: the entry says {self.entry.score:.8f}, the scores' mean is {mean.mean:.8f}")
        averages = further_averages(tables, self.track)
        for name, score in self.entry.averages.items():
            if abs(averages.get(name, math.inf) - score) > self.tolerance:
                self._same(f"average {name}", score, averages.get(name, "no scores of it"))
        interval = rounded_interval(mean)
        if (interval is None) != (self.entry.interval is None) or any(
            abs(one - two) > self.tolerance for one, two in zip(interval or (), self.entry.interval or (), strict=False)
        ):
            own = list(self.entry.interval or ())
            self.check("differs", f"interval: the entry says {own}, the scores give {list(interval or ())}")
        if len(self.verification.differences) == before:
            self.check("ok", f"{self.result.scores}: {mean.units} pairs; mean and interval are the entry's")

    def _averages(self) -> None:
        """The average that is in git beside dvc.lock."""
        try:
            content = parse_json(self.revision.read(self.result.averages) or b"", self.result.averages)
            average = float(content[self.track.headline.name][self.track.average_key()])
        except (InputError, ValueError, KeyError, TypeError):
            self.check("note", f"{self.result.averages} cannot be read at {self.short}")
            return
        if abs(average - self.entry.score) > self.tolerance:
            self.check("differs", f"{self.result.averages}: says {average:.8f}, the entry {self.entry.score:.8f}")

    def _sample(self, cells: Cells, suspects: Sequence[Cell], units: int | None, seed: int) -> None:
        """Score pairs again."""
        wrong_lists = self.copy.pull([PARAMS_FILE, *list_files(self.track, self.result.values)])
        if wrong_lists:  # other scenes or audiograms would give other scores: neither for the entry nor against it
            raise InputError(f"{self.short}: {wrong_lists[0]}", "is not what dvc.lock says", advice=OTHER_LISTS)
        expected = scoring_units(self.copy.path, self.track)
        self._complete(cells, expected)
        doubted = {cell.pair for cell in suspects}
        pairs = [pair for pair in expected if pair in cells]
        drawn = set(pairs) if units is None else set(random.Random(seed).sample(pairs, min(units, len(pairs))))
        chosen = sorted(drawn | (doubted & set(pairs)))
        again = rescore(self.copy, self.track, {pair: expected[pair] for pair in chosen})
        for pair, cause in again.failed.items():
            self.check("differs", f"{' '.join(pair)} cannot be scored again: {cause}")
        wrong = differing({pair: cells[pair] for pair in again.cells}, again.cells, self.tolerance)
        self._cells(wrong, "scored again")
        named = {(cell.pair, cell.column) for cell in wrong}
        others = [cell for cell in suspects if (cell.pair, cell.column) not in named]
        for cell in others[:SHOWN]:
            self.check("note", f"{self.result.index} remembers another score: {cell.text('there')}")
        chance = "" if units is None or len(drawn) == len(pairs) else f", drawn with --seed {seed}"
        self.verification.how = f"{len(again.cells)} of {len(expected)} pairs scored again{chance}"
        if not wrong and not again.failed:
            self.check("ok", f"{self.verification.how}: the same within {self.tolerance:g}")

    def _complete(self, cells: Cells, expected: Collection[Pair]) -> None:
        for problem, pairs in (
            ("has no score of", sorted(set(expected) - cells.keys())),
            ("has a pair that is not of the split,", sorted(cells.keys() - set(expected))),
        ):
            for pair in pairs[:SHOWN]:
                self.check("differs", f"{self.result.scores} {problem} {' '.join(pair)}")

    def _recompute(self, cells: Cells | None) -> None:
        """Make everything again with the revision's own code."""
        stage = self.track.scoring_stage
        self.copy.recompute(self.revision.lock, stage, self.result.dataset, confined=self.confined)
        content = self.copy.made(self.result.scores)
        if content is None:
            raise InputError(self.short, "made no scores", wanted=self.result.scores)
        again = read_cells(content, self.result.scores)
        self.verification.how = f"the whole pipeline of {self.short} run again"
        if md5_of_bytes(content) == self.origin.scores:
            self.check("ok", f"computed again: {self.result.scores} is the same bytes")
        machines = other_machine(
            self.revision.read(MACHINES), self.copy.made(MACHINES), stages_behind(self.revision.lock, stage)
        )
        rounding = (0.0, 0.0) if machines is None else BETWEEN_MACHINES[self.track.name]
        tolerance, of_mean = (max(self.tolerance, allowed) for allowed in rounding)
        rounded = differing(cells, again, self.tolerance) if cells is not None else []
        wrong = differing(cells, again, tolerance) if cells is not None else []
        self._cells(wrong, "computed again")
        if cells is not None:
            self._complete(cells, again)
        mean = track_tables(content, self.result.scores, self.track)[self.track.headline.name].mean().mean
        if abs(mean - self.entry.score) > of_mean:
            self.check("differs", f"score: the entry says {self.entry.score:.8f}, computed again {mean:.8f}")
        elif not wrong:
            self.check("ok", f"computed again: {len(again)} pairs, mean {mean:.8f}, within {tolerance:g}")
        if machines is not None and (rounded or md5_of_bytes(content) != self.origin.scores):
            how = "within rounding" if not wrong else "beyond rounding"
            self.check(
                "note", f"{len(rounded)} scores differ, {how} ({tolerance:g}), made on another machine: {machines}"
            )

    def _cells(self, wrong: Sequence[Cell], how: str) -> None:
        for cell in wrong[:SHOWN]:
            self.check("differs", f"{self.result.scores}: {cell.text(how)}", cell=True)
        if len(wrong) > SHOWN:
            self.check("differs", f"{self.result.scores}: {len(wrong) - SHOWN} more cells")

    def _workspace(self, content: bytes) -> None:
        """The same result may lie in this workspace too; then it must be the same."""
        own = WorkspaceFiles(self.root)
        if all_outs(own.lock).get(self.result.scores) != self.origin.scores:
            return
        here = own.read(self.result.scores)
        if here is None or here == content:
            return
        where = f"{self.result.scores} of this workspace"
        try:
            wrong = differing(read_cells(here, where), read_cells(content, self.result.scores), 0.0)
        except InputError as error:
            self.check("differs", str(error))
            return
        for cell in wrong[:SHOWN]:
            advice = f"dvc checkout {self.result.scores}"
            self.check("differs", f"{where}: {cell.text('the entry has')}; {advice}", cell=True)
