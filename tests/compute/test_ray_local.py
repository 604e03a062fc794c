"""A Ray that a stage starts for itself, for graphics processors.

Units run there as elsewhere, and nobody else on the machine or the network gets at it.
"""

from __future__ import annotations

import ipaddress
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hearlab.compute.attempts import outcomes
from hearlab.compute.attempts.failures import UnitsFailed
from hearlab.compute.engine import run
from hearlab.compute.units import Unit
from needs import need
from waits import LONGEST

need("ray")

REPOSITORY = Path(__file__).resolve().parents[2]
# A real run, looked at from inside: what each of its processes listens on, was started with, and keeps on disk.
PROGRAM = """
import json, os, stat, sys
from pathlib import Path
import psutil
from hearlab.compute.process import private_ray_token
private_ray_token()
import ray
from hearlab.compute.ray.connection import LOCAL_VARIABLES, connected

@ray.remote
def work():
    return os.getpid()

os.umask(0)
with connected(2, "a stage"):
    workers = set(ray.get([work.remote() for _ in range(8)]))
    own = psutil.Process()
    processes = [own, *own.children(recursive=True)]
    left = [name for name in LOCAL_VARIABLES if name in os.environ]
    found = {"token": os.environ["RAY_AUTH_TOKEN"], "processes": [], "left": left}
    shared = set()
    for process in processes:
        try:
            listens = [c.laddr for c in process.net_connections("inet") if c.status in ("LISTEN", "NONE") and c.laddr]
            found["processes"].append({
                "name": process.name(), "worker": process.pid in workers, "command": " ".join(process.cmdline()),
                "listens": [list(address) for address in listens],
                "reports": process.environ().get("RAY_USAGE_STATS_ENABLED") if process.pid != own.pid else "0",
            })
            # Not what is in /dev/shm: another Ray of this machine may be using it.
            maps = Path(f"/proc/{process.pid}/maps")
            lines = maps.read_text().splitlines() if maps.exists() else []
            named = [line for line in lines if "/dev/shm/plasma" in line and not line.endswith("(deleted)")]
            shared |= {line.split(maxsplit=5)[-1] for line in named}
        except (psutil.NoSuchProcess, ProcessLookupError, FileNotFoundError):
            continue  # a helper that has just ended
    folder = Path(ray._private.worker._global_node.get_session_dir_path()).parent.parent
    found["folder"] = str(folder)
    found["mode"] = stat.S_IMODE(folder.stat().st_mode)
    found["shared"] = sorted(shared)
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "HEARLAB_"))}
    environment["PYTHONPATH"] = str(REPOSITORY / "src")
    done = subprocess.run(
        (sys.executable, "-c", PROGRAM), env=environment, capture_output=True, text=True, check=False, timeout=600
    )
    assert done.returncode == 0, done.stderr
    values: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return values


@pytest.mark.slow
def test_all_sockets_listen_on_the_loopback(found: dict[str, Any]) -> None:
    open_to_others = []
    listening = set()
    for process in found["processes"]:
        for address, port in process["listens"]:
            listening.add("worker" if process["worker"] else process["name"])
            ip = ipaddress.ip_address(address)
            if not (getattr(ip, "ipv4_mapped", None) or ip).is_loopback:
                open_to_others.append((process["name"], address, port))
    assert open_to_others == []
    # So that this test sees what there is: the control store, the node's manager, a worker.
    assert listening >= {"gcs_server", "raylet", "worker"}


@pytest.mark.slow
def test_nobody_else_enters_its_folder(found: dict[str, Any]) -> None:
    """Ray makes its own folders writable for all; they lie in one that is closed."""
    assert found["mode"] == 0o700
    assert not Path(found["folder"]).exists()
    assert found["shared"] == []


@pytest.mark.slow
def test_the_token_is_in_no_command_line_and_nothing_is_reported(found: dict[str, Any]) -> None:
    assert [one["name"] for one in found["processes"] if found["token"] in one["command"]] == []
    # Some processes write their title over their environment: of those it cannot be read.
    reports = {one["name"]: one["reports"] for one in found["processes"] if one["reports"] is not None}
    assert set(reports.values()) == {"0"}
    assert reports.keys() >= {"gcs_server", "raylet"}
    assert found["left"] == []  # a cluster may be next


# --- units that run there -------------------------------------------------------------------------------------------


def process_id(root: Path, out: Path, *, number: int) -> int:
    return os.getpid()


def deadly(root: Path, out: Path, *, number: int) -> int:
    if number == 3:
        os._exit(9)
    sys.stdout.write(f"number {number}\n")
    return number


@pytest.fixture
def on_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setenv("HEARLAB_WORKERS", "2")
    monkeypatch.setattr(outcomes._Choice, "of", lambda *unused: outcomes.RAY)


@pytest.mark.slow
@pytest.mark.usefixtures("on_ray")
def test_quick_units_travel_together_and_a_dead_worker_is_the_failure_of_its_unit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of the one that killed it, and of no other in its group; what the others print comes from the workers."""
    units = [Unit(f"S{n}", deadly, {"number": n}, group="all") for n in range(6)]
    units += [Unit(f"T{n}", process_id, {"number": n}) for n in range(500)]
    with pytest.raises(UnitsFailed, match=r"1 of 506 units failed\n  S3: its worker process died 4 times \(out of "):
        run("test", units, None, Path("units.json"), root=tmp_path)
    shown = capsys.readouterr().err
    assert "test: starting Ray with 2 workers" in shown
    for n in (0, 1, 2, 4, 5):
        assert f"test: S{n}: number {n}" in shown


IMPORTED_BEFORE = """
import os
from pathlib import Path

import ray
from ray._raylet import AuthenticationTokenLoader

AuthenticationTokenLoader.instance().has_token()  # what it finds is remembered

from hearlab.compute import engine
from hearlab.compute.attempts import outcomes
from hearlab.compute.units import Unit


def process_id(root, out, *, number):
    return os.getpid()


if __name__ == "__main__":
    import program

    outcomes._Choice.of = lambda *unused: outcomes.RAY
    units = [Unit(str(n), program.process_id, {"number": n}) for n in range(12)]
    results = engine.run("test", units, Path("out"), Path("units.json"))
    print(len(results), os.getpid() in results)
"""


@pytest.mark.slow
def test_ray_starts_where_it_was_imported_before(tmp_path: Path) -> None:
    """As by an enhancement system that uses Ray itself."""
    (tmp_path / "program.py").write_text(IMPORTED_BEFORE)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    program = subprocess.run(
        [sys.executable, "program.py"],
        cwd=tmp_path,
        env={**environment, "HEARLAB_WORKERS": "2", "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])},
        capture_output=True,
        text=True,
        timeout=LONGEST,
    )
    assert program.stdout == "12 False\n", program.stderr
