"""Real Ray clusters on one machine, on the loopback or in network namespaces, and drivers that use them."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
RAY = Path(sys.executable).parent / "ray"
START_SECONDS = 120.0  # a loaded machine needs 15 s for a node
UNIT_SECONDS = 0.2
RUN_SECONDS = 240.0  # no driver needs more; one that hangs fails its test


def wait_until(true: Callable[[], bool], seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"waited {seconds:g} s for {what}"
        time.sleep(0.05)


def code_folder(folder: Path, change: tuple[str, str] | None = None) -> Path:
    """A folder with the unit module, as it is or with one text replaced."""
    folder.mkdir()
    text = (HERE / "cluster_units.py").read_text()
    if change is not None:
        assert change[0] in text
        text = text.replace(*change)
    (folder / "cluster_units.py").write_text(text)
    return folder


# --- processes --------------------------------------------------------------------------------------------------


def _processes() -> Iterator[tuple[int, int, int]]:
    """Process, parent and session of everything that runs."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError):
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
                if fields[0] != "Z":
                    yield int(folder.name), int(fields[1]), int(fields[3])


def running() -> set[int]:
    """All processes."""
    return {process for process, _, _ in _processes()}


def lingering() -> set[int]:
    """Ray's agents, which wait a minute for a lost head before they end."""
    found = set()
    for process in running():
        with contextlib.suppress(OSError):
            if b"Agent" in Path(f"/proc/{process}/cmdline").read_bytes()[:30]:
                found.add(process)
    return found


def family(leader: int) -> set[int]:
    """A session leader, its session and all descendants."""
    rows = list(_processes())
    members = {process for process, _, session in rows if leader in (process, session)}
    while True:
        more = {process for process, parent, _ in rows if parent in members} - members
        if not more:
            return members
        members |= more


def kill_family(leader: int) -> None:
    """SIGKILL to a session leader and everything below it, as when a machine loses its power."""
    members = family(leader)
    for process in members:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    wait_until(lambda: not members & running(), 60, "killed processes to go")


# --- network namespaces -----------------------------------------------------------------------------------------


def why_no_namespaces() -> str | None:
    """Why this machine cannot make network namespaces, or None."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    if not all(shutil.which(program) for program in ("ip", "unshare", "mount")):
        return "network namespaces need iproute2, unshare and mount"
    name = f"hl-{secrets.token_hex(3)}"
    if subprocess.run(["ip", "netns", "add", name], capture_output=True, check=False).returncode:
        return "network namespaces are not allowed here"
    subprocess.run(["ip", "netns", "del", name], check=True)
    return None


@dataclass(frozen=True)
class Link:
    """Two network namespaces, joined by one virtual cable; nothing else is reachable from either."""

    names: tuple[str, str]
    addresses: tuple[str, str]

    def enter(self, side: int) -> tuple[str, ...]:
        """Start of a command line that runs in that namespace."""
        return ("ip", "netns", "exec", self.names[side])


@contextlib.contextmanager
def linked_namespaces() -> Iterator[Link]:
    token = secrets.token_hex(3)
    names = (f"hl-{token}-a", f"hl-{token}-b")
    base = f"10.77.{int(token[:2], 16)}"
    link = Link(names, (f"{base}.1", f"{base}.2"))

    def ip(*arguments: str) -> None:
        subprocess.run(["ip", *arguments], check=True, capture_output=True)

    try:
        for name in names:
            ip("netns", "add", name)
        ip("-n", names[0], "link", "add", "va", "type", "veth", "peer", "name", "vb", "netns", names[1])
        for name, device, address in zip(names, ("va", "vb"), link.addresses, strict=True):
            ip("-n", name, "address", "add", f"{address}/30", "dev", device)
            ip("-n", name, "link", "set", device, "up")
            ip("-n", name, "link", "set", "lo", "up")
        yield link
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


# --- clusters ---------------------------------------------------------------------------------------------------


@dataclass
class Cluster:
    """Nodes of one core each; the first one started is the head. All end with the `with` block.

    Attributes:
        code: folder of the unit module that nodes find.
        marks: where units leave their marks.
        address: where the head listens.
        token: what head, nodes and driver must know.
    """

    code: Path
    marks: Path
    address: str = "127.0.0.1"
    token: str = field(default_factory=lambda: secrets.token_hex(32))

    def __post_init__(self) -> None:
        # Unix sockets want shorter paths than the test's own folder.
        self.folder = Path(tempfile.mkdtemp(prefix="hl-test-", dir="/tmp"))
        self.nodes: dict[str, subprocess.Popen[bytes]] = {}
        with socket.socket() as free:
            free.bind(("", 0))
            self.port = free.getsockname()[1]

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, *unused: object) -> None:
        for name in list(self.nodes):
            self.kill(name)
        shutil.rmtree(self.folder, ignore_errors=True)

    def environment(self, code: Path | None = None) -> dict[str, str]:
        """For nodes and drivers of this cluster."""
        return {
            **plain_environment(code or self.code, self.marks),
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": self.token,
            "RAY_TMPDIR": str(self.folder),
            "RAY_USAGE_STATS_ENABLED": "0",
        }

    def start(
        self, name: str, *, address: str | None = None, enter: Sequence[str] = (), code: Path | None = None
    ) -> None:
        """Start a node; `enter` begins the command line, to run it elsewhere."""
        temporary = self.folder / name
        temporary.mkdir()
        command = [*enter, str(RAY), "start", "--block", "--num-cpus=1", "--object-store-memory=100000000"]
        command += [f"--node-ip-address={address or self.address}"]
        if self.nodes:
            command += [f"--address={self.address}:{self.port}"]
        else:
            command += ["--head", f"--port={self.port}", "--include-dashboard=false", f"--temp-dir={self.folder}"]
        environment = {**self.environment(code), "HEARLAB_TEST_NODE": name, "TMPDIR": str(temporary)}
        log = self.folder / f"{name}.log"
        with log.open("wb") as file:
            self.nodes[name] = subprocess.Popen(
                command, env=environment, stdout=file, stderr=file, stdin=subprocess.DEVNULL, start_new_session=True
            )

        def ready() -> bool:
            assert self.nodes[name].poll() is None, log.read_text()
            return b"runtime started" in log.read_bytes()

        wait_until(ready, START_SECONDS, f"node {name}")

    def kill(self, name: str) -> None:
        """SIGKILL to all processes of a node."""
        node = self.nodes.pop(name)
        kill_family(node.pid)
        node.wait(timeout=60)

    def left_by(self, name: str) -> list[str]:
        """What workers of a node left in its folder of temporary files."""
        return sorted(path.name for path in (self.folder / name).iterdir())


def plain_environment(code: Path, marks: Path) -> dict[str, str]:
    """For drivers without a cluster."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "HEARLAB_"))}
    more = {"PYTHONPATH": str(code), "HEARLAB_TEST_MARKS": str(marks), "HEARLAB_TEST_SECONDS": str(UNIT_SECONDS)}
    return {**environment, **more}


# --- workspaces and drivers -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Workspace:
    """A workspace with inputs for a number of units, and the folder of the marks that units leave."""

    root: Path
    marks: Path
    units: int

    def start(self, environment: dict[str, str], enter: Sequence[str] = ()) -> subprocess.Popen[str]:
        """Start a driver; it leads a session of its own."""
        # Not from beside the unit module: workers look for modules in the folder of the driver's program first.
        program = self.root.with_name("driver.py")
        shutil.copyfile(HERE / "cluster_driver.py", program)
        return subprocess.Popen(
            [*enter, sys.executable, str(program), str(self.root), str(self.units)],
            env=environment,
            cwd=self.root,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, environment: dict[str, str], enter: Sequence[str] = ()) -> tuple[int, str]:
        """Run a driver to its end: exit status and what it wrote to standard error."""
        return ended(self.start(environment, enter))

    def content(self) -> dict[str, str]:
        """Hashes of the outputs and of the index."""
        files = [*sorted((self.root / "out").iterdir()), self.root / "units.json"]
        return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}

    def ran(self, what: str = "done") -> Counter[str]:
        """How often each unit ended (or began)."""
        return Counter(path.name.split(".")[0] for path in self.marks.glob(f"*.{what}.*"))

    def nodes(self) -> Counter[str]:
        """How many units each node ended."""
        return Counter(path.name.split(".")[2] for path in self.marks.glob("*.done.*"))

    def meet(self, *nodes: str) -> None:
        """Units of the next runs wait for each other until one has begun on each of these nodes.

        Otherwise a node that is up first may do all of them before the next one has a worker.
        """
        (self.marks / "meet").write_text(" ".join(nodes))

    def forget_marks(self) -> None:
        for path in self.marks.iterdir():
            path.unlink()

    def kept(self) -> set[str]:
        """Units that the journal knows to be finished."""
        path = self.root / ".hearlab" / "journal.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        return {line.partition('"id":"')[2].partition('"')[0] for line in lines}

    def left_over(self) -> list[str]:
        """Temporary files and whatever else a run should have taken away."""
        paths = [path for path in self.root.rglob("*") if ".part-" in path.name or "workspace-mark" in path.name]
        staging = self.root / ".hearlab" / "staging"
        return sorted(str(path) for path in [*paths, *(staging.iterdir() if staging.exists() else ())])


def ended(driver: subprocess.Popen[str], seconds: float = RUN_SECONDS) -> tuple[int, str]:
    """Wait for a driver: exit status and what it wrote to standard error. One that hangs fails the test."""
    try:
        _, text = driver.communicate(timeout=seconds)
    finally:
        kill_family(driver.pid)
        driver.wait()
    return driver.returncode, text
