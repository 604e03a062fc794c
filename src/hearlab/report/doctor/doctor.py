"""What is installed, reachable and complete here, what is missing, and how to get it."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import socket
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

from hearlab.datasets.links import working_link
from hearlab.errors import InputError
from hearlab.params import PUBLISHED_WEIGHTS, TRAINED, Params, load_params
from hearlab.report.doctor.finding import Finding, State
from hearlab.text import size_text
from hearlab.versions.dvc_command import remote_problem
from hearlab.versions.dvc_files import LINK_TYPES, cache_folder, link_types, remotes

CORE = ("numpy", "scipy", "numba", "soundfile", "soxr", "pydantic", "ruamel.yaml")
# What a group of functions needs -> where its packages come from.
EXTRAS = {"pipeline": ("dvc", "ray"), "music": ("torch", "torchaudio", "openunmix")}
SECONDS = 10.0  # for anything on the network
PORTS = {"http": 80, "webdav": 80, "https": 443, "webdavs": 443, "ssh": 22, "postgresql": 5432, "mysql": 3306}
MEMORY_PER_WORKER = 2 << 30


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
    looks += [lambda: _remotes(root), _ray, _mlflow, _processors, lambda: _data_and_disk(root, params)]
    if params is not None:
        looks.append(lambda: _weights(root, params))
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
    chosen = next((kind for kind in link_types(root) if kind in works), None)
    text = f"cache {known}; links that work here: {', '.join(works)}; taken: {chosen}"
    if chosen in (None, "copy"):
        advice = "every file exists twice: put cache and workspace on one file system, or dvc config cache.type symlink"
        yield Finding("DVC", "warning", text, advice)
    else:
        yield Finding("DVC", "ok", text)


def _links(cache: Path, root: Path) -> list[str]:
    """Kinds of link that really work from the cache to the workspace."""
    return [kind for kind in LINK_TYPES if working_link(root, cache, (kind,)) is not None]


def _remotes(root: Path) -> Iterator[Finding]:
    """Ask each remote for one object that no remote has: the answer 'no' means that it can be reached."""
    if _version("dvc") is None or not (root / ".dvc").is_dir():
        return
    configured = remotes(root)
    if not configured:
        advice = "dvc remote add --default NAME ADDRESS, see docs/remotes.md"
        yield Finding("remote", "warning", "none is set: results exist on this machine only", advice)
    for name, settings in configured.items():
        address = settings.get("url", "")
        unreachable = _unreachable(address)
        if unreachable:
            yield Finding(
                f"remote {name}",
                "error",
                f"{without_secrets(address)}: {unreachable}",
                "check the network and docs/remotes.md",
            )
            continue
        problem = remote_problem(root, name, 3 * SECONDS)
        if problem:
            yield Finding(f"remote {name}", "error", problem, "check the network and docs/remotes.md")
        elif settings.get("verify", "").lower() != "true":
            advice = f"dvc remote modify {name} verify true, see docs/remotes.md"
            yield Finding(f"remote {name}", "warning", "reachable, but DVC takes any bytes that come from it", advice)
        else:
            yield Finding(f"remote {name}", "ok", "reachable")


def _unreachable(address: str) -> str | None:
    """Why nothing answers at an address; None if something does, or if it names no host and port."""
    parts = urllib.parse.urlsplit(address)
    port = parts.port or PORTS.get(parts.scheme.partition("+")[0])
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
    version = _version("mlflow")
    if version is None:
        advice = "the pipeline runs without it; make demo installs it, or pip install 'hearlab[pipeline]'"
        yield Finding("MLflow", "warning", "not installed: runs are not tracked", advice)
        return
    address = os.environ.get("MLFLOW_TRACKING_URI")
    if not address:
        yield Finding("MLflow", "ok", f"{version}; MLFLOW_TRACKING_URI is not set")
        return
    shown, problem = without_secrets(address), None
    parts = urllib.parse.urlsplit(address)
    if parts.scheme in ("http", "https"):
        try:
            urllib.request.urlopen(f"{address.rstrip('/')}/health", timeout=SECONDS).close()
        except urllib.error.HTTPError as error:
            problem = f"answers {error.code}"
        except (OSError, ValueError) as error:
            problem = str(error)
    elif parts.scheme.startswith("sqlite"):
        folder = Path(
            parts.path.removeprefix("/") or "."
        ).parent  # sqlite:///a.db is relative, sqlite:////a.db absolute
        problem = None if folder.is_dir() else f"no folder {folder}"
    elif parts.hostname:
        problem = _unreachable(address)
    if problem:
        advice = "the pipeline runs without it; start the server, or unset MLFLOW_TRACKING_URI"
        yield Finding("MLflow", "warning", f"{version}; {shown}: {problem}", advice)
    else:
        yield Finding("MLflow", "ok", f"{version}; {shown} can be reached")


def without_secrets(address: str) -> str:
    """An address without the user's name and password."""
    parts = urllib.parse.urlsplit(address)
    if not parts.scheme or "@" not in parts.netloc:
        return address
    return urllib.parse.urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


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


def _data_and_disk(root: Path, params: Params | None) -> Iterator[Finding]:
    from hearlab.report.doctor.data import demo_findings, disk_findings, package_findings, standing

    packages = None
    if params is not None and params.dataset != "demo":
        packages = standing(root)
        yield from package_findings(packages)
    elif params is not None:
        yield from demo_findings(root)
    yield from disk_findings(root, params, packages)


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
        yield Finding("weights", "warning", str(error).replace(f"{root}{os.sep}", ""))
        return
    for path in files:
        expected = known_hash(path)
        if expected and not sha256_of(path).startswith(expected):
            yield Finding("weights", "error", f"{path.name} has another hash than its name", "fetch it again")
            return
    where = " (published)" if chosen == PUBLISHED_WEIGHTS else ""
    yield Finding("weights", "ok", f"{params.separate.model}: {len(files)} files in {chosen}{where}")
