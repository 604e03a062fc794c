"""Running units: order, where they run, failures, interruption, and what is done already."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hearlab.compute.attempts.failures import UnitsFailed
from hearlab.compute.engine import run
from hearlab.compute.execution import shown_file
from hearlab.compute.process import worker_count
from hearlab.compute.units import Unit
from hearlab.errors import InputError, ParameterError
from waits import LONGEST, until

OUT, INDEX = Path("out"), Path("units.json")


def noise(root: Path, out: Path, *, seed: int) -> float:
    """A unit whose result comes from its own seed; module-level, as workers need it."""
    return float(np.random.RandomState(seed).standard_normal(1000).sum())


def copy(root: Path, out: Path, *, source: str, marks: str) -> int:
    """Doubles a text file, and leaves a mark each time it really runs."""
    Path(marks, f"{source}.{time.monotonic_ns()}").touch()
    text = (root / source).read_text()
    (out / f"{source}.out").write_text(2 * text)
    return len(text)


def odd_only(root: Path, out: Path, *, number: int, folder: str) -> int:
    Path(folder, str(number)).touch()
    if number == 4:
        raise ZeroDivisionError("four")
    if number % 2 == 0:
        raise InputError("x.wav", "is even", found=number)
    logging.getLogger("hearlab.test").warning("number %d is odd", number)
    return number


def process_id(root: Path, out: Path, *, wait: float, number: int) -> int:
    time.sleep(wait)
    return os.getpid()


def promises(root: Path, out: Path) -> None:
    (out / "other.txt").touch()


Work = Callable[..., list[Any]]


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Work:
    """Run units in a workspace of their own."""
    root = tmp_path / "workspace"
    root.mkdir()
    monkeypatch.setenv("HEARLAB_WORKERS", "1")  # all here, however slow the machine is just now

    def start(units: list[Unit], out: Path | None = None) -> list[Any]:
        return run("test", units, out, INDEX, root=root)

    return start


def odd_units(folder: Path, numbers: range) -> list[Unit]:
    folder.mkdir(exist_ok=True)
    return [Unit(f"unit {n}", odd_only, {"number": n, "folder": str(folder)}) for n in numbers]


def test_results_come_in_the_order_of_the_units(work: Work) -> None:
    units = [Unit(f"u{seed}", noise, {"seed": seed}) for seed in (5, 3, 9, 1)]
    wanted = [float(np.random.RandomState(seed).standard_normal(1000).sum()) for seed in (5, 3, 9, 1)]
    assert work(units) == wanted


def test_little_work_stays_in_this_process(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEARLAB_WORKERS", "2")
    units = [Unit(str(n), process_id, {"wait": 0, "number": n}) for n in range(10)]
    assert work(units) == [os.getpid()] * 10


def test_a_failing_unit_does_not_stop_the_others(
    work: Work, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UnitsFailed) as caught:
        work(odd_units(tmp_path / "marks", range(1, 6)))
    assert sorted(path.name for path in (tmp_path / "marks").iterdir()) == ["1", "2", "3", "4", "5"]
    lines = str(caught.value).splitlines()
    assert lines[0] == "test: 2 of 5 units failed"
    assert lines[1] == "  unit 2: x.wav: is even (found 2)"
    assert lines[2].startswith(f"  unit 4: ZeroDivisionError: four ({shown_file(__file__)}: line ")
    assert "Traceback" in caught.value.failures[1].trace
    shown = capsys.readouterr().err
    assert "unit 1: warning: number 1 is odd" in shown
    assert "test: 5/5" in shown
    assert "2 failed" in shown


def test_what_others_finished_is_not_lost_by_a_failure(work: Work, tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    with pytest.raises(UnitsFailed):
        work(odd_units(marks, range(1, 6)))
    for mark in marks.iterdir():
        mark.unlink()
    with pytest.raises(UnitsFailed):
        work(odd_units(marks, range(1, 6)))
    assert sorted(mark.name for mark in marks.iterdir()) == ["2", "4"]


def test_repeated_warnings_are_counted(work: Work, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    work(odd_units(tmp_path / "marks", range(1, 21, 2)))
    shown = capsys.readouterr().err
    assert shown.count(": warning: number") == 3
    assert "test: 7 more warnings like: unit 19: number 19 is odd\n" in shown


def printing(root: Path, out: Path, *, number: int) -> None:
    sys.stdout.write("half")
    sys.stdout.write(f" line {number}\n\nnext\rover it\n")
    sys.stderr.write("no end of line")


def test_what_units_print_has_their_names(work: Work, capsys: pytest.CaptureFixture[str]) -> None:
    work([Unit(f"unit {n}", printing, {"number": n}) for n in range(2)])
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.splitlines()[:-1] == [
        f"test: unit {n}: {line}" for n in range(2) for line in (f"half line {n}", "next", "over it", "no end of line")
    ]


def calling(root: Path, out: Path) -> None:
    for stream in (sys.stdout, sys.stderr):
        subprocess.run([sys.executable, "-c", "print('from a program')"], stdout=stream, check=True)
        "é".encode(stream.encoding)


def test_a_unit_may_give_its_streams_to_a_program(work: Work, capfd: pytest.CaptureFixture[str]) -> None:
    work([Unit("unit", calling, {})])
    assert capfd.readouterr().err.count("from a program\n") == 2


def talking(root: Path, out: Path) -> None:
    for number in range(1000):
        sys.stdout.write(f"{number}\n")
    sys.stdout.write("x" * 10_000)


def test_a_unit_that_prints_without_end_is_cut(work: Work, capsys: pytest.CaptureFixture[str]) -> None:
    work([Unit("talker", talking, {})])
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("test: talker: ")]
    assert lines == [*(f"test: talker: {number}" for number in range(200)), "test: talker: (801 more lines)"]


# --- what is done already ---------------------------------------------------------------------------------------


@pytest.fixture
def copies(tmp_path: Path) -> Callable[[], tuple[list[str], list[Unit]]]:
    """Three copy units; gives what really ran since the last look, and the units."""
    root, marks = tmp_path / "workspace", tmp_path / "marks"
    root.mkdir(exist_ok=True)
    marks.mkdir()
    for name in ("a", "b", "c"):
        (root / name).write_text(name)

    def look() -> tuple[list[str], list[Unit]]:
        ran = sorted(mark.name[0] for mark in marks.iterdir())
        for mark in marks.iterdir():
            mark.unlink()
        units = [
            Unit(name, copy, {"source": name, "marks": str(marks)}, inputs=(name,), outputs=(f"{name}.out",))
            for name in ("a", "b", "c")
        ]
        return ran, units

    return look


Look = Callable[[], tuple[list[str], list[Unit]]]


def outputs(root: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in sorted((root / OUT).iterdir())}


WANTED = {"a.out": "aa", "b.out": "bb", "c.out": "cc"}


def test_a_second_run_does_nothing_and_puts_everything_back(work: Work, copies: Look, tmp_path: Path) -> None:
    root = tmp_path / "workspace"
    assert work(copies()[1], OUT) == [1, 1, 1]
    index = (root / INDEX).read_bytes()
    assert outputs(root) == WANTED
    # What DVC does before it runs a stage.
    for path in (root / OUT).iterdir():
        path.unlink()
    ran, units = copies()
    assert ran == ["a", "b", "c"]
    assert work(units, OUT) == [1, 1, 1]
    assert copies()[0] == []
    assert outputs(root) == WANTED
    assert (root / INDEX).read_bytes() == index


def write_below(root: Path, out: Path, *, names: list[str]) -> None:
    for name in names:
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_text(name)


def test_outputs_in_folders_of_any_name(work: Work, tmp_path: Path) -> None:
    root = tmp_path / "workspace"
    songs = {
        f"{name}/a": [f"L1/{name}/L1_{name}.txt", f"L2/{name}/b.txt"] for name in ("Wände & 'Töne', Pt. 2", "x" * 100)
    }
    units = [Unit(song, write_below, {"names": names}, outputs=tuple(names)) for song, names in songs.items()]
    for left_over in ("L1/old/a.txt", "L3/other.txt", "file"):
        (root / OUT / left_over).parent.mkdir(parents=True, exist_ok=True)
        (root / OUT / left_over).touch()
    (root / OUT / "link").symlink_to(tmp_path)
    wanted = sorted(name for names in songs.values() for name in names)
    for _ in range(2):
        work(units, OUT)
        found = [path.relative_to(root / OUT).as_posix() for path in (root / OUT).rglob("*") if not path.is_dir()]
        assert sorted(found) == wanted
        assert not (root / OUT / "L3").exists()
        assert not (root / OUT / "link").is_symlink()
    assert tmp_path.exists()


def test_one_changed_input_runs_one_unit(work: Work, copies: Look, tmp_path: Path) -> None:
    work(copies()[1], OUT)
    (tmp_path / "workspace" / "b").write_text("B")
    work(copies()[1], OUT)
    assert copies()[0] == ["b"]
    assert outputs(tmp_path / "workspace") == {**WANTED, "b.out": "BB"}
    # Going back finds the old bytes.
    (tmp_path / "workspace" / "b").write_text("b")
    work(copies()[1], OUT)
    assert copies()[0] == []
    assert outputs(tmp_path / "workspace") == WANTED


def test_the_index_alone_is_enough(work: Work, copies: Look, tmp_path: Path) -> None:
    """As in another clone: no journal, but the versioned index and the bytes."""
    root = tmp_path / "workspace"
    work(copies()[1], OUT)
    (root / ".hearlab" / "journal.jsonl").unlink()
    work(copies()[1], OUT)
    assert copies()[0] == []
    # Without either, everything runs again.
    (root / ".hearlab" / "journal.jsonl").unlink(missing_ok=True)
    (root / INDEX).unlink()
    work(copies()[1], OUT)
    assert copies()[0] == ["a", "b", "c"]


def test_a_torn_journal_loses_only_its_last_unit(work: Work, copies: Look, tmp_path: Path) -> None:
    root = tmp_path / "workspace"
    work(copies()[1], OUT)
    (root / INDEX).unlink()
    journal = root / ".hearlab" / "journal.jsonl"
    # Three units, then the end of the run: tear the third unit's line.
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[:2]) + lines[2][:-20])
    copies()
    work(copies()[1], OUT)
    assert copies()[0] == ["c"]
    work(copies()[1], OUT)
    assert copies()[0] == []


def test_missing_bytes_are_made_again(work: Work, copies: Look, tmp_path: Path) -> None:
    root = tmp_path / "workspace"
    work(copies()[1], OUT)
    copies()
    stored = [path for path in (root / ".hearlab" / "objects").rglob("*") if path.is_file()]
    assert len(stored) == 3
    next(path for path in stored if path.read_text() == "bb").unlink()
    work(copies()[1], OUT)
    assert copies()[0] == ["b"]


def test_bytes_exist_once(work: Work, copies: Look, tmp_path: Path) -> None:
    root = tmp_path / "workspace"
    work(copies()[1], OUT)
    for path in (root / OUT).iterdir():
        assert path.stat().st_nlink == 2
        assert path.stat().st_mode & 0o222 == 0


def test_surplus_files_are_removed(work: Work, copies: Look, tmp_path: Path) -> None:
    root = tmp_path / "workspace"
    work(copies()[1], OUT)
    (root / OUT / "old.out").touch()
    work(copies()[1][:2], OUT)
    assert sorted(outputs(root)) == ["a.out", "b.out"]


def test_nothing_is_left_in_the_staging_folder(work: Work, copies: Look, tmp_path: Path) -> None:
    left = tmp_path / "workspace" / ".hearlab" / "staging" / "test" / "a"
    left.mkdir(parents=True)
    (left / "half-written").touch()
    work(copies()[1], OUT)
    assert not left.parent.exists()


def test_a_missing_input_fails_its_unit_alone(work: Work, copies: Look, tmp_path: Path) -> None:
    (tmp_path / "workspace" / "b").unlink()
    with pytest.raises(UnitsFailed, match=r"1 of 3 units failed\n  b: .*/b: no such file"):
        work(copies()[1], OUT)
    assert sorted(outputs(tmp_path / "workspace")) == ["a.out", "c.out"]


def test_a_unit_that_does_not_write_what_it_promised(work: Work) -> None:
    with pytest.raises(UnitsFailed, match=r"x: x: did not write a file that it promised \(wanted some\.txt\)"):
        work([Unit("x", promises, outputs=("some.txt",))], OUT)


def test_a_unit_listed_twice(work: Work) -> None:
    with pytest.raises(InputError, match="the same unit is listed twice"):
        work([Unit("a", noise, {"seed": 1}), Unit("a", noise, {"seed": 2})])
    with pytest.raises(InputError, match="the same output file is listed twice"):
        work([Unit(name, noise, {"seed": 1}, outputs=("x",)) for name in "ab"])


def test_no_units(work: Work) -> None:
    assert work([]) == []


def test_worker_count_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEARLAB_WORKERS", "7")
    assert worker_count() == 7
    for wrong in ("many", "0", "-1", "1.5", "", "\N{SUPERSCRIPT TWO}"):
        monkeypatch.setenv("HEARLAB_WORKERS", wrong)
        with pytest.raises(ParameterError, match="HEARLAB_WORKERS"):
            worker_count()


def test_what_was_finished_is_kept_when_nobody_reads_any_more(tmp_path: Path) -> None:
    """As with `dvc repro 2>&1 | head`."""
    units = [Unit("quiet", noise, {"seed": 1}), Unit("loud", printing, {"number": 1})]
    reading, writing = os.pipe()
    os.close(reading)
    stream = os.fdopen(writing, "w")
    with contextlib.redirect_stderr(stream), pytest.raises(BrokenPipeError):
        run("test", units, None, Path("units.json"), root=tmp_path)
    with contextlib.suppress(BrokenPipeError):
        stream.close()
    ran: list[Unit] = []
    run("test", units, None, Path("units.json"), root=tmp_path, ran=ran)
    assert [unit.id for unit in ran] == ["loud"]


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_interruption_keeps_what_was_finished(tmp_path: Path, signum: signal.Signals) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        textwrap.dedent(
            """
            import sys, time
            from pathlib import Path
            from hearlab.compute.engine import run
            from hearlab.compute.process import sigterm_interrupts
            from hearlab.compute.units import Unit

            def work(root, out, *, number, marks):
                Path(marks, f"{number}.begun").touch()
                while number == 4 and not Path("go").exists():
                    time.sleep(0.01)
                (out / f"{number}.txt").write_text(str(number))
                Path(marks, f"{number}.done").touch()

            if __name__ == "__main__":
                units = [
                    Unit(str(n), work, {"number": n, "marks": sys.argv[1]}, outputs=(f"{n}.txt",)) for n in range(10)
                ]
                try:
                    with sigterm_interrupts():
                        run("test", units, Path("out"), Path("units.json"))
                except KeyboardInterrupt:
                    sys.exit(130)
            """
        )
    )
    marks = tmp_path / "marks"
    marks.mkdir()
    command = [sys.executable, str(program), str(marks)]
    environment = {**os.environ, "HEARLAB_WORKERS": "1"}
    process = subprocess.Popen(command, cwd=tmp_path, env=environment, start_new_session=True)
    until((marks / "4.begun").exists, process)  # which goes on for ever
    process.send_signal(signum)
    assert process.wait(LONGEST) == 130
    done = {path.stem for path in marks.glob("*.done")}
    assert done == {"0", "1", "2", "3"}
    for mark in marks.iterdir():
        mark.unlink()
    (tmp_path / "go").touch()
    subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True)
    again = {path.stem for path in marks.glob("*.begun")}
    assert again == {str(n) for n in range(4, 10)}
    assert sorted(path.read_text() for path in (tmp_path / "out").iterdir()) == [str(n) for n in range(10)]
