"""Code of a stranger, run without the user's secrets and, where Linux allows it, without network and other folders."""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from hearlab.errors import InputError
from hearlab.text import printable

# Of the user's environment nothing else is handed on: tokens, sockets of agents and servers' addresses are not here.
PASSED = ("LANG", "LANGUAGE", "TZ", "COLUMNS", "HEARLAB_WORKERS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc", "/nix", "/sys")
# The machine's own root, if it is the user, could write there without any right; the launcher has the same list.
OF_THE_MACHINE = ("/proc/sys", "/proc/sysrq-trigger", "/proc/irq", "/proc/bus")
LAUNCHER = Path(__file__).with_name("launcher.py")
ENFORCED = "it has no network, sees only the system, this Python and its own folder, and writes only there ({})"
NOTHING = (
    "nothing is enforced: it runs as you, with your files and network; only the environment's variables are held back"
)
CANNOT = "a stranger's code cannot be confined here: neither bwrap nor user namespaces (unshare) work"
UNCONFINED = "install bubblewrap; or read that code, then --unconfined runs it as you, with your files and network"


def scrubbed(folder: Path) -> dict[str, str]:
    """The variables for a stranger's code: a few of the user's, and folders of its own below `folder`."""
    kept = {name: value for name, value in os.environ.items() if name in PASSED or name.startswith("LC_")}
    path = os.environ.get("PATH", os.defpath).split(os.pathsep)  # of a relative one, the checkout could be meant
    home = folder / "home"
    own = {"HOME": home, "TMPDIR": folder / "tmp", "DVC_SITE_CACHE_DIR": home / "site"}
    own |= {f"XDG_{kind.upper()}_HOME": home / kind for kind in ("config", "cache", "data", "state")}
    for place in own.values():
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
    return {
        **kept,
        **{name: str(place) for name, place in own.items()},
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), *filter(os.path.isabs, path)]),
        "GIT_CEILING_DIRECTORIES": str(folder),  # the workspace's repository, above it, is not its own
        "DVC_NO_ANALYTICS": "1",
    }


@functools.cache
def confiner() -> str | None:
    """The program that confines on this machine; None where none can."""
    for name in filter(shutil.which, ("bwrap", "unshare")):
        with tempfile.TemporaryDirectory() as parent, contextlib.suppress(OSError, subprocess.TimeoutExpired):
            folder = Path(parent) / "work"
            folder.mkdir()
            trial = _command(name, ["true"], folder, (), folder)
            if subprocess.run(trial, capture_output=True, check=False, timeout=60).returncode == 0:
                return name
    return None


def run_foreign(
    command: Sequence[str],
    folder: Path,
    place: Path,
    *,
    environment: Mapping[str, str],
    readable: Iterable[Path] = (),
    confined: bool = True,
) -> int:
    """Run a stranger's command and print what it says to standard error; gives its exit status.

    Args:
        command: the program and its arguments.
        folder: all that it may write to.
        place: the folder in which it starts.
        environment: all its variables.
        readable: what it may read beside the system and this Python.
        confined: if not, it runs with all the user's rights.

    Raises:
        InputError: it cannot be confined here.
    """
    name = confiner() if confined else None
    if confined and name is None:
        raise InputError("--recompute", CANNOT, advice=UNCONFINED)
    whole = _command(name, command, folder, readable, place) if name else command
    process = subprocess.Popen(
        whole,
        cwd="/" if name else place,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,  # it cannot type into the user's terminal
        text=True,
        encoding="utf-8",
        errors="replace",
    )
    with process:
        try:
            assert process.stdout is not None
            while line := process.stdout.readline(4096):
                sys.stderr.write(printable(line.rstrip("\n").expandtabs()) + "\n")
        except BaseException:
            os.killpg(process.pid, 9)
            raise
    return process.returncode


def _command(
    name: str | None, command: Sequence[str], folder: Path, readable: Iterable[Path], place: Path
) -> list[str]:
    shown = [str(path) for path in _shown(readable)]
    if name == "bwrap":
        options = [
            "--unshare-user",
            "--unshare-all",
            "--die-with-parent",
            "--new-session",
            "--cap-drop",
            "ALL",
            "--proc",
            "/proc",
            "--dev",
            "/dev",
        ]
        for path in filter(os.path.exists, OF_THE_MACHINE):
            options += ["--ro-bind", path, path]
        options += ["--tmpfs", "/dev/shm", "--tmpfs", "/tmp"]
        for path in shown:
            link = os.path.islink(path)
            options += ["--symlink", os.readlink(path), path] if link else ["--ro-bind", path, path]
        options += ["--bind", str(folder), str(folder), "--remount-ro", "/", "--chdir", str(place)]
        return ["bwrap", *options, "--", *command]
    root = folder.parent / "root"
    root.mkdir(exist_ok=True)
    spaces = ["--user", "--map-root-user", "--mount", "--net", "--pid", "--ipc", "--uts", "--fork", "--kill-child"]
    launcher = [sys.executable, "-I", str(LAUNCHER), str(root), str(folder), str(place), *shown, "--", *command]
    # The first one dies with this process, and all others with it.
    return ["setpriv", "--pdeathsig", "KILL", "unshare", *spaces, "--", *launcher]


def _shown(readable: Iterable[Path]) -> list[Path]:
    """What can be read, outer folders first; links of the system's stay links."""
    python = [Path(name) for name in (sys.prefix, sys.base_prefix)]
    paths = {*map(Path, SYSTEM), *python, *(path.resolve() for path in (*python, *readable))}
    folders = {path for path in paths if path.is_dir() and not path.is_symlink()}
    return [path for path in sorted(paths) if (path.exists() or path.is_symlink()) and not folders & {*path.parents}]
