"""Runs the units of a stage: what is done already is put into place, the rest is run and kept.

Little work runs in this process. When measured unit times say that more cores would end sooner, the rest goes to worker
processes, or to the Ray cluster that RAY_ADDRESS names. Results do not depend on the order of units, on the number of
workers, or on where they ran. A failing unit does not stop the others: failures are listed at the end.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import traceback
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hearlab.compute import timings
from hearlab.compute.attempts.failures import UnitsFailed, hopeless
from hearlab.compute.attempts.in_flight import InFlight
from hearlab.compute.attempts.outcomes import outcomes
from hearlab.compute.entries import Entry
from hearlab.compute.execution import Failure, Outcome, unit_folder
from hearlab.compute.memo import Memo
from hearlab.compute.unchanged import CodeWatch, changed, check_inputs, place
from hearlab.compute.units import Unit
from hearlab.errors import InputError
from hearlab.progress import UnitProgress
from hearlab.versions import dvc_state

# A warning that concerns every scene is shown this often and counted afterwards.
REPEATED_WARNINGS = 3


def run(
    stage: str,
    units: Sequence[Unit],
    out: Path | None,
    index: Path,
    *,
    root: Path | None = None,
    code: CodeWatch | None = None,
    unchanged: Callable[[], None] = lambda: None,
    ran: list[Unit] | None = None,
) -> list[Any]:
    """Run all units and return their results in the order of `units`.

    Args:
        stage: name for progress and messages, such as 'render_scenes dev'.
        units: the stage's work.
        out: the stage's output folder, relative to `root`; it holds the units' files and nothing else afterwards.
            None if units write no files.
        index: file of the versioned index, relative to `root`.
        root: the workspace; the current folder by default.
        code: the units' code as it was before any of it was loaded.
        unchanged: called before the index is written; raises if what the caller began with has changed.
        ran: gets the units that were run and not done before, in their order.

    Raises:
        InputError: code or inputs have changed meanwhile; what was finished before is kept.
        UnitsFailed: one or more units failed (after all others were run).
        KeyboardInterrupt: interrupted; what was finished is kept.
    """
    root = (root or Path.cwd()).resolve()
    _check_unique(stage, units)
    memo = Memo(root)
    memo.check_inside(out, index)
    with memo.locked(stage) as staging:
        memo.load_index(root / index)
        work = _Run(stage, units, memo, staging, root, out, code or CodeWatch())
        results = work.run(root / index, unchanged)
        if ran is not None:
            ran += [unit for unit in units if unit.id in work.ran]
        return results


def _check_unique(stage: str, units: Sequence[Unit]) -> None:
    for names, what in (
        (Counter(unit.id for unit in units), "unit"),
        (Counter(name for unit in units for name in unit.outputs), "output file"),
    ):
        repeated = [name for name, count in names.items() if count > 1]
        if repeated:
            raise InputError(stage, f"the same {what} is listed twice", found=repeated[0])


class _Run:
    def __init__(
        self,
        stage: str,
        units: Sequence[Unit],
        memo: Memo,
        staging: Path,
        root: Path,
        out: Path | None,
        code: CodeWatch,
    ) -> None:
        self.stage, self.units, self.memo, self.staging, self.root, self.out = stage, units, memo, staging, root, out
        self.code = code
        self.identities = memo.identities()
        self.progress = UnitProgress(stage, len(units))
        self.results: dict[str, Any] = {}
        self.failures: dict[str, Failure] = {}
        self.keys: dict[str, tuple[str, tuple[str, ...]]] = {}
        self.places: dict[str, list[tuple[int, int, int]]] = {}  # of the inputs of units that are to run
        self.shown: Counter[str] = Counter()
        self.last_shown: dict[str, str] = {}
        self.in_flight = InFlight(memo.folder, stage)
        self.seconds: list[float] = []
        self.codes: dict[Any, Unit] = {}  # of units since the last commit, one for each code
        self.ran: set[str] = set()
        self._index = ""  # relative to the root; known when it runs

    def run(self, index: Path, unchanged: Callable[[], None]) -> list[Any]:
        self._index = os.path.relpath(index, self.root)
        try:
            pending = self._done_before()
            self._clear_surplus()
            lost_before = len(self.failures)
            with self.progress, contextlib.closing(self._outcomes(pending)) as arriving:
                for count, (unit, outcome) in enumerate(arriving, start=1):
                    timings.unit_ran(0.0 if outcome.here else outcome.core)
                    self._finish(unit, outcome)
                    ran = list(self.failures.values())[lost_before:]
                    if count < len(pending) and hopeless(ran, count - len(ran)):
                        raise self._failed(len(pending) - count)
        except InputError:
            self.code.check_all()  # a worker that saw a change of code says less
            raise
        finally:
            try:
                for template, count in self.shown.items():
                    if count > REPEATED_WARNINGS:
                        last = self.last_shown[template]
                        self.progress.message(f"{self.stage}: {count - REPEATED_WARNINGS} more warnings like: {last}")
                self.progress.finish()
            finally:  # nobody may read any more: `dvc repro 2>&1 | head`
                self._commit()
            timings.note_unit_seconds(self.memo.folder, self._index, self.seconds)
        if self.failures:
            raise self._failed()
        inputs = {
            name: md5 for unit in self.units for name, md5 in zip(unit.inputs, self.keys[unit.id][1], strict=True)
        }
        check_inputs(inputs, self.identities.of)
        self.code.check_all()
        unchanged()
        self.memo.write_index(index, {unit.id: self.keys[unit.id][0] for unit in self.units})
        self.memo.finish(self.stage)
        self._note_md5()
        timings.units_finished(index, len(self.units))
        return [self.results[unit.id] for unit in self.units]

    def _failed(self, not_tried: int = 0) -> UnitsFailed:
        failures = [self.failures[unit.id] for unit in self.units if unit.id in self.failures]
        return UnitsFailed(self.stage, failures, len(self.units), not_tried)

    def _outcomes(self, pending: Sequence[Unit]) -> Generator[tuple[Unit, Outcome], None, None]:
        return outcomes(
            pending,
            self.root,
            self.staging,
            self.stage,
            idle=self._commit,
            code=self.code.identity,
            progress=self.progress,
            in_flight=self.in_flight,
            start=timings.WorkersStart(self.memo.folder),
            seconds=timings.unit_seconds(self.memo.folder).get(self._index, 0.0),
        )

    def _done_before(self) -> list[Unit]:
        """Put what is done into place; the rest is still to do."""
        ignore = os.environ.get("HEARLAB_MEMO") == "ignore"  # compute everything again, to check it
        pending = []
        for unit in self.units:
            code = self.code.identity(unit)
            self.identities.latest.clear()
            try:
                self.keys[unit.id] = unit.key(self.identities, code)
            except InputError as error:
                self._fail(Failure(unit.id, str(error), traceback.format_exc()))
                continue
            promise = self.stage, unit.id, "" if self.out is None else self.out.as_posix(), unit.outputs
            entry = None if ignore else self.memo.find(self.keys[unit.id][0], promise)
            if entry is None:
                self.places[unit.id] = [self.identities.latest[name] for name in unit.inputs]
                known = {"key": self.keys[unit.id][0]} if unit.resumes and not ignore else {}
                pending.append(replace(unit, arguments={**unit.arguments, **known}))
                continue
            self._place(entry)
            self.results[unit.id] = entry.result
            self.progress.advance(remembered=True)
        self.identities.save()
        return pending

    def _place(self, entry: Entry) -> None:
        if self.out is not None:
            self.memo.store.place(entry.files, self.root / self.out)

    def _clear_surplus(self) -> None:
        """DVC empties a stage's folder before it runs the stage; a stage run by hand gets the same."""
        if self.out is None:
            return
        folder = self.root / self.out
        folder.mkdir(parents=True, exist_ok=True)
        wanted = {os.path.normpath(name) for unit in self.units if unit.id in self.results for name in unit.outputs}
        for parent, folders, files in os.walk(folder, topdown=False):
            place = os.path.relpath(parent, folder)
            links = [name for name in folders if os.path.islink(os.path.join(parent, name))]
            for name in (*files, *links):
                if os.path.normpath(os.path.join(place, name)) not in wanted:
                    os.unlink(os.path.join(parent, name))
            if parent != os.fspath(folder):
                with contextlib.suppress(OSError):  # not empty
                    os.rmdir(parent)

    def _finish(self, unit: Unit, outcome: Outcome) -> None:
        for template, text in outcome.warnings:
            self.shown[template] += 1
            self.last_shown[template] = f"{unit.id}: {text}"
            if self.shown[template] <= REPEATED_WARNINGS:
                self.progress.message(f"{self.stage}: {unit.id}: warning: {text}")
        staged = unit_folder(self.staging, unit.id)
        if outcome.failure is not None:
            if unit.outputs:
                shutil.rmtree(staged, ignore_errors=True)
            self._fail(outcome.failure)
            return
        key, inputs = self.keys[unit.id]
        try:
            self._check_inputs(unit)
            files = self.memo.store.stored_files(staged, unit.outputs, unit.id, self.root, unit.inputs, outcome.digests)
        except InputError as error:
            self._fail(Failure(unit.id, str(error), str(error)))
            return
        out = "" if self.out is None else self.out.as_posix()
        entry = Entry(key, self.stage, unit.id, out, inputs, files, outcome.result)
        self.memo.keep(entry, staged)
        self.codes[unit.function, unit.code] = unit
        self.results[unit.id] = entry.result
        self.ran.add(unit.id)
        if not unit.light:
            self.seconds.append(outcome.core)
        self.progress.advance()
        if self.memo.commit_due:
            self._commit()

    def _commit(self) -> None:
        try:
            for unit in self.codes.values():
                self.code.check(unit)  # a look at each file of it: not for each unit, which may take less
        except InputError:
            self.memo.give_up()
            raise
        finally:
            self.codes.clear()
        for entry, staged in self.memo.commit():
            if not entry.files:
                continue
            try:
                os.rmdir(staged)  # its files have gone to the store
            except OSError:
                shutil.rmtree(staged, ignore_errors=True)
            self._place(entry)

    def _check_inputs(self, unit: Unit) -> None:
        """Raise InputError if a file was replaced, even if by the same bytes: the unit may have read others between."""
        for name, was in zip(unit.inputs, self.places[unit.id], strict=True):
            if place(os.path.join(self.root, name)) != was:
                raise changed(name, "while the unit ran")

    def _note_md5(self) -> None:
        if self.out is None or self.memo.cache is None:
            return
        files = [file for key, _ in self.keys.values() for file in self.memo.entries[key].files]
        if sum(file.size for file in files) >= dvc_state.LEAST_BYTES:
            dvc_state.note_md5(self.root, self.memo.known_files(self.out, [key for key, _ in self.keys.values()]))

    def _fail(self, failure: Failure) -> None:
        self.failures[failure.id] = failure
        self.progress.advance(failed=True)
