"""`hearlab try`: the numbers of the pipeline, what they are compared with, errors, prints, and watching."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tiny_workspace import OWN, SCENE, SONG, make_workspace, table

from hearlab.cli import main
from hearlab.lab import laboratory
from waits import LONGEST

PROGRAM = [sys.executable, "-P", "-c", "import sys; from hearlab.cli import main; sys.exit(main())"]
MINE = ["-S", "enhance.system=tiny_lab.net:Mine"]


@pytest.fixture
def here(finished: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(finished)
    return finished


@pytest.mark.slow
def test_both_tracks(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["try", SCENE, "L1", "L2", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    wanted = table(here / "metrics" / "speech.csv")
    assert [pair["listener"] for pair in found["pairs"]] == ["L1", "L2"]
    for pair in found["pairs"]:
        # The system of params.yaml is the baseline, and there is no git: the workspace has the last result.
        assert pair["scores"] == pair["baseline"] == pair["committed"] == wanted[pair["scene"], pair["listener"]]
        assert (here / pair["sound"]).is_file()
    assert found["compared_with"]["committed"] == "workspace"
    assert main(["try", "ær", "L2", "-S", "enhance.gain=-6"]) == 0
    text = capsys.readouterr().out
    score = table(here / "metrics" / "music.csv")[SONG, "L2"]["score"]
    row = next(line for line in text.splitlines() if line.startswith("L2"))
    tried = float(row.split()[2])
    assert row.split()[1:] == ["HAAQI", f"{tried:.4f}", f"{score:.4f}", row.split()[4], f"{score:.4f}", row.split()[4]]
    assert float(row.split()[4]) == pytest.approx(tried - score, abs=1.1e-4)
    assert "sound: .hearlab/try/L2/Ærø - Où/L2_Ærø - Où_remix.flac" in text
    assert "compared with the workspace's" in text


def test_the_baseline_is_remembered_by_content(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = here / ".hearlab" / "try" / "baseline"
    assert main(["try", SCENE, "L1"]) == 0
    known = {path.name: path.read_bytes() for path in folder.iterdir()}
    computed = []
    real = laboratory.Lab.baseline_trial
    monkeypatch.setattr(laboratory.Lab, "baseline_trial", lambda *a: computed.append(a) or real(*a))
    assert main(["try", SCENE, "L1", "-S", "enhance.gain=3"]) == 0
    assert computed == []
    assert main(["try", SCENE, "L1", "-S", "evaluate.level=90"]) == 0  # another score, also of the baseline
    assert len(computed) == 1
    for path in folder.iterdir():
        path.write_text("[")  # as a fault of the disk leaves it
    assert main(["try", SCENE, "L1"]) == 0
    assert {
        name: (folder / name).read_bytes() for name in known if (folder / name).read_text() != "["
    }.items() <= known.items()


def test_the_committed_result(tmp_path: Path, finished: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    """HEAD's table comes from DVC's cache, whatever the workspace's says; that of another data set does not count."""
    root = tmp_path / "lab"
    subprocess.run(["cp", "-a", str(finished), str(root)], check=True)
    monkeypatch.chdir(root)
    content = f"scene,listener,haspi\n{SCENE},L1,0.12500000\n".encode()
    from hearlab.files import md5_of_bytes

    md5 = md5_of_bytes(content)
    cached = root / ".dvc" / "cache" / "files" / "md5" / md5[:2] / md5[2:]
    cached.parent.mkdir(parents=True)
    cached.write_bytes(content)
    lock = "schema: '2.0'\nstages:\n  score_speech:\n    cmd: x\n    deps:\n"
    lock += "    - path: data/{}/enhanced\n      md5: {}.dir\n"
    lock += f"    outs:\n    - path: metrics/speech.csv\n      md5: {md5}\n      size: {len(content)}\n"

    def commit(dataset: str) -> None:
        (root / "dvc.lock").write_text(lock.format(dataset, "0" * 32))
        git = ["git", "-c", "user.name=T", "-c", "user.email=t@example.org"]
        subprocess.run([*git, "init", "--quiet"], check=True)
        subprocess.run([*git, "add", "dvc.lock"], check=True)
        subprocess.run([*git, "commit", "--quiet", "--message", "x"], check=True)

    commit("demo")
    assert main(["try", SCENE, "L1", "L2", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["compared_with"]["committed"].startswith("HEAD (")
    assert [pair["committed"] for pair in found["pairs"]] == [{"haspi": 0.125}, None]
    commit("clarity")
    assert main(["try", SCENE, "L1"]) == 0
    assert "no committed scores (HEAD has no scores here)" in capsys.readouterr().out


@pytest.mark.slow
def test_an_own_system_and_its_prints(here: Path, own: Path) -> None:
    """In a process of its own, as users start it: its arithmetic is not fixed, that of the scores is."""
    command = [*PROGRAM, "try", SCENE, "L1", *MINE, "-S", "+enhance.params.gain=0.5", "--json"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines() == ["loaded", "speech for L1"]
    (pair,) = json.loads(done.stdout)["pairs"]
    assert pair["scores"] != pair["baseline"]
    lab = laboratory.open_lab(here)
    assert pair["scores"] == lab.score(SCENE, "L1", 0.5 * lab.signals(SCENE).microphones["CH1"])


def test_errors_are_one_line(here: Path, own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["try", SCENE, "L1", "-S", "enhance.gain=loud"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("hearlab: ")
    assert 'params.yaml: enhance.gain: wrong value (found "loud", wanted a valid number)' in line
    (own / "net.py").write_text(OWN.replace("return self.gain *", "return self.gian *"))
    assert main(["try", SCENE, "L1", *MINE]) == 1
    out, err = capsys.readouterr()
    assert "speech for L1" in out, err
    (line,) = err.splitlines()
    where = OWN.splitlines().index('        return self.gain * microphones["CH1"]') + 1
    assert f"tiny_lab/net.py: line {where}, in speech: AttributeError: 'Mine' object has no attribute 'gian'" in line
    advice = "; hearlab try --debug shows the traceback"
    assert line.endswith(advice)
    assert main(["try", SCENE, "L1", *MINE, "--debug"]) == 1
    err = capsys.readouterr().err
    assert err.startswith('Traceback (most recent call last):\n  File "')
    assert f'tiny_lab/net.py", line {where}, in speech' in err.splitlines()[1]
    assert err.splitlines()[-1] == line.removesuffix(advice)


CRASHING = OWN.replace(
    "        return self.gain * micro", "        __import__('ctypes').string_at(0)\n        return micro"
)
CRASH_LINE = 1 + next(n for n, line in enumerate(CRASHING.splitlines()) if "string_at" in line)


def test_a_crash_names_its_line(here: Path, own: Path) -> None:
    (own / "net.py").write_text(CRASHING)
    done = subprocess.run([*PROGRAM, "try", SCENE, "L1", *MINE], capture_output=True, text=True)
    assert done.returncode == -signal.SIGSEGV
    assert "Fatal Python error: Segmentation fault" in done.stderr
    assert f'tiny_lab/net.py", line {CRASH_LINE} in speech' in done.stderr


def test_watching_tells_that_a_process_died(tmp_path: Path, own: Path) -> None:
    root = make_workspace(tmp_path / "lab", enhance__system="tiny_lab.net:Mine")
    (own / "net.py").write_text(CRASHING)
    with watching(root, SCENE, "L1") as watched:
        lines = watched.until("its process died")
        assert lines[-1] == "hearlab: its process died (SIGSEGV: Segmentation fault)"
        assert any(f'tiny_lab/net.py", line {CRASH_LINE} in speech' in line for line in lines)
        watched.until("waiting for a change")


@pytest.mark.slow
def test_the_picture(here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("matplotlib")
    shown = here / ".hearlab" / "try" / "browser"
    monkeypatch.setenv("BROWSER", f"{sys.executable} -c \"import sys; open('{shown}', 'w').write(sys.argv[1])\" %s")
    assert main(["try", SONG, "L2", "--draw"]) == 0
    (line,) = (line for line in capsys.readouterr().out.splitlines() if line.startswith("picture: "))
    assert (here / line.removeprefix("picture: ")).read_bytes().startswith(b"\x89PNG")
    assert not shown.exists()


class Watched:
    """`hearlab try --watch` in a process of its own, whose lines can be waited for."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self.process.stdout:
            self.lines.put(line.rstrip("\n"))

    def until(self, text: str) -> list[str]:
        """The lines up to one that holds a text."""
        seen: list[str] = []
        end = time.monotonic() + LONGEST
        while not any(text in line for line in seen):
            try:
                seen.append(self.lines.get(timeout=max(0.1, end - time.monotonic())))
            except queue.Empty:
                pytest.fail(f"no line with {text!r} in {seen}")
        return seen


@contextlib.contextmanager
def watching(root: Path, *arguments: str) -> Iterator[Watched]:
    command = [*PROGRAM, "try", *arguments, "--watch"]
    # In one pipe: the lines of two come in any order.
    process = subprocess.Popen(command, cwd=root, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        yield Watched(process)
    finally:
        process.kill()
        process.wait()


def edit(file: Path, text: str) -> None:
    """Replace a file at once: of one that is half written, the watch may take the half."""
    beside = file.parents[1] / "edited"  # in no folder that is watched
    beside.write_text(text)
    beside.rename(file)


@pytest.mark.slow
def test_watching(tmp_path: Path, own: Path) -> None:
    root = make_workspace(tmp_path / "lab", enhance__system="tiny_lab.net:Mine")
    with watching(root, SCENE, "L1") as watched:
        first = next(line for line in watched.until("waiting for a change") if line.startswith("L1"))
        edit(own / "net.py", OWN.replace("gain=2.0", "gain=0.02"))
        lines = watched.until("waiting for a change")
        assert any(line.endswith("tiny_lab/net.py changed") for line in lines)
        second = next(line for line in lines if line.startswith("L1"))
        assert second.split()[3] != first.split()[3]  # the new code ran
        assert second.split()[4] == first.split()[4]  # beside the same baseline
        edit(own / "net.py", "def broken(:\n")
        lines = watched.until("waiting for a change")
        assert any("tiny_lab/net.py: line 1: SyntaxError: " in line for line in lines), lines
        params = root / "params.yaml"
        edit(params, params.read_text().replace("tiny_lab.net:Mine", "hearlab.systems.baseline:Baseline"))
        lines = watched.until("waiting for a change")
        third = next(line for line in lines if line.startswith("L1"))
        assert third.split()[3] == third.split()[4]
        os.kill(watched.process.pid, signal.SIGINT)
        assert watched.process.wait(LONGEST) == 0
        assert watched.until("stopped watching") == ["hearlab: stopped watching"]


@pytest.mark.slow
def test_ctrl_c_while_it_runs(tmp_path: Path, own: Path) -> None:
    root = make_workspace(tmp_path / "lab", enhance__system="tiny_lab.net:Mine")
    (own / "net.py").write_text(
        OWN.replace('print("speech', 'print("asleep", flush=True); __import__("time").sleep(600)#')
    )
    with watching(root, SCENE, "L1") as watched:
        watched.until("asleep")
        os.kill(watched.process.pid, signal.SIGINT)
        assert watched.process.wait(LONGEST) == 130
        assert watched.until("interrupted")[-1].startswith("interrupted; what was finished is kept")
