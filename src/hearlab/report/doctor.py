"""What is installed, reachable and complete here, what is missing, and how to get it."""

from __future__ import annotations

import configparser
import contextlib
import importlib.metadata
import os
import platform
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from hearlab.compute.dvc_records import cache_folder
from hearlab.compute.memo_care import size_text
from hearlab.errors import InputError
from hearlab.params import PUBLISHED_WEIGHTS, TRAINED, Params, load_params

State = Literal["ok", "warning", "error"]
CORE = ("numpy", "scipy", "numba", "soundfile", "soxr", "pydantic", "ruamel.yaml")
# What a group of functions needs -> where its packages come from.
EXTRAS = {"pipeline": ("dvc", "ray"), "music": ("torch", "torchaudio", "openunmix")}
SECONDS = 10.0  # for anything on the network
LEAST_FREE = 5 << 30
MEMORY_PER_WORKER = 2 << 30


@dataclass(frozen=True)
class Finding:
    """One line of the report: what was looked at, how it is, and what to do about it."""

    subject: str
    state: State
    text: str
    advice: str | None = None

    def __str__(self) -> str:
        line = f"{self.state:8}{self.subject}: {self.text}"
        return f"{line}; {self.advice}" if self.advice else line


def examine(root: Path) -> list[Finding]:
    """Look at everything; a look that fails by itself is a finding too.

    Args:
        root: the workspace.
    """
    try:
        params = load_params(root / "params.yaml")
        first = [Finding("params.yaml", "ok", f"right; data set {params.dataset}")]
    except InputError as error:
        params = None
        first = [Finding("params.yaml", "error", str(error).splitlines()[0].removeprefix(f"{root / 'params.yaml'}: "))]
    looks: list[Callable[[], Iterator[Finding]]] = [_python, _packages, lambda: _git(root), lambda: _dvc(root)]
    looks += [lambda: _remotes(root), _ray, _mlflow, _processors, lambda: _disk(root)]
    if params is not None:
        looks += [lambda: _data(root, params), lambda: _weights(root, params)]
    findings = first
    for look in looks:
        try:
            findings += look()
        except Exception as error:
            findings.append(Finding("doctor", "warning", f"could not look: {type(error).__name__}: {error}"))
    return findings


def _python() -> Iterator[Finding]:
    state: State = "ok" if sys.version_info >= (3, 11) else "error"
    advice = None if state == "ok" else "install Python 3.11 or newer"
    yield Finding("Python", state, f"{platform.python_version()} on {platform.platform(terse=True)}", advice)


def _packages() -> Iterator[Finding]:
    absent = [name for name in CORE if _version(name) is None]
    if absent:
        yield Finding("packages", "error", f"{', '.join(absent)} missing", "run make demo, or pip install hearlab")
    else:
        versions = [f"hearlab {_version('hearlab') or 'not installed'}", *(f"{name} {_version(name)}" for name in CORE)]
        yield Finding("packages", "ok", ", ".join(versions))
    for extra, names in EXTRAS.items():
        absent = [name for name in names if _version(name) is None]
        if absent:
            advice = f"make demo installs them, or pip install 'hearlab[{extra}]'"
            yield Finding(extra, "warning", f"{', '.join(absent)} missing", advice)
        else:
            yield Finding(extra, "ok", ", ".join(f"{name} {_version(name)}" for name in names))


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _git(root: Path) -> Iterator[Finding]:
    if shutil.which("git") is None:
        yield Finding("git", "error", "not installed", "install git: DVC and the leaderboard need it")
        return
    version = _said("git", "--version").removeprefix("git version ")
    if _said("git", "-C", str(root), "rev-parse", "--is-inside-work-tree") != "true":
        yield Finding("git", "warning", f"{version}; this folder is no repository", "git init, or clone HearLab")
        return
    changed = len(_said("git", "-C", str(root), "status", "--porcelain").splitlines())
    yield Finding("git", "ok", f"{version}; {changed} files changed since the last commit" if changed else version)


def _said(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=6 * SECONDS)
    return done.stdout.strip() if done.returncode == 0 else ""


def _dvc(root: Path) -> Iterator[Finding]:
    cache = cache_folder(root)
    if cache is None:
        yield Finding("DVC", "warning", "this folder is no DVC repository", "dvc init (make demo does it)")
        return
    cache.mkdir(parents=True, exist_ok=True)
    works = _links(cache, root)
    known = cache.parent.parent
    wanted = dvc_config(root, "cache.type") or "reflink,copy"
    chosen = next((kind for kind in wanted.split(",") if kind in works), None)
    text = f"cache {known}; links that work here: {', '.join(works)}; taken: {chosen}"
    if chosen in (None, "copy"):
        advice = "every file exists twice: put cache and workspace on one file system, or dvc config cache.type symlink"
        yield Finding("DVC", "warning", text, advice)
    else:
        yield Finding("DVC", "ok", text)


def _links(cache: Path, root: Path) -> list[str]:
    """Kinds of link that really work from the cache to the workspace."""
    with (
        tempfile.TemporaryDirectory(prefix=".doctor-", dir=cache) as one,
        tempfile.TemporaryDirectory(prefix=".doctor-", dir=root) as two,
    ):
        source = Path(one, "source")
        source.write_bytes(b"x" * 8192)
        kinds = {"reflink": _reflink, "hardlink": os.link, "symlink": os.symlink, "copy": shutil.copyfile}
        works = []
        for name, make in kinds.items():
            with contextlib.suppress(OSError):
                make(source, Path(two, name))  # type: ignore[operator]
                works.append(name)
        return works


def _reflink(source: Path, target: Path) -> None:
    import fcntl

    clone = 0x40049409  # FICLONE of Linux
    with source.open("rb") as read, target.open("wb") as write:
        fcntl.ioctl(write, clone, read.fileno())


def dvc_config(root: Path, name: str) -> str | None:
    """A value of DVC's configuration in the repository, such as 'cache.type'; config.local comes last."""
    section, key = name.split(".")
    value = _configuration(root).get(section, key, fallback=None)
    return value.strip("\"'") if value else value  # DVC quotes what holds a comma


def _configuration(root: Path) -> configparser.ConfigParser:
    # Read from DVC's own files: asking DVC takes seconds.
    config = configparser.ConfigParser(interpolation=None)
    for file in ("config", "config.local"):
        with contextlib.suppress(OSError, configparser.Error):
            text = (root / ".dvc" / file).read_text(encoding="utf-8")
            config.read_string("\n".join(line.strip() for line in text.splitlines()))
    return config


def _settings(root: Path) -> dict[str, dict[str, str]]:
    """Settings of each remote, by its name."""
    config = _configuration(root)
    sections = {re.fullmatch(r"'?remote \"(.+)\"'?", section): section for section in config.sections()}
    return {match[1]: dict(config.items(section)) for match, section in sections.items() if match}


def _remotes(root: Path) -> Iterator[Finding]:
    """Ask each remote for one object that no remote has: the answer 'no' means that it can be reached."""
    if _version("dvc") is None or not (root / ".dvc").is_dir():
        return
    program = (
        "import sys; from dvc.repo import Repo\n"
        "with Repo(sys.argv[1]) as repo:\n"
        "  odb = repo.cloud.get_remote_odb(sys.argv[2]); odb.fs.exists(odb.path)\n"
    )
    remotes = _settings(root)
    if not remotes:
        advice = "dvc remote add --default NAME ADDRESS, see docs/remotes.md"
        yield Finding("remote", "warning", "none is set: results exist on this machine only", advice)
    for name, settings in remotes.items():
        address = settings.get("url", "")
        unreachable = _unreachable(address)
        if unreachable:
            yield Finding(
                f"remote {name}", "error", f"{address}: {unreachable}", "check the network and docs/remotes.md"
            )
            continue
        try:
            done = subprocess.run(
                (sys.executable, "-c", program, str(root), name),
                capture_output=True,
                text=True,
                check=False,
                timeout=3 * SECONDS,
            )
        except subprocess.TimeoutExpired:
            yield Finding(
                f"remote {name}", "error", f"no answer in {3 * SECONDS:g} s", "check the network and docs/remotes.md"
            )
            continue
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["unknown error"])[-1]
            yield Finding(f"remote {name}", "error", last[:200], "see docs/remotes.md")
        elif settings.get("verify", "").lower() != "true":
            advice = f"dvc remote modify {name} verify true, see docs/remotes.md"
            yield Finding(f"remote {name}", "warning", "reachable, but DVC takes any bytes that come from it", advice)
        else:
            yield Finding(f"remote {name}", "ok", "reachable")


def _unreachable(address: str) -> str | None:
    """Why nothing answers at an address; None if something does, or if it names no host and port."""
    parts = urllib.parse.urlsplit(address)
    port = parts.port or {"http": 80, "webdav": 80, "https": 443, "webdavs": 443, "ssh": 22}.get(parts.scheme)
    if not parts.hostname or port is None:
        return None
    try:
        socket.create_connection((parts.hostname, port), timeout=SECONDS).close()
    except OSError as error:
        return str(error)
    return None


def _ray() -> Iterator[Finding]:
    address = os.environ.get("RAY_ADDRESS")
    if _version("ray") is None:
        return  # told with the packages
    if not address:
        yield Finding("Ray", "ok", "started on demand on this machine (RAY_ADDRESS is not set)")
        return
    host, _, port = address.removeprefix("ray://").rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=SECONDS).close()
    except (OSError, ValueError) as error:
        yield Finding(
            "Ray", "error", f"RAY_ADDRESS={address}: {error}", "start the cluster (docs/cluster.md) or unset it"
        )
        return
    if not os.environ.get("RAY_AUTH_TOKEN"):
        advice = "set RAY_AUTH_MODE=token and the cluster's RAY_AUTH_TOKEN"
        yield Finding("Ray", "warning", f"{address} answers, but there is no RAY_AUTH_TOKEN", advice)
    else:
        yield Finding("Ray", "ok", f"{address} answers")


def _mlflow() -> Iterator[Finding]:
    address = os.environ.get("MLFLOW_TRACKING_URI")
    if not address or urllib.parse.urlsplit(address).scheme not in ("http", "https"):
        return
    try:
        with urllib.request.urlopen(f"{address.rstrip('/')}/health", timeout=SECONDS) as answer:
            yield Finding("MLflow", "ok", f"{address} answers ({answer.status})")
    except (OSError, ValueError) as error:
        advice = "the pipeline runs without it; start the server, or unset MLFLOW_TRACKING_URI"
        yield Finding("MLflow", "warning", f"{address}: {error}", advice)


def _processors() -> Iterator[Finding]:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    text = f"{cores} cores, {size_text(memory)} of memory"
    if memory < cores * MEMORY_PER_WORKER:
        advice = f"set HEARLAB_WORKERS={max(1, memory // MEMORY_PER_WORKER)}"
        yield Finding("machine", "warning", text + f": less than {size_text(MEMORY_PER_WORKER)} a core", advice)
    else:
        yield Finding("machine", "ok", text)
    if _version("torch") is not None:
        import torch

        names = [torch.cuda.get_device_name(k) for k in range(torch.cuda.device_count())]
        yield Finding("GPU", "ok", ", ".join(names) if names else "none (none is needed)")


def _disk(root: Path) -> Iterator[Finding]:
    cache = cache_folder(root)
    for name, place in {"workspace": root, **({"DVC cache": cache} if cache else {})}.items():
        free = shutil.disk_usage(place).free
        text = f"{size_text(free)} free"
        if free < LEAST_FREE:
            yield Finding(f"disk of the {name}", "warning", text, "hearlab memo gc and dvc gc make room")
        else:
            yield Finding(f"disk of the {name}", "ok", text)


def _data(root: Path, params: Params) -> Iterator[Finding]:
    from hearlab.datasets.layout import Workspace

    files = Workspace(root / "data" / params.dataset)
    advice = "make demo makes it" if params.dataset == "demo" else "hearlab data status, see docs/full-data.md"
    for subject, place in (("speech data", files.clarity.metadata), ("music data", files.cadenza.metadata)):
        if place.is_dir():
            yield Finding(subject, "ok", f"{place.relative_to(root)} is there")
        else:
            yield Finding(subject, "warning", f"no {place.relative_to(root)}", advice)


def _weights(root: Path, params: Params) -> Iterator[Finding]:
    from hearlab.separation.loading import weights_files
    from hearlab.separation.weights import known_hash, sha256_of

    chosen = params.separator_weights
    if chosen == TRAINED:
        yield Finding("weights", "ok", f"{params.separate.model}: trained by train_separator")
        return
    try:
        files = weights_files(params.separate.model, root / chosen)
    except InputError as error:
        yield Finding("weights", "warning", str(error), f"hearlab weights fetch {params.separate.model}")
        return
    for path in files:
        expected = known_hash(path)
        if expected and not sha256_of(path).startswith(expected):
            yield Finding("weights", "error", f"{path.name} has another hash than its name", "fetch it again")
            return
    where = " (published)" if chosen == PUBLISHED_WEIGHTS else ""
    yield Finding("weights", "ok", f"{params.separate.model}: {len(files)} files in {chosen}{where}")
