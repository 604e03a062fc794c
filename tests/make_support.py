"""A small project with HearLab's own Makefile and tools, and an index of small packages that it is installed from."""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
KEPT = ("PATH", "LANG", "TMPDIR")  # no setting of this machine's pip or Python

PYPROJECT = """\
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]

[project]
name = "hearlab"
"""
# Packages of the project by extra, with the versions of the index.
EXTRAS = {
    "": ("numpy",),
    "pipeline": ("dvc",),
    "music": ("torch==2.13.0",),
    "remotes": (),
    "postgresql": (),
    "dev": ("pytest",),
    "docs": (),
}
# A build backend without dependencies: an editable wheel whose command tells where things are taken from.
BACKEND = f"""\
import os, zipfile
EXTRAS = {EXTRAS!r}
def build_editable(folder, config_settings=None, metadata_directory=None):
    needs = [f"Requires-Dist: {{one}}; extra == '{{extra}}'" for extra in EXTRAS for one in EXTRAS[extra]]
    needs += [f"Provides-Extra: {{extra}}" for extra in EXTRAS]
    files = {{
        "__editable__.hearlab-0.1.0.pth": os.path.abspath("src") + "\\n",
        "METADATA": "\\n".join(["Metadata-Version: 2.1", "Name: hearlab", "Version: 0.1.0", *needs, ""]),
        "WHEEL": "Wheel-Version: 1.0\\nGenerator: tests\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
        "entry_points.txt": "[console_scripts]\\nhearlab = hearlab:main\\n",
    }}
    files = {{name if name.endswith(".pth") else f"hearlab-0.1.0.dist-info/{{name}}": files[name] for name in files}}
    record = "hearlab-0.1.0.dist-info/RECORD"
    with zipfile.ZipFile(os.path.join(folder, "hearlab-0.1.0-py3-none-any.whl"), "w") as wheel:
        for name, text in files.items():
            wheel.writestr(name, text)
        wheel.writestr(record, "".join(f"{{name}},,\\n" for name in [*files, record]))
    return "hearlab-0.1.0-py3-none-any.whl"
"""
PROGRAM = """\
import sys
def main():
    import dvc, numpy, torch
    for module in (sys.modules[__name__], dvc, numpy, torch):
        print(module.__name__, module.__file__, getattr(module, "VERSION", ""))
"""


@dataclass
class Index:
    """A simple index in a folder: real wheels, a page for each package."""

    folder: Path

    @property
    def address(self) -> str:
        return self.folder.as_uri()

    def add(self, name: str, version: str, requires: Sequence[str] = ()) -> None:
        page_name = name.replace("_", "-")
        wheel = self.folder / page_name / f"{name}-{version}-py3-none-any.whl"
        wheel.parent.mkdir(parents=True, exist_ok=True)
        info = f"{name}-{version}.dist-info"
        needs = "".join(f"Requires-Dist: {one}\n" for one in requires)
        files = {
            f"{name}/__init__.py": f"VERSION = {version!r}\ndef main(): print({name!r}, VERSION)\n",
            f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}",
            f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
            f"{info}/entry_points.txt": f"[console_scripts]\n{name} = {name}:main\n",
        }
        with zipfile.ZipFile(wheel, "w") as archive:
            for path, text in files.items():
                archive.writestr(path, text)
            rows = [f"{path},sha256={_hash(text)},{len(text)}\n" for path, text in files.items()]
            archive.writestr(f"{info}/RECORD", "".join([*rows, f"{info}/RECORD,,\n"]))
        pages = [
            f'<a href="{path.name}#sha256={hashlib.sha256(path.read_bytes()).hexdigest()}">{path.name}</a>'
            for path in sorted(wheel.parent.glob("*.whl"))
        ]
        page = f"<!DOCTYPE html><html><body>{''.join(pages)}</body></html>"
        (wheel.parent / "index.html").write_text(page)


def _hash(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


@dataclass
class Project:
    """A copy of the Makefile and its tools with what they need; `make` runs in it with the variables of nobody."""

    folder: Path
    variables: dict[str, str]

    def make(self, *arguments: str, code: int = 0, **variables: str) -> str:
        command = ("make", *arguments, f"PYTHON={self.variables.get('PYTHON', sys.executable)}")
        kept = {name: os.environ[name] for name in KEPT if name in os.environ}
        done = subprocess.run(
            command,
            cwd=self.folder,
            env={**kept, **self.variables, **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stdout
        assert "Traceback" not in done.stdout, done.stdout
        return done.stdout

    def origins(self, output: str) -> dict[str, tuple[Path, str]]:
        """What `hearlab scores` of the small project printed: file and version of each module."""
        lines = [
            line.split(" ")
            for line in output.splitlines()
            if line.split(" ")[0] in ("hearlab", "dvc", "numpy", "torch")
        ]
        return {line[0]: (Path(" ".join(line[1:-1])), line[-1]) for line in lines}

    def assert_whole(self, output: str, torch: str = "2.13.0+cpu") -> None:
        origins = self.origins(output)
        assert (self.folder / ".venv/bin/pip").is_file(), output  # else pip in an activated environment is another one
        assert origins["hearlab"][0] == self.folder / "src/hearlab/__init__.py", output
        for name, version in {"dvc": "3.60", "numpy": "2.1", "torch": torch}.items():
            assert (self.folder / ".venv").resolve() in origins[name][0].resolve().parents, output
            assert origins[name][1] == version, output

    def packages(self) -> Path:
        return next((self.folder / ".venv/lib").glob("python3*/site-packages"))


def indexes(folder: Path) -> tuple[Index, Index]:
    """What stands for PyPI, and for PyTorch's index of builds for CPUs."""
    usual, cpu = Index(folder / "usual"), Index(folder / "cpu")
    for name, version in {"numpy": "2.1", "dvc": "3.60", "pytest": "8.0", "nvidia_cublas": "13.0"}.items():
        usual.add(name, version)
    usual.add("torch", "2.13.0", requires=["nvidia_cublas"])
    cpu.add("torch", "2.13.0+cpu")
    cpu.add("torch", "2.14.0+cpu")
    cpu.add("numpy", "99.0")  # nothing but torch may come from there
    return usual, cpu


def small_project(folder: Path, **variables: str) -> Project:
    usual, cpu = indexes(folder.parent / "indexes")
    (folder / "src/hearlab").mkdir(parents=True)
    shutil.copy2(REPOSITORY / "Makefile", folder / "Makefile")
    shutil.copytree(REPOSITORY / "tools", folder / "tools", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "pyproject.toml").write_text(PYPROJECT)
    (folder / "constraints.txt").write_text("numpy==2.1\ntorch==2.13.0\n")
    (folder / "backend.py").write_text(BACKEND)
    (folder / "src/hearlab/__init__.py").write_text(PROGRAM)
    # Never into the Python that runs the tests, whatever is wrong.
    settings = {
        "PIP_REQUIRE_VIRTUALENV": "1",
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_INDEX_URL": usual.address,
        "TORCH_INDEX": cpu.address,
    }
    return Project(folder, {**settings, "HOME": os.fspath(folder.parent), **variables})
