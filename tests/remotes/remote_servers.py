"""Real servers on the loopback for the tests of remotes: sshd, WebDAV, S3; and a cable that can be cut."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ports import free_port
from waits import LONGEST

USER, PASSWORD = "pat-at-the-lab", "correct-horse"
BUCKET = "hearlab"
BLOCK = 1 << 16


@contextlib.contextmanager
def process(
    command: Sequence[str], folder: Path, port: int, environment: dict[str, str] | None = None
) -> Iterator[None]:
    """A server process that listens on `port`; ended on leaving."""
    log = folder / "server.log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            command, cwd=folder, stdout=output, stderr=subprocess.STDOUT, env={**os.environ, **(environment or {})}
        )
    try:
        deadline = time.monotonic() + LONGEST
        while True:
            assert server.poll() is None, f"{command[0]} ended by itself:\n{log.read_text()}"
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port), timeout=10).close()
                break
            assert time.monotonic() < deadline, f"{command[0]} does not answer:\n{log.read_text()}"
            time.sleep(0.1)
        yield
    finally:
        server.terminate()
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


class Cable:
    """What lies between DVC and a server; it can be cut after a number of bytes that came from the server.

    Attributes:
        port: where DVC connects to.
        was_cut: whether it has been cut since `cut_after`.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self._left: int | None = None
        self._once = False
        self.was_cut = False
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def cut_after(self, size: int, *, once: bool = False) -> None:
        """Let `size` more bytes through, then end all connections, and every new one unless it is for `once`."""
        with self._lock:
            self._left, self._once, self.was_cut = size, once, False

    def mend(self) -> None:
        """Let everything through again."""
        with self._lock:
            self._left = None

    def close(self) -> None:
        """End everything."""
        self._listener.close()
        self._hang_up()

    def _hang_up(self) -> None:
        for end in list(self._open):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            if self.was_cut and self._left is not None:
                near.close()
                continue
            try:
                far = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                near.close()
                continue
            for end in (near, far):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._open |= {near, far}
            threading.Thread(target=self._pump, args=(near, far, False), daemon=True).start()
            threading.Thread(target=self._pump, args=(far, near, True), daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket, counted: bool) -> None:
        with contextlib.suppress(OSError):
            while block := source.recv(BLOCK):
                with self._lock:
                    if counted and self._left is not None:
                        block = block[: max(self._left, 0)]
                        self._left -= len(block)
                if block:
                    target.sendall(block)
                if self._left is not None and self._left <= 0:
                    self.was_cut = True
                    if self._once:
                        self.mend()
                    self._hang_up()
                    break
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        with self._lock:
            self._open.discard(source)
        source.close()


@dataclass(frozen=True)
class Remote:
    """A remote that DVC can use.

    Attributes:
        address: for `dvc remote add`.
        options: for `dvc remote modify`, kept in git.
        secrets: for `dvc remote modify --local`.
        store: the folder in which the server keeps its files; None if it keeps them in memory.
        cable: what can be cut; None for a folder.
    """

    address: str
    options: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    store: Path | None = None
    cable: Cable | None = None

    def flip(self, md5: str) -> None:
        """Alter one byte of an object on the remote; its size stays."""
        if self.store is not None:
            path = self.store / "files" / "md5" / md5[:2] / md5[2:]
            path.chmod(0o644)
            path.write_bytes(flipped(path.read_bytes()))
            return
        client = s3_client(self.options["endpointurl"])
        key = f"dvc/files/md5/{md5[:2]}/{md5[2:]}"
        content = client.get_object(Bucket=BUCKET, Key=key)["Body"].read()  # type: ignore[attr-defined]
        client.put_object(Bucket=BUCKET, Key=key, Body=flipped(content))  # type: ignore[attr-defined]


def flipped(content: bytes) -> bytes:
    """The same bytes but for one bit in the middle."""
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


@contextlib.contextmanager
def folder_remote(folder: Path) -> Iterator[Remote]:
    """A folder, such as one of a mounted disk."""
    store = folder / "store"
    yield Remote(str(store), store=store)


@contextlib.contextmanager
def ssh_remote(folder: Path) -> Iterator[Remote]:
    """sshd with a host key of its own, for the tests' user, who logs in with a key."""
    program = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if program is None or shutil.which("ssh-keygen") is None:
        pytest.skip("sshd is not installed (Debian's openssh-server)")
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    shutil.copy(folder / "user.pub", folder / "authorized")
    port = free_port()
    (folder / "sshd_config").write_text(
        f"ListenAddress 127.0.0.1:{port}\nHostKey {folder}/host\nAuthorizedKeysFile {folder}/authorized\nPidFile none\n"
        "StrictModes no\nUsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n"
        "PermitRootLogin prohibit-password\nSubsystem sftp internal-sftp\n"
    )
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # where root's sshd locks up its unprivileged part
    store = folder / "store"
    store.mkdir()
    command = (program, "-D", "-e", "-f", str(folder / "sshd_config"))
    with process(command, folder, port), contextlib.closing(Cable(port)) as cable:
        options = {"port": str(cable.port)}
        yield Remote(f"ssh://127.0.0.1{store}", options, {"keyfile": str(folder / "user")}, store, cable)


@contextlib.contextmanager
def webdav_remote(folder: Path) -> Iterator[Remote]:
    """WsgiDAV, with a user and a password."""
    pytest.importorskip("wsgidav")
    port, store = free_port(), folder / "store"
    store.mkdir()
    (folder / "wsgidav.yaml").write_text(
        f"host: 127.0.0.1\nport: {port}\nserver: cheroot\nprovider_mapping:\n  '/': '{store}'\n"
        "http_authenticator:\n  domain_controller: null\n  accept_basic: true\n  accept_digest: false\n"
        "  default_to_digest: false\n"
        f"simple_dc:\n  user_mapping:\n    '*':\n      {USER}:\n        password: {PASSWORD}\n"
        "lock_storage: true\nlogging:\n  enable: false\n"
    )
    command = (
        sys.executable,
        "-m",
        "wsgidav.server.server_cli",
        "--config",
        str(folder / "wsgidav.yaml"),
        "--no-config",
    )
    with process(command[:-1], folder, port), contextlib.closing(Cable(port)) as cable:
        secrets = {"user": USER, "password": PASSWORD}
        yield Remote(f"webdav://127.0.0.1:{cable.port}/", {}, secrets, store, cable)


@contextlib.contextmanager
def s3_remote(folder: Path) -> Iterator[Remote]:
    """moto's S3, which keeps its objects in memory."""
    pytest.importorskip("moto.server")
    port = free_port()
    command = (sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port))
    with process(command, folder, port), contextlib.closing(Cable(port)) as cable:
        address = f"http://127.0.0.1:{cable.port}"
        s3_client(address).create_bucket(Bucket=BUCKET)  # type: ignore[attr-defined]
        secrets = {"access_key_id": USER, "secret_access_key": PASSWORD}
        yield Remote(f"s3://{BUCKET}/dvc", {"endpointurl": address}, secrets, None, cable)


def s3_client(address: str) -> object:
    """A client of the S3 server at an address."""
    import boto3

    return boto3.client(
        "s3",
        endpoint_url=address,
        aws_access_key_id=USER,
        aws_secret_access_key=PASSWORD,
        region_name="us-east-1",
    )


REMOTES = {"folder": folder_remote, "ssh": ssh_remote, "webdav": webdav_remote, "s3": s3_remote}
