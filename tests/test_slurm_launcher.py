"""The Slurm launcher, run for real on one machine: `srun` and `scontrol` are scripts that run everything here.

The two nodes of the allocation are called 127.0.0.1 and 127.0.0.2; each has its own Ray with its own folder and ports.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from waits import LONGEST, until

LAUNCHER = Path(__file__).resolve().parent.parent / "tools" / "hearlab-slurm"

SCONTROL = """
    #!/usr/bin/env bash
    [[ $1 == show && $2 == hostnames ]] || exit 1
    tr , '\\n' <<<"$3"
"""
# Runs the command once for each node of --nodelist, and ends all of them when it is told to end.
SRUN = """
    #!/usr/bin/env bash
    echo "$*" >>"$SRUN_LOG"
    nodes=()
    while [[ $1 == --* ]]; do
        [[ $1 == --nodelist=* ]] && IFS=, read -ra nodes <<<"${1#*=}"
        shift
    done
    pids=()
    for node in "${nodes[@]}"; do
        SLURMD_NODENAME=$node "$@" &
        pids+=("$!")
    done
    trap 'kill -TERM "${pids[@]}"' TERM
    status=0
    for pid in "${pids[@]}"; do
        while kill -0 "$pid" 2>/dev/null; do wait "$pid" || status=$?; done
    done
    exit "$status"
"""
# Runs a task on each node and tells where tasks ran, in which mode of authentication.
USES_RAY = """
    import json, os, sys, time
    import ray

    ray.init(log_to_driver=False, logging_level="ERROR")

    @ray.remote(num_cpus=1)
    def where():
        time.sleep(1)
        return ray.get_runtime_context().get_node_id()

    nodes = set()
    deadline = time.monotonic() + 300
    while len(nodes) < 2 and time.monotonic() < deadline:
        nodes |= set(ray.get([where.remote() for _ in range(2)]))
    alive = [node for node in ray.nodes() if node["Alive"]]
    found = {
        "nodes": len(alive),
        "used": len(nodes),
        "cores": [node["Resources"]["CPU"] for node in alive],
        "memory": [node["Resources"]["memory"] for node in alive],
        "mode": os.environ["RAY_AUTH_MODE"],
        "token": os.environ["RAY_AUTH_TOKEN"],
    }
    with open(sys.argv[1], "w") as file:
        json.dump(found, file)
    sys.exit(3)
"""
WAITS = """
    import signal, sys, time

    def interrupted(*unused):
        open(sys.argv[1], "a").write(" interrupted")
        sys.exit(130)

    signal.signal(signal.SIGINT, interrupted)
    open(sys.argv[1], "w").write("begun")
    time.sleep(600)
"""


@dataclass
class Allocation:
    """A pretended Slurm job on two nodes."""

    folder: Path
    nodes: Path  # where nodes have their folders

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(textwrap.dedent(text).lstrip())
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return path

    def environment(self) -> dict[str, str]:
        plain = {
            name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "SLURM", "HEARLAB_"))
        }
        (self.folder / "tmp").mkdir(exist_ok=True)
        return {
            **plain,
            "PATH": os.pathsep.join([str(self.folder / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]]),
            "SRUN_LOG": str(self.folder / "srun.log"),
            "SLURM_JOB_NODELIST": "127.0.0.1,127.0.0.2",
            "SLURMD_NODENAME": "127.0.0.1",
            "SLURM_CPUS_PER_TASK": "1",
            "SLURM_MEM_PER_NODE": "2000",
            "HEARLAB_NODE_TMP": str(self.nodes),
            "TMPDIR": str(self.folder / "tmp"),
        }

    def start(self, *command: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [str(LAUNCHER), *command],
            env=self.environment(),
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )

    def processes(self) -> list[str]:
        """Command lines of everything that still runs with this allocation's environment."""
        mark = f"HEARLAB_NODE_TMP={self.nodes}".encode()
        lines = []
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit():
                with contextlib.suppress(OSError):
                    if mark in (folder / "environ").read_bytes().split(b"\0"):
                        lines.append((folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()[:200])
        return lines

    def check_everything_is_gone(self) -> None:
        until(lambda: self.processes() == [], what=f"the end of {self.processes()}")
        assert list(self.nodes.iterdir()) == []
        assert list((self.folder / "tmp").iterdir()) == []


@pytest.fixture
def allocation(tmp_path: Path) -> Iterator[Allocation]:
    if not Path("/proc").is_dir() or shutil.which("bash") is None:
        pytest.skip("needs Linux and bash")
    nodes = Path(tempfile.mkdtemp(prefix="hlt-", dir="/tmp"))  # sockets want short paths
    job = Allocation(tmp_path, nodes)
    job.write("bin/srun", SRUN)
    job.write("bin/scontrol", SCONTROL)
    yield job
    shutil.rmtree(nodes, ignore_errors=True)


@pytest.mark.slow
def test_the_command_finds_all_nodes_and_nothing_is_left(allocation: Allocation) -> None:
    pytest.importorskip("ray")
    program = allocation.write("uses_ray.py", USES_RAY)
    report = allocation.folder / "report.json"
    launcher = allocation.start("python", str(program), str(report))
    _, said = launcher.communicate(timeout=LONGEST)
    assert launcher.returncode == 3, said  # the command's own status
    found = json.loads(report.read_text())
    assert found["nodes"] == found["used"] == 2
    assert found["cores"] == [1, 1]
    assert found["memory"] == [1600 << 20, 1600 << 20]
    assert found["mode"] == "token"
    assert len(found["token"]) == 64
    assert "2 nodes with 1 cores each: python" in said
    log = (allocation.folder / "srun.log").read_text()
    assert found["token"] not in log
    allocation.check_everything_is_gone()


@pytest.mark.slow
def test_a_job_that_is_ended_interrupts_the_command_and_stops_the_cluster(allocation: Allocation) -> None:
    pytest.importorskip("ray")
    program = allocation.write("waits.py", WAITS)
    mark = allocation.folder / "mark"
    launcher = allocation.start("python", str(program), str(mark))
    until(lambda: mark.exists() and mark.read_text(), launcher, "the command")
    launcher.send_signal(signal.SIGTERM)
    _, said = launcher.communicate(timeout=LONGEST)
    assert launcher.returncode == 143, said
    assert mark.read_text() == "begun interrupted"
    allocation.check_everything_is_gone()


@pytest.mark.slow
def test_a_node_that_does_not_start_ends_the_job(allocation: Allocation) -> None:
    allocation.write("bin/ray", "#!/usr/bin/env bash\necho 'ray is broken here'\nexit 5\n")
    launcher = allocation.start("python", "-c", "pass")
    _, said = launcher.communicate(timeout=LONGEST)
    assert launcher.returncode == 1
    assert "ray is broken here" in said
    assert said.splitlines()[-1] == "hearlab-slurm: Ray did not start on a node; what it said is above"
    allocation.check_everything_is_gone()


@pytest.mark.parametrize(
    ("changes", "arguments", "message"),
    [
        ({"SLURM_JOB_NODELIST": ""}, [], "no Slurm allocation here"),
        ({"SLURM_CPUS_PER_TASK": "many"}, ["true"], "the number of cores is unknown"),
        ({}, ["no-such-program"], "no-such-program is not found"),
    ],
)
def test_what_is_missing_is_said(
    allocation: Allocation, changes: dict[str, str], arguments: list[str], message: str
) -> None:
    for name in ("ray", "python"):
        allocation.write(f"bin/{name}", "#!/bin/sh\n")
    environment = {**allocation.environment(), **changes}
    done = subprocess.run([str(LAUNCHER), *arguments], env=environment, capture_output=True, text=True, timeout=LONGEST)
    assert done.returncode == 1
    assert done.stderr.startswith("hearlab-slurm: ")
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_help_says_how_to_submit() -> None:
    done = subprocess.run([str(LAUNCHER), "--help"], capture_output=True, text=True, timeout=LONGEST, check=True)
    assert "sbatch --nodes=4" in done.stdout
    assert "set -euo" not in done.stdout
