"""hearlab memo: status, gc, verify."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from hearlab.cli import main
from hearlab.compute import memo_maintenance
from hearlab.compute.attempts.failures import UnitsFailed
from hearlab.compute.engine import run
from hearlab.compute.units import Unit
from hearlab.errors import InputError

FIRST, SECOND = Path("data/demo/first"), Path("data/demo/second")
NAMES = ("a", "b", "c")


def index(stage: str) -> Path:
    return Path("data/demo/units") / f"{stage}.json"


def upper(root: Path, out: Path, *, name: str, suffix: str = "") -> None:
    if suffix == "fail":
        raise InputError(name, "fails")
    (out / name).write_text((root / "input" / name).read_text().upper() + suffix)


def length(root: Path, out: Path, *, name: str) -> int:
    text = (root / FIRST / name).read_text()
    (out / name).write_text(text + text)
    return len(text)


class Pipeline:
    """Two stages in a row; counts the units that really ran."""

    def __init__(self, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.root, self._capsys = root, capsys
        for name in NAMES:
            (root / "input").mkdir(exist_ok=True)
            (root / "input" / name).write_text(f"text {name}")

    def run(self, suffix: str = "") -> tuple[int, int]:
        first = [Unit(n, upper, {"name": n, "suffix": suffix}, inputs=(f"input/{n}",), outputs=(n,)) for n in NAMES]
        second = [Unit(n, length, {"name": n}, inputs=(f"{FIRST}/{n}",), outputs=(n,)) for n in NAMES]
        return self._ran("first", first, FIRST), self._ran("second", second, SECOND)

    def _ran(self, stage: str, units: list[Unit], out: Path) -> int:
        self._capsys.readouterr()
        run(stage, units, out, index(stage), root=self.root)
        shown = self._capsys.readouterr().err.splitlines()[-1]
        remembered = [part for part in shown.split(", ") if part.endswith("done before")]
        return len(units) - (int(remembered[0].split()[0]) if remembered else 0)

    def outputs(self) -> list[str]:
        return [(self.root / out / name).read_text() for out in (FIRST, SECOND) for name in NAMES]


@pytest.fixture
def pipeline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Pipeline:
    monkeypatch.chdir(tmp_path)
    return Pipeline(tmp_path, capsys)


def flip(path: Path) -> None:
    """Change one byte and restore size and times, as failing hardware would."""
    before = path.stat()
    content = bytearray(path.read_bytes())
    content[0] ^= 1
    os.chmod(path, 0o644)
    with path.open("r+b") as file:
        file.write(content)
    os.chmod(path, before.st_mode)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_status_counts_units_and_bytes(pipeline: Pipeline) -> None:
    pipeline.run()
    pipeline.run("!")
    rows = {row.stage: row for row in memo_maintenance.status(pipeline.root)}
    assert (rows["first"].units, rows["first"].current, rows["first"].files) == (6, 3, 6)
    assert rows["first"].size == 3 * 6 + 3 * 7
    assert rows["second"].current == 3


def test_gc_keeps_what_is_current(pipeline: Pipeline) -> None:
    pipeline.run()
    pipeline.run("!")
    assert memo_maintenance.collect_garbage(pipeline.root, dry_run=True)[0] == 6
    assert memo_maintenance.collect_garbage(pipeline.root) == (6, 3 * 6 + 3 * 12)
    assert memo_maintenance.collect_garbage(pipeline.root) == (0, 0)
    assert pipeline.run("!") == (0, 0)
    assert pipeline.run() == (3, 3)


def test_gc_keeps_what_an_interrupted_run_finished(pipeline: Pipeline) -> None:
    units = [
        Unit(n, upper, {"name": n, "suffix": "fail" if n == "c" else ""}, inputs=(f"input/{n}",), outputs=(n,))
        for n in NAMES
    ]
    with pytest.raises(UnitsFailed):
        run("first", units, FIRST, index("first"), root=pipeline.root)
    assert memo_maintenance.collect_garbage(pipeline.root) == (0, 0)
    assert pipeline.run() == (1, 3)


def test_gc_leaves_to_dvc_what_dvc_knows(pipeline: Pipeline) -> None:
    (pipeline.root / ".dvc").mkdir()
    pipeline.run()
    cache = pipeline.root / ".dvc" / "cache" / "files" / "md5"
    stored = {path.parent.name + path.name for path in cache.glob("??/*")}
    assert len(stored) == 6
    listing = [{"md5": md5, "relpath": md5} for md5 in sorted(stored)[:4]]
    (cache / "00").mkdir(exist_ok=True)
    (cache / "00" / "11.dir").write_text(json.dumps(listing))
    pipeline.run("!")
    assert memo_maintenance.collect_garbage(pipeline.root)[0] == 2


def test_verify_finds_nothing_wrong(pipeline: Pipeline) -> None:
    pipeline.run()
    assert memo_maintenance.verify(pipeline.root) == memo_maintenance.VerifyResult(6, (), ())
    assert pipeline.run() == (0, 0)


def test_a_flipped_byte_is_found_and_made_again_with_its_dependents(pipeline: Pipeline) -> None:
    pipeline.run()
    before = pipeline.outputs()
    indexes = [(pipeline.root / index(stage)).read_bytes() for stage in ("first", "second")]
    flip(pipeline.root / FIRST / "b")
    assert pipeline.outputs() != before
    # Without a look at every byte nothing shows: size, time and inode are as they were.
    assert pipeline.run() == (0, 0)
    result = memo_maintenance.verify(pipeline.root)
    assert len(result.wrong) == 1
    assert result.again == ("first: b", "second: b")
    assert (pipeline.root / ".hearlab" / "set-aside" / result.wrong[0]).exists()
    # DVC sees that these outputs changed, and runs their stages.
    assert not (pipeline.root / FIRST / "b").exists()
    assert [(pipeline.root / index(stage)).read_bytes() for stage in ("first", "second")] != indexes
    assert pipeline.run() == (1, 1)
    assert pipeline.outputs() == before
    assert [(pipeline.root / index(stage)).read_bytes() for stage in ("first", "second")] == indexes
    assert memo_maintenance.verify(pipeline.root).wrong == ()


def test_a_wrong_byte_at_the_end_of_the_line_takes_only_its_own_unit(pipeline: Pipeline) -> None:
    pipeline.run()
    before = pipeline.outputs()
    flip(pipeline.root / SECOND / "a")
    assert memo_maintenance.verify(pipeline.root).again == ("second: a",)
    assert pipeline.run() == (0, 1)
    assert pipeline.outputs() == before


def test_from_the_shell(pipeline: Pipeline, capsys: pytest.CaptureFixture[str]) -> None:
    pipeline.run()
    assert main(["memo", "status"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["stage", "units", "current", "files", "size"]
    assert lines[2].split() == ["first", "3", "3", "3", "18", "bytes"]
    assert main(["memo", "gc"]) == 0
    assert capsys.readouterr().out == "deleted 0 files, 0 bytes\n"
    assert main(["memo", "verify"]) == 0
    flip(pipeline.root / FIRST / "a")
    assert main(["memo", "verify"]) == 1
    shown = capsys.readouterr().out
    assert "6 files read, 1 wrong" in shown
    assert "  to be run again: first: a\n  to be run again: second: a\n" in shown
