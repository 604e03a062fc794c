"""What both implementations' workers read and return: signals in npz files, rendered files as arrays."""

from __future__ import annotations

from pathlib import Path

import numpy as np


def read_signals(path: str) -> dict[str, np.ndarray]:
    with np.load(path) as file:
        return {name: file[name] for name in file.files}


def rendered_values(folder: str, scene: str) -> dict[str, np.ndarray]:
    """The samples of a rendered scene's files, by the name of the signal."""
    from scipy.io import wavfile

    files = sorted(Path(folder).glob(f"{scene}_*.wav"))
    return {file.stem.removeprefix(f"{scene}_"): wavfile.read(file)[1] for file in files}
