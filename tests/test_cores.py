"""Cores and memory that a process may use: by its affinity and by the limits of its control groups."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hearlab.compute.process import worker_count
from hearlab.cores import usable_cores, usable_memory

CPU = Path("/sys/fs/cgroup")
V1 = "30 23 0:26 {root} /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:9 - cgroup cgroup rw,cpu,cpuacct"
V2 = "42 23 0:26 {root} /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw"
AFFINE = 8


@pytest.fixture(autouse=True)
def many_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HEARLAB_WORKERS", raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(AFFINE)), raising=False)


def machine(root: Path, mount: str, groups: str, quotas: dict[str, str]) -> Path:
    """A tree of what Linux shows in /proc and /sys."""
    files = {"proc/self/mountinfo": f"20 1 8:1 / / rw - ext4 /dev/sda1 rw\n{mount}\n", "proc/self/cgroup": groups}
    for name, text in {**files, **quotas}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


@pytest.mark.parametrize(
    ("quota", "cores"),
    [
        ("50000 100000", 1),
        ("100000 100000", 1),
        ("150000 100000", 2),
        ("max 100000", AFFINE),
        ("9000000 100000", AFFINE),
    ],
)
def test_quota_of_the_second_version(tmp_path: Path, quota: str, cores: int) -> None:
    root = machine(tmp_path, V2.format(root="/"), "0::/job\n", {"sys/fs/cgroup/job/cpu.max": f"{quota}\n"})
    assert usable_cores(root) == cores


def test_quota_of_a_group_above(tmp_path: Path) -> None:
    """A batch system limits the job; the step in it has no quota of its own."""
    quotas = {
        "batch/job/step/cpu.max": "max 100000",
        "batch/job/cpu.max": "300000 100000",
        "batch/cpu.max": "max 100000",
    }
    quotas = {f"sys/fs/cgroup/{name}": text for name, text in quotas.items()}
    assert usable_cores(machine(tmp_path, V2.format(root="/"), "0::/batch/job/step\n", quotas)) == 3


def test_quota_of_a_container(tmp_path: Path) -> None:
    """Its own group is the root of what it sees, whether /proc tells so or names the group as the machine does."""
    quotas = {"sys/fs/cgroup/cpu.max": "200000 100000"}
    for name, (mounted, own) in enumerate((("/", "/"), ("/docker/1f", "/docker/1f"), ("/", "/../other"))):
        root = machine(tmp_path / str(name), V2.format(root=mounted), f"0::{own}\n", quotas)
        assert usable_cores(root) == 2, own


@pytest.mark.parametrize(("quota", "cores"), [("50000", 1), ("250000", 3), ("-1", AFFINE)])
def test_quota_of_the_first_version(tmp_path: Path, quota: str, cores: int) -> None:
    folder = "sys/fs/cgroup/cpu,cpuacct/job"
    quotas = {f"{folder}/cpu.cfs_quota_us": quota, f"{folder}/cpu.cfs_period_us": "100000"}
    groups = "12:memory:/other\n4:cpu,cpuacct:/job\n1:name=systemd:/job\n0::/job\n"
    assert usable_cores(machine(tmp_path, V1.format(root="/"), groups, quotas)) == cores


@pytest.mark.parametrize("text", ["", "max", "x y", "100000 0", "\xff 1"])
def test_what_cannot_be_read_limits_nothing(tmp_path: Path, text: str) -> None:
    assert usable_cores(tmp_path / "none") == AFFINE  # another system
    root = machine(tmp_path, V2.format(root="/"), "0::/job\nodd line\n", {"sys/fs/cgroup/job/cpu.max": text})
    assert usable_cores(root) == AFFINE


def test_memory_is_that_of_the_machine_or_of_the_smallest_group(tmp_path: Path) -> None:
    own = usable_memory(tmp_path / "none")
    assert own > 1 << 28
    second = {"sys/fs/cgroup/job/memory.max": "max\n", "sys/fs/cgroup/memory.max": "123456789\n"}
    assert usable_memory(machine(tmp_path / "2", V2.format(root="/"), "0::/job\n", second)) == 123456789
    mount = "31 23 0:27 / /sys/fs/cgroup/memory rw shared:9 - cgroup cgroup rw,memory"
    first = {"sys/fs/cgroup/memory/job/memory.limit_in_bytes": "223456789\n"}
    assert usable_memory(machine(tmp_path / "1", mount, "12:memory:/job\n", first)) == 223456789
    unlimited = {"sys/fs/cgroup/memory/job/memory.limit_in_bytes": str((1 << 63) - 4096)}
    assert usable_memory(machine(tmp_path / "3", mount, "12:memory:/job\n", unlimited)) == own


def test_the_number_of_workers_is_that_of_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    assert worker_count() == usable_cores()
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0})
    assert worker_count() == 1


@pytest.fixture
def half_a_core() -> Iterator[Path]:
    """A control group of this machine, with a quota of half a core."""
    own = Path("/proc/self/cgroup")
    if not own.is_file():
        pytest.skip("no control groups: not Linux")
    for parent, files in (
        (CPU, {"cpu.max": "50000 100000"}),
        (CPU / "cpu", {"cpu.cfs_period_us": "100000", "cpu.cfs_quota_us": "50000"}),
    ):
        folder = parent / f"hearlab-test-{os.getpid()}"
        try:
            folder.mkdir()
        except OSError:
            continue
        try:
            if not all((folder / name).is_file() for name in files):  # a plain folder, or groups without quotas
                continue
            for name, text in files.items():
                (folder / name).write_text(text)
            yield folder
            return
        finally:
            folder.rmdir()
    pytest.skip("control groups cannot be made here: not root, or none with a quota")


def test_a_quota_of_this_machine(half_a_core: Path) -> None:
    program = "import sys; open(sys.argv[1], 'w').write('0'); from hearlab.compute.process import worker_count; "
    program += "print(worker_count())"
    command = [sys.executable, "-c", program, str(half_a_core / "cgroup.procs")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("1\n", 0), done.stderr
