"""What has been unpacked stays, whatever DVC and git are told to do with the workspace."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from full_size_support import CLARITY, CORE, clarity_project, get

from hearlab.files import md5_of
from pipeline_support import run, wait_for_queue

pytestmark = pytest.mark.slow

MUSIC = ("musdb18hq", "cad1-metadata")


def content(home: Path) -> dict[str, tuple[int, str]]:
    """Inode and md5 of each file."""
    files = (path for path in home.rglob("*") if path.is_file())
    return {path.relative_to(home).as_posix(): (path.stat().st_ino, md5_of(path)) for path in files}


def choose(clone: Path, dataset: str) -> None:
    params = clone / "params.yaml"
    params.write_text(re.sub(r"^dataset: \w+", f"dataset: {dataset}", params.read_text(), flags=re.MULTILINE))


def test_no_command_of_dvc_or_git_reaches_the_packages(
    demo: Path, packages: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    clone = clarity_project(demo, tmp_path)
    get(clone, packages, CORE, *MUSIC)
    home = tmp_path / "hearlab-packages" / "clarity"
    there = content(home)
    assert len(there) > 100

    def do(*command: str, whole: bool = True) -> str:
        """Run it; `whole` means that it must succeed, which DVC does not while some stages never ran."""
        output = run(clone, *command) if whole else run(clone, "sh", "-c", f"{shlex.join(command)} || true")
        assert content(home) == there, " ".join(command)
        return output

    targets = ("prepare", "prepare_music")
    assert do(*CLARITY, "--name", "first", *targets).count(f"files linked from {home}") == len(targets)
    do("dvc", "remote", "add", "--local", "--default", "lab", str(tmp_path / "remote"))
    do("dvc", "push", *targets)
    output = do(*CLARITY, "-S", "seed=1", "--temp", "--name", "apart", "prepare")
    assert f"files linked from {home}" in output
    do(*CLARITY, "-S", "seed=2", "--queue", "--name", "queued", "prepare")
    do("dvc", "queue", "start")
    wait_for_queue(clone, "queued")
    assert content(home) == there
    for name in ("apart", "queued"):
        do("dvc", "exp", "apply", name, whole=False)
    do("dvc", "checkout", "--force", whole=False)
    do("dvc", "pull", "--force", whole=False)
    do("dvc", "repro", "--force", "--single-item", "prepare")
    for dataset in ("demo", "clarity"):
        choose(clone, dataset)
        do("dvc", "checkout", "--force", whole=False)
    do("dvc", "repro", *targets)
    do("dvc", "gc", "--workspace", "--force")
    do("dvc", "gc", "--all-commits", "--force")
    do("git", "clean", "-fdxq")
    assert not (clone / "data" / "clarity").exists()
    do("git", "checkout", "--quiet", ".")
    do(*CLARITY, "prepare")
    table = ("--catalogue", str(packages / "packages.toml"))
    assert do("hearlab", "data", "check", "--deep", CORE, *MUSIC, *table).count(": complete") == 3


def test_packages_on_another_disk_are_not_copied(
    demo: Path, packages: Path, tmp_path: Path, other_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    clone = clarity_project(demo, tmp_path, results=False)
    (clone / "hearlab.toml").write_text(f'packages = "{other_disk}"\n')
    get(clone, packages, CORE, *MUSIC)
    there = content(other_disk)
    packaged = {md5 for _, md5 in there.values()}

    def check() -> None:
        assert content(other_disk) == there
        objects = [path for path in (clone / ".dvc/cache/files/md5").glob("??/*") if not path.is_symlink()]
        assert packaged.isdisjoint(path.parent.name + path.name for path in objects)
        for place in ("inputs/clarity_data", "inputs/cadenza_data", "rendered/dev"):
            files = [path for path in (clone / "data/clarity" / place).rglob("*") if path.is_file()]
            assert files
            assert all(path.is_symlink() and path.resolve().is_relative_to(other_disk) for path in files)

    run(clone, *CLARITY, "render_scenes@dev", "prepare_music")
    check()
    run(clone, "dvc", "checkout", "--relink", "render_scenes@dev", "prepare", "prepare_music")
    run(clone, "dvc", "repro", "--force", "--single-item", "prepare", "prepare_music")
    check()
    run(clone, "dvc", "remote", "add", "--local", "--default", "lab", str(tmp_path / "remote"))
    run(clone, "dvc", "push", "render_scenes@dev", "prepare", "prepare_music")
    pushed = {path.parent.name + path.name: path for path in (tmp_path / "remote/files/md5").glob("??/*")}
    inputs = {md5_of(path) for path in (clone / "data/clarity/inputs").rglob("*") if path.is_file()}
    assert inputs <= set(pushed)
    assert not any(path.is_symlink() for path in pushed.values())
