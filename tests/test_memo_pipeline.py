"""Nothing is done twice: what runs again after a change, counted through dvc repro, here and in another clone."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline_support import PAIRS, SONG_PAIRS, make_project, pulled_clone, ran, run

pytestmark = pytest.mark.slow
SCENES = Path("data/demo/scene_lists/scenes.dev.json")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_project(tmp_path_factory.mktemp("memo") / "hearlab")


def restore(folder: Path) -> None:
    run(folder, "git", "checkout", "--quiet", ".")
    run(folder, "dvc", "checkout", "--force")


def change_one_snr(folder: Path) -> None:
    text = (folder / SCENES).read_text()
    (folder / SCENES).unlink()  # a link into DVC's cache
    (folder / SCENES).write_text(re.sub(r'"SNR": [-\d.]+', '"SNR": 2.5', text, count=1))


def test_one_scene_changed_by_hand(project: Path) -> None:
    change_one_snr(project)
    counts = ran(run(project, "dvc", "repro", "--downstream", "render_scenes@dev"))
    assert counts == {"render_scenes dev": 1, "enhance_speech": 3, "score_speech": 3}
    restore(project)
    # Going back finds everything.
    counts = ran(run(project, "dvc", "repro", "--force", "--downstream", "render_scenes@dev"))
    assert counts == {"render_scenes dev": 0, "enhance_speech": 0, "score_speech": 0}
    assert run(project, "git", "status", "--porcelain") == ""


def test_another_gain_renders_nothing(project: Path) -> None:
    counts = ran(run(project, "dvc", "exp", "run", "-S", "enhance.gain=1"))
    assert counts == {
        "enhance_speech": PAIRS,
        "score_speech": PAIRS,
        "enhance_music": SONG_PAIRS,
        "score_music": SONG_PAIRS,
    }
    restore(project)


def test_code_that_a_stage_does_not_use(project: Path) -> None:
    for name in ("src/hearlab/progress.py", "src/hearlab/cli.py", "src/hearlab/scoring/summary_text.py"):
        with (project / name).open("a") as file:
            file.write("\n# A comment.\n")
    assert ran(run(project, "dvc", "repro")) == {}
    # A module that scoring uses, in both tracks: DVC runs the stage, but a comment changes no unit.
    loss = project / "src" / "hearlab" / "ear" / "loss.py"
    loss.write_text(loss.read_text() + "\n# A comment.\n")
    # For the system in params.yaml nothing is trained or fitted.
    nothing = {"train_enhancer": 0, "score_speech": 0, "fit_music": 0, "score_music": 0}
    assert ran(run(project, "dvc", "repro")) == nothing
    # A change of what is computed runs the units of this stage, and of no other.
    loss.write_text(loss.read_text().replace("LOWER_KNEE_DB = 30", "LOWER_KNEE_DB = 31"))
    assert ran(run(project, "dvc", "repro")) == {
        "train_enhancer": 0,
        "score_speech": PAIRS,
        "fit_music": 0,
        "score_music": SONG_PAIRS,
    }
    run(project, "git", "checkout", "--quiet", ".")
    again = ran(run(project, "dvc", "repro"))
    assert set(again) <= set(nothing)  # DVC starts some of them, and knows others
    assert not any(again.values())
    restore(project)


def test_the_same_in_another_clone_after_a_pull(project: Path, tmp_path: Path) -> None:
    clone = pulled_clone(project, tmp_path)
    assert not (clone / ".hearlab").exists()
    change_one_snr(clone)
    counts = ran(run(clone, "dvc", "repro", "--downstream", "render_scenes@dev"))
    assert counts == {"render_scenes dev": 1, "enhance_speech": 3, "score_speech": 3}


def used(folder: Path) -> int:
    """Bytes on the disk below a folder, each inode once, links not followed: what `du` counts."""
    sizes = {}
    for base, _, names in os.walk(folder):
        for name in names:
            status = os.lstat(Path(base, name))
            sizes[status.st_ino] = status.st_size
    return sum(sizes.values())


@pytest.fixture
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A folder on a file system that has the links of the test: for reflinks an XFS of its own."""
    if request.param != "reflink":
        yield tmp_path
        return
    if os.geteuid() != 0:
        pytest.skip("mounting a file system with reflinks needs root")
    if shutil.which("mkfs.xfs") is None:
        pytest.skip("mkfs.xfs is not installed (Debian's xfsprogs)")
    image, folder = tmp_path / "disk.img", tmp_path / "disk"
    folder.mkdir()
    with image.open("wb") as file:
        file.truncate(800 << 20)
    run(tmp_path, "mkfs.xfs", "-q", "-m", "reflink=1", str(image))
    if subprocess.run(("mount", "-o", "loop", str(image), str(folder)), check=False, capture_output=True).returncode:
        pytest.skip("this machine mounts no loop devices")
    try:
        yield folder
    finally:
        run(tmp_path, "umount", "--lazy", str(folder))


@pytest.mark.parametrize(
    ("disk", "kind"), [(kind, kind) for kind in ("reflink", "hardlink", "symlink")], indirect=["disk"]
)
def test_bytes_exist_once(project: Path, disk: Path, kind: str) -> None:
    clone = disk / "clone"
    run(disk, "git", "clone", "--quiet", str(project), str(clone))
    run(clone, "dvc", "config", "--local", "cache.type", kind)
    # Which links the file system has, DVC tells once its cache exists.
    (clone / ".dvc" / "cache" / "files" / "md5").mkdir(parents=True)
    types = re.findall(r"Cache types: (.+)", run(clone, "dvc", "doctor"))[0]
    if kind not in types:
        pytest.skip(f"this file system has no {kind}, only {types}")
    run(clone, "dvc", "repro", "build_scenes")
    taken = blocks(clone)
    output = run(clone, "dvc", "repro", "render_scenes@dev")
    assert ran(output) == {"render_scenes dev": 3}
    rendered = clone / "data" / "demo" / "rendered" / "dev"
    files = list(rendered.iterdir())
    assert len(files) == 3 * 14
    size = sum(path.stat().st_size for path in files)
    # All bytes are in the cache; the workspace adds names, source and notes.
    assert used(clone / ".dvc" / "cache") >= size
    if kind == "reflink":
        assert size <= blocks(clone) - taken < 1.2 * size
        assert all(path.stat().st_nlink == 1 and not path.is_symlink() for path in files)
        assert shared_extents(files[0])
    else:
        assert used(clone) - used(clone / ".dvc" / "cache") < used(clone / ".dvc" / "cache") + 5e6
        for path in files:
            assert path.is_symlink() if kind == "symlink" else path.stat().st_nlink == 2
    # The unit that runs again writes a new file and does not touch the one in the cache.
    cached = {path: path.read_bytes() for path in (clone / ".dvc" / "cache").rglob("*") if path.is_file()}
    change_one_snr(clone)
    assert ran(run(clone, "dvc", "repro", "--downstream", "--single-item", "render_scenes@dev")) == {
        "render_scenes dev": 1
    }
    for path, content in cached.items():
        assert path.read_bytes() == content
    for path in (clone / ".dvc" / "cache" / "files" / "md5").glob("??/*"):
        if not path.name.endswith(".dir"):
            assert hashlib.md5(path.read_bytes()).hexdigest() == path.parent.name + path.name


def blocks(folder: Path) -> int:
    """Bytes taken on the whole file system."""
    os.sync()
    status = os.statvfs(folder)
    return (status.f_blocks - status.f_bfree) * status.f_frsize


def shared_extents(path: Path) -> bool:
    """Whether the file system keeps a file's bytes together with another's."""
    return "shared" in run(path.parent, "filefrag", "-v", path.name)


MAKE, SUM = "data/demo/made", "data/demo/units"
PROGRAM = f"""
import sys
from pathlib import Path

from hearlab.compute.engine import run
from hearlab.compute.outputs import set_aside_wrong_objects
from hearlab.compute.units import Unit

FOLDER = Path("{MAKE}")


def make(root, out, *, name):
    (out / name).write_bytes((root / "in.txt").read_bytes() + name.encode() * 1000)


def add(root, out, *, name):
    return sum((root / FOLDER / name).read_bytes())


if __name__ == "__main__":
    import program

    index = Path("{SUM}", sys.argv[1] + ".json")
    if sys.argv[1] == "make":
        run("make", [Unit(n, program.make, {{"name": n}}, ("in.txt",), (n,)) for n in "abc"], FOLDER, index)
    else:
        sums = run("sum", [Unit(n, program.add, {{"name": n}}, (f"{MAKE}/{{n}}",)) for n in "abc"], None, index)
        Path("table.txt").write_text(str(sums))
    set_aside_wrong_objects(Path.cwd(), sys.argv[1], FOLDER)
"""
PIPELINE = f"""
stages:
  make:
    cmd: {sys.executable} code/program.py make
    deps: [in.txt]
    outs: [{MAKE}, {SUM}/make.json: {{persist: true}}]
  sum:
    cmd: {sys.executable} code/program.py sum
    deps: [{MAKE}]
    outs: [table.txt, {SUM}/sum.json: {{persist: true}}]
"""


def silence_half(path: Path) -> None:
    """In place, the time of change as it comes; read-only modes do not hold root."""
    os.chmod(path, 0o644)
    with path.open("r+b") as file:
        file.write(bytes(path.stat().st_size // 2))
    os.chmod(path, 0o444)


@pytest.mark.parametrize(
    ("disk", "kind"),
    [(kind, kind) for kind in ("hardlink", "symlink", "copy", "reflink")],
    indirect=["disk"],
)
def test_what_was_altered_in_place_is_made_again(disk: Path, kind: str) -> None:
    root = disk / "small"
    root.mkdir()
    (root / "in.txt").write_text("text")
    (root / "code").mkdir()  # what lies beside a module of one's own and is named in it counts as its code
    (root / "code" / "program.py").write_text(PROGRAM)
    (root / "dvc.yaml").write_text(PIPELINE)
    run(root, "dvc", "init", "--quiet", "--no-scm")
    run(root, "dvc", "config", "cache.type", kind)
    run(root, "dvc", "repro")
    wanted = {name: (root / name).read_bytes() for name in ("dvc.lock", "table.txt", f"{MAKE}/b", f"{SUM}/make.json")}
    file, table = root / MAKE / "b", root / "table.txt"
    md5 = {path: hashlib.md5(path.read_bytes()).hexdigest() for path in (file, table)}
    cached = {path: root / ".dvc/cache/files/md5" / name[:2] / name[2:] for path, name in md5.items()}
    for path in md5:
        silence_half(path)
        if not os.path.samefile(path, cached[path]):
            silence_half(cached[path])
    output = run(root, "dvc", "repro")
    aside = root / ".hearlab/set-aside"
    assert f"make: b: b: its bytes in the cache were altered; they are now {aside}/{md5[file]}" in output
    assert f"sum: table.txt: its bytes in DVC's cache were altered; they are now {aside}/{md5[table]}" in output
    assert "2 done before" in output
    assert {name: (root / name).read_bytes() for name in wanted} == wanted
    for path in md5:
        assert hashlib.md5(cached[path].read_bytes()).hexdigest() == md5[path]
        assert (aside / md5[path]).read_bytes() != path.read_bytes()
    assert "up to date" in run(root, "dvc", "status")
    # Only right objects are pushed.
    run(root, "dvc", "remote", "add", "--default", "lab", str(disk / "remote"))
    run(root, "dvc", "push")
    for path in (disk / "remote").rglob("*"):
        if path.is_file():
            assert hashlib.md5(path.read_bytes()).hexdigest() == path.parent.name + path.name.removesuffix(".dir")


def test_a_scene_silenced_in_place_is_rendered_again(project: Path) -> None:
    path = project / "data" / "demo" / "rendered" / "dev" / "S06002_mix_CH1.wav"
    right, lock = path.read_bytes(), (project / "dvc.lock").read_bytes()
    for altered in (path, project / SCENES, project / "metrics" / "speech.csv"):
        silence_half(altered)
    output = run(project, "dvc", "repro")
    assert ran(output)["render_scenes dev"] == 1
    assert "render_scenes dev: S06002: S06002_mix_CH1.wav: its bytes in the cache were altered" in output
    assert set(ran(output).values()) <= {0, 1}
    assert path.read_bytes() == right
    assert (project / "dvc.lock").read_bytes() == lock
    for cached in (project / ".dvc" / "cache" / "files" / "md5").glob("??/*"):
        assert hashlib.md5(cached.read_bytes()).hexdigest() == cached.parent.name + cached.name.removesuffix(".dir")
    assert len(list((project / ".hearlab" / "set-aside").iterdir())) == 3
    assert run(project, "git", "status", "--porcelain") == ""


def test_a_flipped_byte_in_the_cache_is_made_again(project: Path) -> None:
    path = project / "data" / "demo" / "rendered" / "dev" / "S06002_mix_CH1.wav"
    right = path.read_bytes()
    status = path.stat()
    os.chmod(path, 0o644)
    with path.open("r+b") as file:
        file.seek(5000)
        file.write(bytes([right[5000] ^ 1]))
    os.chmod(path, status.st_mode)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert "to be run again: render_scenes dev: S06002" in run(project, "hearlab", "memo", "verify", code=1)
    counts = ran(run(project, "dvc", "repro"))
    assert counts == {"render_scenes dev": 1, "enhance_speech": 3, "score_speech": 3}
    assert path.read_bytes() == right
    assert "0 wrong" in run(project, "hearlab", "memo", "verify")
    assert json.loads((project / "metrics" / "speech.json").read_text())["haspi"]["pairs"] == PAIRS
