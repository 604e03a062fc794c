"""A Ray that a stage starts for itself: nobody else on the machine or the network gets at it."""

from __future__ import annotations

import ipaddress
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ray", reason="ray is not installed: make test installs it")

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
    for process in processes:
        listens = [c.laddr for c in process.net_connections("inet") if c.status in ("LISTEN", "NONE") and c.laddr]
        found["processes"].append({
            "name": process.name(), "worker": process.pid in workers, "command": " ".join(process.cmdline()),
            "listens": [list(address) for address in listens],
            "reports": process.environ().get("RAY_USAGE_STATS_ENABLED") if process.pid != own.pid else "0",
        })
    folder = Path(ray._private.worker._global_node.get_session_dir_path()).parent.parent
    found["folder"] = str(folder)
    found["mode"] = stat.S_IMODE(folder.stat().st_mode)
    shared = Path("/dev/shm")
    found["shared"] = [str(path) for path in shared.glob("plasma*")] if shared.is_dir() else []
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
