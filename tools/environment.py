"""The environment in .venv: made, filled, completed after a cut, mended after a move. Standard library only.

python tools/environment.py install EXTRAS       HearLab with these extras, whatever is in .venv
python tools/environment.py pip FOLDER ...       the pip of an environment in FOLDER, which is made if it is not there
.venv/bin/python tools/environment.py state      prints ready, moved, or what is wrong
.venv/bin/python tools/environment.py mend       after the folder was moved or copied; nothing is fetched
"""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path

VENV = Path(".venv")
FOLDER = ".folder"  # where the environment is at home: its scripts and the editable install name that folder
INSTALLED, INSTALLED_DEV = ".installed", ".installed-dev"
CONSTRAINTS = Path("constraints.txt")
LONGEST_FIRST_LINE = 127  # of a script, that every kernel reads
# What has pip install elsewhere, or Python look elsewhere. Index, proxy, cache and certificates are the user's.
ELSEWHERE = ("PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_PYTHON", "PYTHONPATH", "PYTHONHOME")
# On Linux PyPI's torch brings CUDA. What make demo and make test download, in all (docs/notes/fresh-machine.md).
BUILDS = {
    "cpu": "0.6 GB to download, with PyTorch for CPUs (TORCH=cuda: for NVIDIA GPUs)",
    "cuda": "3.2 GB to download, with PyTorch for NVIDIA GPUs (TORCH=cpu: for CPUs, 0.6 GB)",
}
LINUX = sys.platform == "linux"


class Failed(Exception):
    """One line for the user."""


def main(command: str, *arguments: str) -> None:
    if command == "state":
        print(state())
    elif command == "mend":
        mend(Path(sys.prefix))
    elif command == "pip":
        folder = Path(arguments[0])
        give_pip(folder, give_python(folder))
        pip(folder, *arguments[1:])
    else:
        install(*arguments)


def install(extras: str) -> None:
    """HearLab with its extras in .venv."""
    whole = (VENV / INSTALLED).is_file()
    packages = give_python(VENV)
    # Gone until pip has finished: a cut is seen by that.
    for marker in (INSTALLED, INSTALLED_DEV):
        (VENV / marker).unlink(missing_ok=True)
    mend(VENV.absolute())
    if not whole:
        remove_damaged(packages)
    give_pip(VENV, packages)
    build = give_torch(packages)
    print(f"Installing HearLab with {extras.replace(',', ', ')} (a minute or two)", flush=True)
    no_cpu_build = [f"torch!={torch_release()}+cpu"] if build == "cuda" else []
    pip(VENV, "install", "--constraint", CONSTRAINTS, "--editable", f".[{extras}]", *no_cpu_build)
    if not version(packages, "hearlab"):
        raise Failed("pip did not install into .venv: see `.venv/bin/python -m pip config list`")
    (VENV / INSTALLED).touch()
    if "dev" in extras.split(","):
        (VENV / INSTALLED_DEV).touch()


def give_python(folder: Path) -> Path:
    """The folder of packages of an environment: of the one that is there, if its Python runs, else of a new one."""
    packages = packages_of(folder)
    if packages is None:
        print(f"Creating the environment in {folder} with {sys.executable}", flush=True)
        # pip comes separately: Debian has it in a package of its own, and venv fails without.
        if _run(sys.executable, "-m", "venv", "--clear", "--without-pip", folder).returncode != 0:
            raise Failed(f"{sys.executable} could not make an environment in {folder.absolute()}")
        (folder / FOLDER).write_text(f"{folder.absolute().parent}\n", encoding="utf-8")
        packages = packages_of(folder)
    if packages is None:
        raise Failed(f"{folder}/bin/python does not run")
    return packages


def packages_of(folder: Path) -> Path | None:
    """None: no environment, or one whose Python is gone, too old, or another than its packages are for."""
    code = "import sys, sysconfig; print(sysconfig.get_path('purelib') if sys.version_info >= (3, 11) else '')"
    try:
        done = _run(folder / "bin/python", "-I", "-c", code, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    except OSError:
        return None
    packages = Path(done.stdout.rstrip("\n"))
    return packages if packages.is_dir() and folder.resolve() in packages.resolve().parents else None


def give_pip(folder: Path, packages: Path) -> None:
    """pip in an environment: Python's own, else by the pip of the system, which knows its own configuration."""
    script = folder / "bin/pip"  # else `pip install` in the activated environment would be another one's
    if (
        version(packages, "pip")
        and script.is_file()
        and _succeeds(folder / "bin/python", "-I", "-m", "pip", "--version")
    ):
        return
    for left in (packages / "pip", *packages.glob("pip-*.dist-info")):
        shutil.rmtree(left, ignore_errors=True)
    by_system = ("-m", "pip", "--python", folder / "bin/python", "install", "--quiet", "pip")
    if not (
        _succeeds(folder / "bin/python", "-m", "ensurepip", "--default-pip") or _succeeds(sys.executable, *by_system)
    ):
        package = f"python3.{sys.version_info.minor}-venv"
        raise Failed(
            f"{sys.executable} brings no pip: run `sudo apt install {package}` (Debian, Ubuntu), then make again"
        )


def pip(folder: Path, *arguments: str | Path) -> None:
    if _run(*_pip(folder), *arguments).returncode != 0:
        raise Failed("pip failed, see above; what is installed stays, and the next make goes on")


def _pip(folder: Path) -> tuple[str | Path, ...]:
    return (folder / "bin/python", "-m", "pip", "--quiet", "--disable-pip-version-check")


def remove_damaged(packages: Path) -> None:
    """Have pip install again what it was cut at: it lists INSTALLER when all else of a package is written."""
    for left in packages.glob("~*"):  # what pip was about to remove
        shutil.rmtree(left, ignore_errors=True)
    for information in packages.glob("*.dist-info"):
        try:
            files = importlib.metadata.Distribution.at(information).files or []
            damaged = not any(path.name == "INSTALLER" for path in files) or not all(map(_is_whole, files))
        except (OSError, ValueError, TypeError):
            damaged = True
        if damaged:
            shutil.rmtree(information)


def _is_whole(path: importlib.metadata.PackagePath) -> bool:
    there = Path(str(path.locate()))
    if there.suffix == ".pyc":
        return True
    # A script, and what names a folder, differs after a move.
    may_differ = path.parts[0] == ".." or there.suffix == ".pth" or there.name == "direct_url.json"
    return there.is_file() and (may_differ or path.size in (None, there.stat().st_size))


def give_torch(packages: Path) -> str:
    """Which build of PyTorch is wanted; the one for CPUs is installed from PyTorch's own index."""
    if not LINUX:
        return "the only one"
    there, release, wanted = version(packages, "torch"), torch_release(), os.environ["TORCH"]
    kind = "cpu" if there.endswith("+cpu") else "cuda"
    build = wanted if wanted != "auto" else kind if there else "cuda" if has_gpu() else "cpu"
    if (there.partition("+")[0], kind) == (release, build):
        return build
    print(f"About {BUILDS[build]}", flush=True)
    if build == "cuda":
        return build
    index = os.environ["TORCH_INDEX"]
    # Only this package in exactly this build can come from there, whatever else the index has.
    exactly = ("install", "--no-deps", "--retries", "1", "--index-url", index, f"torch=={release}+cpu")
    done = _run(*_pip(VENV), *exactly, stderr=subprocess.PIPE)
    if done.returncode == 0:
        return build
    sys.stderr.write(done.stderr)
    shown = re.sub("//[^/@]*@", "//", index)
    advice = f"no PyTorch for CPUs from {shown}, see above (TORCH_INDEX=... names another index)"
    if wanted == "cpu":
        raise Failed(advice)
    print(f"{advice[0].upper()}{advice[1:]}\nInstead: about {BUILDS['cuda']}", flush=True)
    return "any"


def has_gpu() -> bool:
    return Path("/proc/driver/nvidia/version").exists() or _succeeds("nvidia-smi", "-L")


def torch_release() -> str:
    found = re.search(r"^torch==(\S+)", CONSTRAINTS.read_text(encoding="utf-8"), re.MULTILINE)
    if found is None:
        raise Failed(f"{CONSTRAINTS}: no torch==")
    return found[1]


def state() -> str:
    """Of the environment whose Python runs this."""
    packages = Path(sysconfig.get_path("purelib"))
    if not (packages.is_dir() and version(packages, "hearlab")):
        return "HearLab is not installed"
    torch, wanted = version(packages, "torch"), os.environ.get("TORCH")
    if LINUX and wanted in ("cpu", "cuda") and (wanted == "cpu") != torch.endswith("+cpu"):
        return "another PyTorch is wanted"
    return "ready" if former_folder(Path(sys.prefix)) == os.getcwd() else "moved"


def version(packages: Path, name: str) -> str:
    """Of an installed package; empty: not there."""
    for distribution in importlib.metadata.distributions(name=name, path=[os.fspath(packages)]):
        return distribution.version or ""
    return ""


def former_folder(environment: Path) -> str:
    """Where the environment was before: as noted, or where it has HearLab installed from."""
    noted = environment / FOLDER
    if noted.is_file():
        return noted.read_text(encoding="utf-8").rstrip("\n")
    for path in environment.glob("lib/python*/site-packages/__editable__.hearlab-*.pth"):
        return path.read_text(encoding="utf-8").strip().removesuffix("/src")
    return ""


def mend(environment: Path) -> None:
    """Replace the former folder in the environment's scripts, and in what tells Python of packages in this folder."""
    before, now = former_folder(environment), os.fspath(environment.parent)
    if before and before != now:
        texts = [path for path in (environment / "bin").iterdir() if path.is_file() and not path.is_symlink()]
        for pattern in ("__editable__*.pth", "__editable___*_finder.py", "*.dist-info/direct_url.json"):
            texts += environment.glob(f"lib/python*/site-packages/{pattern}")
        for path in [*texts, environment / "pyvenv.cfg"]:
            content = path.read_bytes()
            # Whole names only: the folder of a neighbour may begin with the same letters.
            changed = content.replace(f"{before}/".encode(), f"{now}/".encode())
            if changed != content and b"\0" not in content:
                path.write_bytes(_runnable(changed))
    (environment / FOLDER).write_text(f"{now}\n", encoding="utf-8")


def _runnable(script: bytes) -> bytes:
    """A script whose first line the kernel can read; one that it cannot goes through the shell, as pip writes it."""
    first, _, rest = script.partition(b"\n")
    if first.startswith(b"#!/") and (b" " in first or len(first) > LONGEST_FIRST_LINE):
        program = first[2:]
        return b"#!/bin/sh\n'''exec' \"" + program + b'" "$0" "$@"\n' + b"' '''\n" + rest
    return script


def _run(
    *command: str | Path, stdout: int | None = None, stderr: int | None = None
) -> subprocess.CompletedProcess[str]:
    words = [os.fspath(part) for part in command]
    variables = _environment(os.environ)
    return subprocess.run(
        words, env=variables, stdout=stdout, stderr=stderr, text=True, errors="surrogateescape", check=False
    )


def _environment(variables: Mapping[str, str]) -> dict[str, str]:
    """For pip and Python: 0 is said, since a file of pip's may say 1; no other Python gets packages."""
    kept = {name: value for name, value in variables.items() if name not in ELSEWHERE}
    return kept | {"PIP_USER": "0", "PIP_REQUIRE_VIRTUALENV": "1", "PIP_USE_PEP517": "1"}


def _succeeds(*command: str | Path) -> bool:
    try:
        return _run(*command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0
    except OSError:
        return False


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except Failed as failed:
        sys.exit(f"error: {failed}")
    except KeyboardInterrupt:
        sys.exit(130)
