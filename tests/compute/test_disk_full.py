"""A disk that fills up while a stage runs: a clear line, nothing finished lost, no half-written file, then going on.

The workspace lies on a small tmpfs. A ballast file leaves a few pages; the number of pages decides which write of the
run is the first that fails: a unit's own, the journal's, the index's or that of the notes of identities.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from damaged_files import small_disk

REPOSITORY = Path(__file__).resolve().parents[2]
PAGE = os.sysconf("SC_PAGE_SIZE")
DISK = 2 << 20
UNITS = ("a", "b", "c", "d")
PAGES_AT_MOST = 60  # the run needs about half of that

PROGRAM = """
    import os, sys
    from pathlib import Path
    from hearlab import cli, stages
    from hearlab.compute import engine, memo
    from hearlab.compute.units import Unit

    memo.COMMIT_SECONDS = float(os.environ["COMMIT_SECONDS"])

    def work(root, out, *, name):
        Path(os.environ["MARKS"], name).touch()
        text = (root / "in" / name).read_text()
        (out / f"{name}.large").write_text(text * 5000)
        (out / f"{name}.small").write_text(text * 100)
        return len(text)

    def run(params):
        units = [
            Unit(name, work, {"name": name}, inputs=(f"in/{name}",), outputs=(f"{name}.large", f"{name}.small"))
            for name in "abcd"
        ]
        engine.run("disk", units, Path("out"), Path("units.json"))

    if __name__ == "__main__":
        import program
        stages.STAGES["disk"] = (0,)
        sys.modules["hearlab.stages.disk"] = program
        code = cli.main(["stage", "disk"])
        if len(sys.argv) == 1:
            sys.exit(code)
        # Each run is a process, but not one that imports and reads all source again.
        for folder in sys.stdin:
            if (child := os.fork()) == 0:
                os.chdir(folder.strip())
                os.dup2(os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
                sys.exit(cli.main(["stage", "disk"]))
            print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


def fill_workspace(root: Path, version: str) -> None:
    shutil.copy(REPOSITORY / "params.yaml", root)
    (root / "in").mkdir()
    for name in UNITS:
        (root / "in" / name).write_text(f"{name}{version}")


@dataclass
class Disk:
    """A workspace on a tmpfs of its own, and the program that runs a stage in it."""

    root: Path
    programs: Path
    commit_seconds: float = 0.0
    starter: subprocess.Popen[str] | None = None

    def clear(self, version: str) -> None:
        """A workspace with inputs and nothing else."""
        for path in self.root.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        fill_workspace(self.root, version)

    def write_inputs(self, version: str) -> None:
        for name in UNITS:
            (self.root / "in" / name).write_text(f"{name}{version}")

    @contextlib.contextmanager
    def nearly_full(self, pages: int) -> Iterator[None]:
        """Only so many pages are free."""
        ballast = self.root / "ballast"
        status = os.statvfs(self.root)
        with ballast.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, status.f_bavail * status.f_frsize - pages * PAGE)
        try:
            yield
        finally:
            ballast.unlink()

    def run(self) -> tuple[subprocess.CompletedProcess[str], set[str]]:
        """Run the stage; gives what it said and the units that really ran."""
        beside = self.programs.parent  # what changes among the programs would be a change of code
        marks, said, warm = beside / "marks", beside / "said.txt", beside / "warm"
        marks.mkdir(exist_ok=True)
        if self.starter is None:
            environment = os.environ | {"MARKS": str(marks), "HEARLAB_WORKERS": "1"}
            environment["COMMIT_SECONDS"] = str(self.commit_seconds)
            command = [sys.executable, str(self.programs / "program.py"), str(said)]
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
            warm.mkdir()
            fill_workspace(warm, "0")
            self.starter = subprocess.Popen(command, cwd=warm, env=environment, text=True, **pipes)
        shutil.rmtree(marks)
        marks.mkdir()
        self.starter.stdin.write(f"{self.root}\n")
        self.starter.stdin.flush()
        code = int(self.starter.stdout.readline())
        done = subprocess.CompletedProcess("hearlab stage disk", code, stderr=said.read_text())
        return done, {path.name for path in marks.iterdir()}

    def outputs(self) -> dict[str, bytes]:
        folder = self.root / "out"
        return {path.name: path.read_bytes() for path in folder.iterdir()} if folder.exists() else {}

    def result(self) -> dict[str, bytes]:
        """Outputs and index."""
        return {**self.outputs(), "units.json": (self.root / "units.json").read_bytes()}

    def noted(self) -> set[str]:
        """Keys of the journal's whole lines."""
        keys = set()
        for line in (self.root / ".hearlab" / "journal.jsonl").read_text(errors="replace").splitlines():
            with contextlib.suppress(ValueError):
                keys.add(json.loads(line).get("key"))
        return keys - {None}

    def check_objects(self) -> None:
        for path in (self.root / ".hearlab" / "objects").rglob("*"):
            if path.is_file():
                assert hashlib.md5(path.read_bytes()).hexdigest() == path.parent.name + path.name

    def leftovers(self) -> list[str]:
        """Everything that a finished run leaves behind beside results, store and notes."""
        paths = {path.relative_to(self.root).as_posix() for path in self.root.rglob("*") if path.is_file()}
        known = {
            "params.yaml",
            "units.json",
            ".hearlab/journal.jsonl",
            ".hearlab/identities.txt",
            ".hearlab/disk.lock",
            ".hearlab/timings.jsonl",
            ".hearlab/unit-times.json",
        }
        return sorted(p for p in paths - known if not p.startswith(("in/", "out/", ".hearlab/objects/")))


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    root, programs = tmp_path / "disk", tmp_path / "programs"
    programs.mkdir()
    (programs / "program.py").write_text(textwrap.dedent(PROGRAM))
    with small_disk(root, DISK):
        made = Disk(root, programs)
        yield made
        if made.starter is not None:
            made.starter.communicate()


def check_message(done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    lines = [line for line in done.stderr.splitlines() if "No space left on device" in line]
    # One line for the stage, or one for each unit that could not write.
    assert lines, done.stderr
    assert all(line.startswith(("hearlab: ", "  ")) for line in lines), done.stderr


def fill_up(disk: Disk, pages: int, old: dict[str, bytes], new: dict[str, bytes]) -> bool:
    """A first run, changed inputs, a run with few free pages, and one with room again; whether the second failed."""
    disk.clear("1")
    first, _ = disk.run()
    assert first.returncode == 0, first.stderr
    assert disk.result() == old
    before = disk.noted()
    disk.write_inputs("2")
    with disk.nearly_full(pages):
        done, _ = disk.run()
    failed = done.returncode != 0
    if failed:
        check_message(done)
    for name, content in disk.outputs().items():
        assert content in (old[name], new[name]), f"{pages} pages: {name} is half-written"
    disk.check_objects()
    finished = disk.noted() - before
    again, ran = disk.run()
    assert again.returncode == 0, again.stderr
    assert len(ran) == len(UNITS) - len(finished), f"{pages} pages: a finished unit was run again"
    assert disk.result() == new
    disk.check_objects()
    assert disk.leftovers() == []
    return failed


def results_without_trouble(disk: Disk) -> tuple[dict[str, bytes], dict[str, bytes]]:
    results = []
    for version in ("1", "2"):
        disk.clear(version)
        done, ran = disk.run()
        assert done.returncode == 0, done.stderr
        assert ran == set(UNITS)
        results.append(disk.result())
    return results[0], results[1]


@pytest.mark.slow
def test_a_disk_that_fills_up_in_the_second_unit(disk: Disk) -> None:
    old, new = results_without_trouble(disk)
    assert fill_up(disk, 10, old, new)


@pytest.mark.slow
@pytest.mark.parametrize("commit_seconds", [0.0, 10.0], ids=["each unit on its own", "all units together"])
def test_a_disk_that_fills_up_at_any_write(disk: Disk, commit_seconds: float) -> None:
    disk.commit_seconds = commit_seconds
    old, new = results_without_trouble(disk)
    pages = 0
    while fill_up(disk, pages, old, new):
        pages += 1
        assert pages < PAGES_AT_MOST, "the run should have had enough room"
    assert pages > len(UNITS) * 4  # every page of every output was the first that did not fit
