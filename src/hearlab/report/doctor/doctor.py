"""What is installed, reachable and complete here, what is missing, and how to get it."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import socket
import sys
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

from hearlab.cores import usable_cores
from hearlab.datasets.download.checksums import file_digests
from hearlab.datasets.links import working_link
from hearlab.errors import InputError
from hearlab.params import PUBLISHED_WEIGHTS, TRAINED, Params, load_params
from hearlab.report.doctor.data import data_findings
from hearlab.report.doctor.finding import Finding
from hearlab.secrets import hide, without_login
from hearlab.source import checkout_source, running_source
from hearlab.text import size_text
from hearlab.tracking.server import first_cause, server_problem
from hearlab.versions.dvc_command import remote_problem
from hearlab.versions.dvc_files import LINK_TYPES, cache_folder, link_types, remotes
from hearlab.versions.git import NO_REPOSITORY, git_text, is_shallow, repository_problem

CORE = ("numpy", "scipy", "numba", "soundfile", "soxr", "pydantic", "ruamel.yaml")
# What a group of functions needs -> where its packages come from.
EXTRAS = {"pipeline": ("dvc", "ray"), "music": ("torch", "torchaudio", "openunmix")}
SECONDS = 10.0  # for anything on the network
PORTS = {"postgresql": 5432, "mysql": 3306}
MEMORY_PER_WORKER = 2 << 30
# Linux without any of them has no GPU for torch: NVIDIA's driver, that of Windows' Linux, AMD's.
GPU_DRIVERS = ("/proc/driver/nvidia/version", "/dev/nvidiactl", "/dev/dxg", "/dev/kfd")


def examine(root: Path) -> list[Finding]:
    """Make all checks; a check that cannot be made is a finding too.

    Args:
        root: the workspace.
    """
    path = root / "params.yaml"
    params: Params | None = None
    try:
        params = load_params(path)
        findings = [Finding("params.yaml", "ok", f"right; data set {params.dataset}")]
    except InputError as error:
        findings = [Finding("params.yaml", "error", str(error).splitlines()[0].removeprefix(f"{path}: "))]
    for check in (_python, _source, _packages, _git, _dvc, _remotes, _ray, _mlflow, _machine, data_findings, _weights):
        try:
            findings += check(root, params)
        except InputError as error:
            findings += [finding for finding in [Finding("doctor", "error", str(error))] if finding not in findings]
        except Exception as error:
            findings.append(Finding("doctor", "warning", f"a check failed: {type(error).__name__}: {error}"))
    return findings


def _python(root: Path, params: Params | None) -> Iterator[Finding]:
    yield Finding("Python", "ok", f"{platform.python_version()} on {platform.platform(terse=True)}")


def _source(root: Path, params: Params | None) -> Iterator[Finding]:
    runs, beside = running_source(), checkout_source(root)
    if beside in (runs, None):
        yield Finding("source", "ok", str(runs))
    else:
        advice = "stages, plan and scores start that of this folder by themselves; make demo here installs it"
        yield Finding("source", "warning", f"{runs} runs, not {beside}", advice)


def _packages(root: Path, params: Params | None) -> Iterator[Finding]:
    for subject, names in {"packages": CORE, **EXTRAS}.items():
        versions = {name: _version(name) for name in names}
        absent = ", ".join(name for name, version in versions.items() if version is None)
        if subject == "packages":
            versions = {"hearlab": _version("hearlab") or "not installed", **versions}
        if not absent:
            yield Finding(subject, "ok", ", ".join(f"{name} {version}" for name, version in versions.items()))
        elif subject == "packages":
            yield Finding(subject, "error", f"{absent} missing", "run make demo, or pip install hearlab")
        else:
            advice = f"make demo installs them, or pip install 'hearlab[{subject}]'"
            yield Finding(subject, "warning", f"{absent} missing", advice)

    if os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0"):
        yield Finding("NUMBA_DISABLE_JIT", "error", "is set: nothing can be scored without compiled code", "unset it")


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _git(root: Path, params: Params | None) -> Iterator[Finding]:
    if shutil.which("git") is None:
        yield Finding("git", "error", "not installed", "install git: DVC and the leaderboard need it")
        return
    version = git_text(root, "--version").removeprefix("git version ")
    if problem := repository_problem(root):
        advice = "git init, or clone HearLab" if problem == NO_REPOSITORY else None
        yield Finding("git", "warning", f"{version}; {problem}", advice)
        return
    changed = len(git_text(root, "status", "--porcelain", "--", ".").splitlines())
    text = f"{version}; {changed} files changed since the last commit" if changed else version
    yield Finding("git", "ok", text + ("; a shallow clone: git fetch --unshallow gets the rest" * is_shallow(root)))


def _dvc(root: Path, params: Params | None) -> Iterator[Finding]:
    cache = cache_folder(root)
    if cache is None:
        yield Finding("DVC", "warning", "this folder is no DVC repository", "dvc init (make demo does it)")
        return
    cache.mkdir(parents=True, exist_ok=True)
    works = [kind for kind in LINK_TYPES if working_link(root, cache, (kind,)) is not None]
    chosen = next((kind for kind in link_types(root) if kind in works), None)
    text = f"cache {cache.parent.parent}; links that work here: {', '.join(works)}; taken: {chosen}"
    if chosen in (None, "copy"):
        advice = "every file exists twice: put cache and workspace on one file system, or dvc config cache.type symlink"
        yield Finding("DVC", "warning", text, advice)
    else:
        yield Finding("DVC", "ok", text)


def _remotes(root: Path, params: Params | None) -> Iterator[Finding]:
    if _version("dvc") is None or not (root / ".dvc").is_dir():
        return
    configured = remotes(root)
    if not configured:
        advice = "dvc remote add --default NAME ADDRESS, see docs/remotes.md"
        yield Finding("remote", "warning", "none is set: results exist on this machine only", advice)
    for name, settings in configured.items():
        address = without_login(settings.get("url", ""))
        problem = remote_problem(root, name, 3 * SECONDS) or _web_problem(address, settings.get("ssl_verify", True))
        if problem:
            advice = "check the network and docs/remotes.md"
            yield Finding(f"remote {name}", "error", hide(f"{address}: {problem}")[:200], advice)
        elif not settings.get("verify"):
            advice = f"dvc remote modify {name} verify true, see docs/remotes.md"
            yield Finding(f"remote {name}", "warning", "reachable, but DVC takes any bytes that come from it", advice)
        else:
            yield Finding(f"remote {name}", "ok", "reachable")


def _ray(root: Path, params: Params | None) -> Iterator[Finding]:
    address = os.environ.get("RAY_ADDRESS")
    if _version("ray") is None:
        return  # _packages says so
    if not address:
        yield Finding("Ray", "ok", "for clusters and graphics processors; not in use here (RAY_ADDRESS is not set)")
        return
    problem = _connection_problem(f"ray://{address.removeprefix('ray://')}", "no host and port")
    if problem:
        advice = "start the cluster (docs/cluster.md) or unset it"
        yield Finding("Ray", "error", f"RAY_ADDRESS={address}: {problem}", advice)
    elif not os.environ.get("RAY_AUTH_TOKEN"):
        advice = "set RAY_AUTH_MODE=token and the cluster's RAY_AUTH_TOKEN"
        yield Finding("Ray", "warning", f"{address} answers, but there is no RAY_AUTH_TOKEN", advice)
    else:
        yield Finding("Ray", "ok", f"{address} answers")


def _mlflow(root: Path, params: Params | None) -> Iterator[Finding]:
    version = _version("mlflow")
    given = os.environ.get("MLFLOW_TRACKING_URI", "")
    address = without_login(given)
    if version is None:
        advice = "the pipeline runs without it; make demo installs it, or pip install 'hearlab[pipeline]'"
        yield Finding("MLflow", "warning", "not installed: runs are not tracked", advice)
    elif not address:
        yield Finding("MLflow", "ok", f"{version}; MLFLOW_TRACKING_URI is not set")
    elif problem := _tracking_problem(given):
        advice = "the pipeline runs without it; start the server, or unset MLFLOW_TRACKING_URI"
        yield Finding("MLflow", "warning", f"{version}; {address}: {problem}", advice)
    else:
        yield Finding("MLflow", "ok", f"{version}; {address} can be reached")


def _tracking_problem(address: str) -> str | None:
    """Why MLflow cannot use an address; None if it can, as far as is seen without MLflow."""
    parts = urllib.parse.urlsplit(without_login(address))
    if parts.scheme.startswith("sqlite"):  # sqlite:///a.db is relative, sqlite:////a.db absolute
        folder = Path(parts.path.removeprefix("/") or ".").parent
        return None if folder.is_dir() else f"no folder {folder}"
    if parts.scheme not in ("http", "https"):
        return _connection_problem(parts.geturl())
    return server_problem(address, SECONDS, healthy=True)


def _web_problem(address: str, verify: bool | str) -> str | None:
    """Why no web server answers at an address; None if one does, and for others. DVC would take it for an empty one."""
    scheme, colon, rest = address.partition(":")
    if scheme not in ("http", "https", "webdav", "webdavs"):
        return None
    import requests

    url = scheme.replace("webdav", "http") + colon + rest
    try:
        requests.head(url, timeout=SECONDS, verify=verify)
    except (requests.RequestException, OSError) as error:
        return first_cause(error)
    return None


def _connection_problem(address: str, without_port: str | None = None) -> str | None:
    """Why nothing answers at an address; None if something does. `without_port` is for one that names no port."""
    parts = urllib.parse.urlsplit(address)
    try:
        port = parts.port or PORTS.get(parts.scheme.partition("+")[0])
        if not parts.hostname or port is None:
            return without_port
        socket.create_connection((parts.hostname, port), timeout=SECONDS).close()
    except (OSError, ValueError) as error:
        return str(error)
    return None


def _machine(root: Path, params: Params | None) -> Iterator[Finding]:
    cores = usable_cores()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    text = f"{cores} cores, {size_text(memory)} of memory"
    if memory < cores * MEMORY_PER_WORKER:
        advice = f"set HEARLAB_WORKERS={max(1, memory // MEMORY_PER_WORKER)}"
        yield Finding("machine", "warning", f"{text}: less than {size_text(MEMORY_PER_WORKER)} a core", advice)
    else:
        yield Finding("machine", "ok", text)
    if (version := _version("torch")) is not None:
        names: list[str] = []
        # Importing torch takes more than a second.
        if not version.endswith("+cpu") and (sys.platform != "linux" or any(map(os.path.exists, GPU_DRIVERS))):
            import torch

            names = [torch.cuda.get_device_name(k) for k in range(torch.cuda.device_count())]
        yield Finding("GPU", "ok", ", ".join(names) if names else "none (none is needed)")


def _weights(root: Path, params: Params | None) -> Iterator[Finding]:
    from hearlab.separation.loading import weights_files
    from hearlab.separation.weights import known_hash, published_files

    if params is None:
        return
    model, chosen = params.separate.model, params.separator_weights
    if chosen == TRAINED:
        yield Finding("weights", "ok", f"{model}: trained by train_separator")
        return
    try:
        files = weights_files(model, root / chosen)
    except InputError as error:
        yield Finding("weights", "warning", str(error).replace(f"{root}{os.sep}", ""))
        return
    for path in files:
        if not file_digests(path, ["sha256"])["sha256"].startswith(known_hash(path, published_files([model])) or ""):
            yield Finding("weights", "error", f"{path.name} has another hash than its name", "fetch it again")
            return
    where = f"{chosen} (published)" if chosen == PUBLISHED_WEIGHTS else chosen
    yield Finding("weights", "ok", f"{model}: {len(files)} files in {where}")
