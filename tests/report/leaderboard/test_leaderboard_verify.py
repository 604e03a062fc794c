"""hearlab leaderboard add and verify on a small project that was really run, with a remote between two clones."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from hearlab.compute.entries import CHECK, checksum, one_line
from hearlab.files import md5_of
from hearlab.versions.confinement import confiner
from pipeline_support import PAIRS, REPOSITORY, make_project, run

SPEECH, MUSIC = "speech-tester-baseline-demo", "music-tester-baseline-openunmix-demo"
SCORES = "metrics/speech.csv"
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of `project`, run and entered in the leaderboard, and `remote`, to which everything was pushed."""
    folder = tmp_path_factory.mktemp("board")
    project = make_project(folder / "project")
    run(project, "dvc", "remote", "add", "--default", "lab", str(folder / "remote"))
    run(project, "git", "commit", "--quiet", "--all", "--message", "Share")
    out = run(project, "hearlab", "leaderboard", "add", "--team", "Tester")
    assert "speech: is score_speech up to date?" in out  # it takes a while, and says so
    assert f"leaderboard/{SPEECH}.yaml: speech, " in out
    assert f"leaderboard/{MUSIC}.yaml: music, " in out
    commit(project)
    run(project, "dvc", "push", "--quiet")
    return folder


def board(clone: Path, *arguments: str, code: int = 0) -> str:
    """The command `hearlab leaderboard`, with this repository's code: its compiled parts are there already."""
    source = f"PYTHONPATH={REPOSITORY / 'src'}"
    return run(clone, "env", source, "hearlab", "leaderboard", *arguments, code=code)


def commit(folder: Path) -> None:
    run(folder, "git", "add", "--all")
    run(folder, "git", "commit", "--quiet", "--message", "Enter")


@pytest.fixture
def clone(shared: Path, tmp_path: Path) -> Path:
    """A clone that has the git history and the remote, and no data."""
    run(tmp_path, "git", "clone", "--quiet", str(shared / "project"), "clone")
    return tmp_path / "clone"


@pytest.fixture
def in_remote(shared: Path) -> Iterator[Callable[[str], Path]]:
    """Where the remote has a file of the project; what is altered there is put right at the end."""
    kept: dict[Path, bytes] = {}

    def find(name: str) -> Path:
        lock = YAML(typ="safe").load((shared / "project" / "dvc.lock").read_text())
        md5 = next(o["md5"] for stage in lock["stages"].values() for o in stage.get("outs", []) if o["path"] == name)
        path = shared / "remote" / "files" / "md5" / md5[:2] / md5[2:]
        kept[path] = path.read_bytes()
        return path

    yield find
    for path, content in kept.items():
        path.unlink(missing_ok=True)
        path.write_bytes(content)


def verify(clone: Path, entry: str, *options: str, code: int = 0) -> str:
    out = board(clone, "verify", entry, *options, code=code)
    assert list((clone / ".hearlab").iterdir()) == [], "something was left behind"
    assert run(clone, "git", "status", "--porcelain", "--untracked-files=all") == ""
    return out


def altered(path: Path) -> tuple[str, str, str]:
    """Alter one score; gives its scene, listener and the right value."""
    with path.open(newline="") as file:
        rows = list(csv.reader(file))
    scene, listener, right = rows[3]
    rows[3][2] = f"{float(right) + 0.1:.8f}"
    content = "".join(",".join(row) + "\n" for row in rows)
    path.unlink()  # it may be a link to the cache
    path.write_text(content)
    return scene, listener, right


def test_confirmed_from_a_second_clone(clone: Path) -> None:
    out = verify(clone, SPEECH, "--units", "4", "--seed", "3")
    assert f"{SPEECH}: confirmed: " in out
    assert f"4 of {PAIRS} pairs scored again, drawn with --seed 3: the same within 1e-06" in out
    out = verify(clone, f"leaderboard/{MUSIC}.yaml")
    assert "1 of 1 pairs scored again: the same" in out
    assert f"{MUSIC}: confirmed: " in out
    table = board(clone)
    assert "speech: better-ear HASPI, demo dev" in table
    assert "music: HAAQI, demo valid, every 15th pair, challenge level" in table
    assert "cec2-baseline" in table


def test_a_table_altered_on_the_remote(clone: Path, in_remote: Callable[[str], Path]) -> None:
    path = in_remote(SCORES)
    scene, listener, right = altered(path)
    out = verify(clone, SPEECH, "--units", "1", code=1)
    assert f"{SCORES}: what the remote gives is not what dvc.lock says" in out
    cell = f"{SCORES}: {scene} {listener}, haspi: found {float(right) + 0.1:.8f}, scored again {right}"
    assert f"differs  {cell}\n" in out
    last = out.splitlines()[-1]
    assert last.startswith(f"{SPEECH}: denied: ")
    assert last.endswith(cell)
    # The altered bytes did not reach the cache.
    assert not (clone / ".dvc" / "cache" / "files" / "md5" / path.parent.name / path.name).exists()


def test_a_signal_altered_on_the_remote(clone: Path, shared: Path, in_remote: Callable[[str], Path]) -> None:
    listing = json.loads(in_remote("data/demo/enhanced").read_text())
    one, other = (shared / "remote/files/md5" / entry["md5"][:2] / entry["md5"][2:] for entry in listing[:2])
    content = one.read_bytes()
    one.unlink()
    shutil.copyfile(other, one)
    try:
        out = verify(clone, SPEECH, "--all", code=1)
    finally:
        one.unlink()
        one.write_bytes(content)
    pair = " ".join(listing[0]["relpath"].split("_")[:2])
    assert f"{pair} cannot be scored again: data/demo/enhanced/{listing[0]['relpath']} is not what dvc.lock says" in out


def test_a_table_altered_in_the_workspace(clone: Path) -> None:
    run(clone, "dvc", "pull", "--quiet", SCORES)
    scene, listener, right = altered(clone / SCORES)
    out = verify(clone, SPEECH, "--units", "1", code=1)
    assert (
        f"{SCORES} of this workspace: {scene} {listener}, haspi: found {float(right) + 0.1:.8f}, the entry has {right}"
        in out
    )


def forged(text: str, old: str, new: str) -> str:
    """An index with other bytes in one line, whose checksum is right again."""
    lines = text.split("\n")
    (at,) = (number for number, line in enumerate(lines) if old in line)
    comma = "," * lines[at].endswith(",")
    entry = json.loads(lines[at].removesuffix(",").replace(old, new))
    del entry[CHECK]
    lines[at] = one_line({**entry, CHECK: checksum(entry)}) + comma
    return "\n".join(lines)


def test_history_altered_consistently(clone: Path, tmp_path: Path) -> None:
    """Table, average, index of units and dvc.lock agree with each other, and not with the signals."""
    run(clone, "dvc", "pull", "--quiet")
    scene, listener, right = altered(clone / SCORES)
    out = board(clone, "add", "--track", "speech", code=1)
    assert (
        "hearlab: leaderboard: the pipeline is not up to date (found score_speech: metrics/speech.csv modified)" in out
    )
    index = clone / "data/demo/units/score_speech.json"
    text = index.read_text()
    assert text.count(f'"enhanced":{float(right)}') == 1
    index.unlink()
    index.write_text(forged(text, f'"enhanced":{float(right)}', f'"enhanced":{round(float(right) + 0.1, 8)}'))
    with (clone / SCORES).open(newline="") as file:
        scores = [float(row["haspi"]) for row in csv.DictReader(file)]
    averages = json.loads((clone / "metrics/speech.json").read_text())
    averages["haspi"]["enhanced"] = round(sum(scores) / len(scores), 8)
    (clone / "metrics/speech.json").write_text(json.dumps(averages, indent=1) + "\n")
    run(clone, "dvc", "commit", "--quiet", "--force", "score_speech")
    out = board(clone, "add", "--track", "speech", "--name", "forged", "--team", "x", code=1)
    assert "the tree is dirty: the commit would not tell how the score was made (found dvc.lock" in out
    commit(clone)
    board(clone, "add", "--track", "speech", "--name", "forged", "--team", "x")
    out = board(clone, "add", "--track", "speech", "--name", "forged", "--team", "x", code=1)
    assert "leaderboard/forged.yaml: exists already" in out
    commit(clone)
    run(clone, "dvc", "push", "--quiet")
    run(tmp_path, "git", "clone", "--quiet", str(clone), "third")
    out = verify(tmp_path / "third", "forged", "--all", code=1)
    assert f"{SCORES}: {scene} {listener}, haspi: found {float(right) + 0.1:.8f}, scored again {right}" in out
    assert out.count("differs  ") == 1


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_their_stages_run_only_when_asked_for_and_confined(
    clone: Path, in_remote: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The signals cannot be had, and dvc.yaml has a command of its own; the number is right."""
    attack = f"touch {tmp_path}/ran; echo $TOKEN $SSH_AUTH_SOCK at $HOME; chmod -R a-w {tmp_path}/clone/.dvc; "
    stages = clone / "dvc.yaml"
    stages.write_text(stages.read_text().replace("hearlab stage score_speech", f"{attack}hearlab stage score_speech"))
    commit(clone)
    head = run(clone, "git", "rev-parse", "HEAD").strip()
    text = (clone / f"leaderboard/{SPEECH}.yaml").read_text()
    old = re.search(r"commit: (\w+)", text)
    assert old is not None
    (clone / "leaderboard/evil.yaml").write_text(text.replace(old[1], head))
    run(clone, "git", "checkout", "--quiet", "HEAD~1", "dvc.yaml")
    commit(clone)
    for name in ("TOKEN", "SSH_AUTH_SOCK"):
        monkeypatch.setenv(name, "secret-of-mine")
    in_remote("data/demo/enhanced").unlink()

    last = verify(clone, "evil", code=1).splitlines()[-1]
    assert last.startswith(f"hearlab: {head[:7]}: data/demo/enhanced: is neither in DVC's cache nor in its remote; ")
    assert "--recompute makes it again" in last
    cache = contents(clone / ".dvc/cache")
    last = verify(clone, "evil", "--recompute", code=1).splitlines()[-1]
    assert last == "hearlab: --recompute: runs a stranger's code, and there is no terminal to ask; say --yes"
    assert not (tmp_path / "ran").exists()

    out = verify(clone, "evil", "--recompute", "--yes", *([] if confiner() else ["--unconfined"]))
    assert f"+    cmd: {attack}hearlab stage score_speech" in out
    assert f"the code of {head[:7]} is run: " in out
    assert "\nat /" in out
    assert "secret-of-mine" not in out
    assert f"computed again: {SCORES} is the same bytes" in out
    assert "evil: confirmed: " in out
    assert "score_speech: 9/9" in out
    assert "done before" not in out
    assert contents(clone / ".dvc/cache") == cache, "the workspace's cache got what their code made"
    if confiner():
        assert not (tmp_path / "ran").exists()
        assert (clone / ".dvc").stat().st_mode & 0o200


@pytest.mark.parametrize(
    ("entry", "folder", "name"),
    [
        (SPEECH, "data/demo/inputs/clarity_data/metadata", "listeners.json"),
        (SPEECH, "data/demo/scene_lists/scenes.dev.json", None),
        (MUSIC, "data/demo/inputs/cadenza_data/task1/metadata", "musdb18hq/musdb18.valid.json"),
    ],
)
def test_lists_altered_on_the_remote(
    clone: Path, in_remote: Callable[[str], Path], entry: str, folder: str, name: str | None
) -> None:
    """Other audiograms or scenes say nothing of the entry: it is neither denied nor confirmed."""
    path = in_remote(folder)
    if name:
        md5 = next(one["md5"] for one in json.loads(path.read_text()) if one["relpath"] == name)
        path = path.parent.parent / md5[:2] / md5[2:]
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content + b" ")
    try:
        out = verify(clone, entry, "--units", "1", code=1)
    finally:
        path.unlink()
        path.write_bytes(content)
    full = f"{folder}/{name}" if name else folder
    assert f"{full}: is not what dvc.lock says; nothing can be said of the entry" in out.splitlines()[-1]
    assert "confirmed" not in out
    assert "denied" not in out
    assert not (clone / ".dvc/cache/files/md5" / path.parent.name / path.name).exists()


def test_killed_at_any_time(clone: Path) -> None:
    """The next command clears what is left."""
    program = shutil.which("hearlab", path=str(Path(sys.executable).parent)) or "hearlab"
    source = {**os.environ, "PYTHONPATH": str(REPOSITORY / "src")}
    seed = 20261130
    draw = random.Random(seed)
    for _ in range(3):
        command = (program, "leaderboard", "verify", SPEECH, "--all")
        with subprocess.Popen(command, cwd=clone, env=source, stdout=subprocess.DEVNULL) as process:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(draw.uniform(1, 12))
            process.kill()
        board(clone)
        assert list((clone / ".hearlab").glob("*")) == [], f"seed {seed}"
        assert run(clone, "git", "worktree", "list").count("\n") == 1
    for path in (clone / ".dvc/cache/files/md5").rglob("*"):
        if path.is_file():
            assert md5_of(path) == path.parent.name + path.name.removesuffix(".dir"), f"seed {seed}"
    assert f"{SPEECH}: confirmed: " in verify(clone, SPEECH, "--units", "1")


def test_an_entry_that_tells_another_score(clone: Path) -> None:
    path = clone / "leaderboard" / f"{SPEECH}.yaml"
    text = path.read_text()
    score = next(line for line in text.splitlines() if line.startswith("score: "))
    path.write_text(text.replace(score, "score: 0.9"))
    commit(clone)
    out = verify(clone, SPEECH, "--units", "1", code=1)
    assert "differs  score: the entry says 0.90000000, the scores' mean is 0." in out
    path = clone / "leaderboard" / f"{MUSIC}.yaml"
    path.write_text(path.read_text().replace("music_level: challenge", "music_level: current"))
    commit(clone)
    out = verify(clone, MUSIC, "--units", "1", code=1)
    assert re.search(r"differs  evaluate.music_level: the entry says current, .{7} has challenge", out)
