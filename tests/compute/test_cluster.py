"""Units on real Ray clusters: two and three nodes, lost nodes, a lost head, strangers, and killed drivers."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from cluster_support import (
    Cluster,
    Workspace,
    code_folder,
    ended,
    family,
    lingering,
    linked_namespaces,
    plain_environment,
    running,
    wait_until,
    why_no_namespaces,
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds processes in /proc"),
]

UNITS = 24
LOST_HEAD_SECONDS = 90  # four failed connections, two seconds apart; the rest is for a loaded machine


@pytest.fixture
def code(tmp_path: Path) -> Path:
    return code_folder(tmp_path / "code")


def make_workspace(folder: Path) -> Workspace:
    """A workspace of the same inputs wherever it is made."""
    workspace = Workspace(folder / "workspace", folder / "marks", UNITS)
    (workspace.root / "in").mkdir(parents=True)
    workspace.marks.mkdir()
    rng = np.random.RandomState(1)
    for stem in ("common", *(f"u{number:03d}" for number in range(UNITS))):
        (workspace.root / "in" / f"{stem}.bin").write_bytes(rng.standard_normal(12_500).astype("<f4").tobytes())
    return workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return make_workspace(tmp_path)


@pytest.fixture
def cluster(code: Path, workspace: Workspace) -> Iterator[Cluster]:
    with Cluster(code, workspace.marks) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def wanted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Outputs and index of a run in one process."""
    folder = tmp_path_factory.mktemp("wanted")
    workspace = make_workspace(folder)
    environment = plain_environment(code_folder(folder / "code"), workspace.marks)
    status, text = workspace.run({**environment, "HEARLAB_TEST_SECONDS": "0"})
    assert status == 0, text
    assert workspace.nodes() == {"driver": UNITS}
    content = workspace.content()
    assert len(set(content.values())) == UNITS + 1
    return content


def driver(cluster: Cluster) -> dict[str, str]:
    return {**cluster.environment(), "RAY_ADDRESS": f"{cluster.address}:{cluster.port}"}


# --- clusters that stay whole -----------------------------------------------------------------------------------


def test_two_nodes_make_what_one_process_makes(cluster: Cluster, workspace: Workspace, wanted: dict[str, str]) -> None:
    cluster.start("head")
    cluster.start("second")
    workspace.meet("head", "second")
    status, text = workspace.run(driver(cluster))
    assert status == 0, text
    assert workspace.content() == wanted
    assert workspace.ran() == dict.fromkeys(workspace.ran(), 1)
    # How many each of them takes is a matter of the machine's load.
    assert workspace.nodes().keys() == {"head", "second"}
    assert workspace.left_over() == []


@pytest.mark.skipif(bool(why_no_namespaces()), reason=str(why_no_namespaces()))
def test_a_node_that_does_not_see_the_workspace(code: Path, workspace: Workspace, wanted: dict[str, str]) -> None:
    with linked_namespaces() as link, Cluster(code, workspace.marks, link.addresses[0]) as cluster:
        cluster.start("head", enter=link.enter(0))
        cluster.start("second", enter=link.enter(0))
        hide = ("unshare", "-m", "sh", "-c", 'mount -t tmpfs none "$0" && exec "$@"', str(workspace.root))
        cluster.start("stranger", address=link.addresses[1], enter=(*link.enter(1), *hide))
        workspace.meet("head", "second", "stranger")
        status, text = workspace.run(driver(cluster), enter=link.enter(0))
        assert status == 0, text
        assert workspace.content() == wanted
        nodes = workspace.nodes()
        assert nodes.keys() == {"head", "second", "stranger"}
        assert nodes.total() == UNITS
        assert workspace.left_over() == []
        assert cluster.left_by("stranger") == []


# --- what gets lost ---------------------------------------------------------------------------------------------


def test_a_lost_node(cluster: Cluster, workspace: Workspace, wanted: dict[str, str]) -> None:
    cluster.start("head")
    cluster.start("second", address="127.0.0.2")
    workspace.meet("head", "second")
    process = workspace.start(driver(cluster))
    wait_until(lambda: workspace.nodes()["second"] >= 1, 120, "a unit on the second node")
    cluster.kill("second")
    ended_there = workspace.nodes()["second"]
    status, text = ended(process)
    assert status == 0, text
    assert workspace.content() == wanted
    nodes = workspace.nodes()
    assert nodes["second"] == ended_there < UNITS
    # Only what was under way there ran twice.
    assert nodes.total() <= UNITS + 2
    assert workspace.left_over() == []


def test_a_lost_head(cluster: Cluster, workspace: Workspace, wanted: dict[str, str]) -> None:
    cluster.start("head")
    cluster.start("second", address="127.0.0.2")
    process = workspace.start(driver(cluster))
    wait_until(lambda: len(workspace.kept()) >= 5, 120, "finished units")
    cluster.kill("head")
    lost = time.monotonic()
    status, text = ended(process)
    assert time.monotonic() - lost < LOST_HEAD_SECONDS
    assert status == 1, text
    assert "lost the head of the Ray cluster at" in text
    assert "what was finished is kept, run it again to go on" in text
    resume(workspace, cluster.code, wanted)


ENDED_BY_RAY = """
import os
import sys
from hearlab.compute.ray.connection import connected
with connected(1, "stage"):
    print("connected", flush=True)
    sys.stdin.readline()
    os._exit(1)
"""


@pytest.mark.parametrize("lost", [True, False], ids=["lost", "there"])
def test_ray_ends_the_driver_without_a_word(cluster: Cluster, lost: bool) -> None:
    """As Ray does in some calls when it finds the node of the head gone."""
    cluster.start("head")
    process = subprocess.Popen(
        [sys.executable, "-c", ENDED_BY_RAY],
        env=driver(cluster),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "connected\n"
    if lost:
        cluster.kill("head")
    _, text = process.communicate("\n", timeout=LOST_HEAD_SECONDS)
    assert process.returncode == 1
    assert text.count("hearlab: stage: lost the head of the Ray cluster at ") == lost, text


def resume(workspace: Workspace, code: Path, wanted: dict[str, str]) -> None:
    """Run in one process what is left to do, and nothing else."""
    kept = workspace.kept()
    assert len(kept) < UNITS
    workspace.forget_marks()
    status, text = workspace.run(plain_environment(code, workspace.marks))
    assert status == 0, text
    assert workspace.ran() == {f"u{number:03d}": 1 for number in range(UNITS) if f"u{number:03d}" not in kept}
    assert workspace.content() == wanted
    assert workspace.left_over() == []


# --- what does not fit ------------------------------------------------------------------------------------------


def test_the_wrong_token(cluster: Cluster, workspace: Workspace) -> None:
    cluster.start("head")
    status, text = workspace.run({**driver(cluster), "RAY_AUTH_TOKEN": "0" * 64})
    assert status == 1, text
    (line,) = (line for line in text.splitlines() if line and not line.startswith("cluster: "))
    assert line.startswith(f"hearlab: RAY_ADDRESS={cluster.address}:{cluster.port}: the cluster cannot be reached")
    assert line.endswith("check address and RAY_AUTH_TOKEN, or unset RAY_ADDRESS to run on this machine")
    assert "(found it has another RAY_AUTH_TOKEN)" in line
    assert workspace.ran("begun") == {}


def test_no_cluster_at_the_address(cluster: Cluster, workspace: Workspace) -> None:
    status, text = workspace.run(driver(cluster))
    assert status == 1, text
    (line,) = (line for line in text.splitlines() if line and not line.startswith("cluster: "))
    assert line.startswith(f"hearlab: RAY_ADDRESS={cluster.address}:{cluster.port}: the cluster cannot be reached")


def test_a_node_with_other_code(cluster: Cluster, workspace: Workspace, tmp_path: Path) -> None:
    other = code_folder(tmp_path / "other", ("samples + common * noise", "samples - common * noise"))
    cluster.start("head")
    cluster.start("second", code=other)
    status, text = workspace.run(driver(cluster))
    assert status == 1, text
    (line,) = (line for line in text.splitlines() if line.startswith("hearlab: "))
    assert "of the Ray cluster: has other code than" in line
    assert "install the same version of HearLab (and of your system) on all" in line
    # Nothing ran there, and what ended on the other node is kept.
    assert workspace.nodes().keys() <= {"head"}
    assert workspace.kept() <= set(workspace.ran())
    assert workspace.left_over() == []


def test_a_node_without_the_code(cluster: Cluster, workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    cluster.start("head")
    cluster.start("second", code=tmp_path / "empty")
    status, text = workspace.run(driver(cluster))
    assert status == 1, text
    (line,) = (line for line in text.splitlines() if line.startswith("hearlab: "))
    assert "of the Ray cluster: lacks code" in line
    assert "No module named 'cluster_units'" in line
    assert workspace.left_over() == []


# --- killed drivers ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["here", "local", "cluster"])
def test_killed_drivers(where: str, cluster: Cluster, workspace: Workspace, wanted: dict[str, str]) -> None:
    """In one process, on a Ray of its own, on a cluster: killed at random moments, and run again."""
    environment = plain_environment(cluster.code, workspace.marks)
    if where == "local":
        # So much work that Ray is started.
        environment.update(HEARLAB_WORKERS="2", HEARLAB_TEST_SECONDS="0.8")
    if where == "cluster":
        cluster.start("head")
        environment = driver(cluster)
    seed = random.randrange(1 << 30)
    rng = random.Random(seed)
    done: set[str] = set()
    for _ in range(1 if where == "local" else 3):
        process = workspace.start(environment)
        enough = len(done) + rng.randrange(4, 7)
        wait_until(lambda enough=enough: len(workspace.kept()) >= enough, 120, f"finished units (seed {seed})")
        time.sleep(rng.uniform(0, 0.3))
        own_ray = family(process.pid) - lingering()
        process.kill()
        process.communicate()
        wait_until(lambda own_ray=own_ray: not own_ray & running(), 90, "the driver's own Ray to go")
        assert done < workspace.kept(), f"seed {seed}"
        assert done.isdisjoint(workspace.ran("begun")), f"seed {seed}"
        done = workspace.kept()
        workspace.forget_marks()
    resume(workspace, cluster.code, wanted)


def test_folders_of_killed_processes_are_taken_away(tmp_path: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path; from hearlab.compute.ray.own_folder import own_folder\n"
        "print(own_folder('hl-', sys.argv[1]), flush=True); time.sleep(60)"
    )
    processes: list[subprocess.Popen[str]] = []

    def start() -> Path:
        # In processes of their own, also because Ray reads its token when it is imported.
        command = [sys.executable, "-c", program, str(tmp_path)]
        processes.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        assert processes[-1].stdout is not None
        folder = Path(processes[-1].stdout.readline().strip())
        (folder / "content").touch()
        return folder

    try:
        held, lost, new = start(), start(), start()
        for folder in (held, lost):
            os.utime(folder, (0, 0))
        for process in processes[1:]:
            process.kill()
            process.wait()
        assert set(tmp_path.iterdir()) == {held, lost, new}
        last = start()
        assert set(tmp_path.iterdir()) == {held, new, last}
    finally:
        for process in processes:
            process.kill()
            process.communicate()
