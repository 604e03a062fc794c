"""The environment of the published implementation: installed once, and again when its list or its Python changes."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

BENCHMARKS = Path(__file__).resolve().parent.parent
REQUIREMENTS = BENCHMARKS / "peer-requirements.txt"
FOLDER = BENCHMARKS / ".peer-venv"


def peer_python(folder: Path = FOLDER, requirements: Path = REQUIREMENTS) -> Path:
    """The interpreter that can import pyclarity; the environment is made when it is missing or out of date.

    Raises:
        subprocess.CalledProcessError: it cannot be installed; pip has said why.
    """
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    stamp = folder / ".made-from"
    wanted = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()
    if python.exists() and stamp.is_file() and stamp.read_text() == wanted:
        return python
    print(f"Installing pyclarity into {folder} (once, a minute or two)", file=sys.stderr)
    shutil.rmtree(folder, ignore_errors=True)
    pip = (sys.executable, BENCHMARKS.parent / "tools/environment.py", "pip", folder)
    subprocess.run([*pip, "install", "--no-deps", "--requirement", requirements], check=True)
    (folder / ".gitignore").write_text("*\n")
    stamp.write_text(wanted)
    return python
