"""Filters from ambisonic channels to the microphones of a head, from files of head-related impulse responses."""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.io import loadmat

from hearlab.arrays import Array
from hearlab.errors import InputError
from hearlab.files import read_json
from hearlab.scenes.ambisonics import decoding_filters

# The published data set has 3 heads with 4 pairs of microphones; a pair's filters take 0.2 MB.
KEPT_PAIRS = 16


def microphone_filters(responses: Path, metadata: Path, order: int) -> Array:
    """Filters from ambisonic channels to a pair of microphones.

    The last `KEPT_PAIRS` are cached until one of the two files changes: reading and decoding takes 9 ms for each pair
    of each scene.

    Args:
        responses: MAT file with `M_data`, head-related impulse responses of shape (taps, directions, 2).
        metadata: JSON file with `selected_channels`, for each direction whether it is a loudspeaker, and `matrix`,
            spherical harmonics at the selected directions.
        order: ambisonic order.

    Returns:
        shape (taps, (order + 1)^2, 2), read-only.

    Raises:
        InputError: a file is missing, damaged, or they do not fit each other.
    """
    if not responses.is_file():
        raise InputError(responses, "no such file", wanted="head-related responses (.mat)")
    return _filters(_identity(responses), _identity(metadata), order)


def _identity(path: Path) -> tuple[str, tuple[int, ...]]:
    """A file's name, and what changes when it is written again."""
    try:
        status = os.stat(path)
    except OSError:
        return str(path), ()
    return str(path), (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


@functools.lru_cache(maxsize=KEPT_PAIRS)
def _filters(responses: tuple[str, Any], metadata: tuple[str, Any], order: int) -> Array:
    path, metadata_path = Path(responses[0]), Path(metadata[0])
    try:
        data = loadmat(path, variable_names=["M_data"]).get("M_data")
    except Exception as error:  # scipy raises many kinds for a damaged file
        raise InputError(path, "cannot be read as a MAT file", found=str(error) or type(error).__name__) from None
    if data is None or data.ndim != 3 or data.shape[2] != 2:
        raise InputError(
            path,
            "has not the shape of head-related responses",
            field="M_data",
            found="nothing" if data is None else data.shape,
            wanted="(taps, directions, 2)",
        )
    selected, matrix = _loudspeakers(metadata)
    if selected.size != data.shape[1] or matrix.ndim != 2 or matrix.shape[0] != int(selected.sum()):
        raise InputError(
            metadata_path,
            f"does not fit {path.name}",
            field="selected_channels, matrix",
            found=f"{selected.size} directions, {int(selected.sum())} selected, matrix {matrix.shape}",
            wanted=f"{data.shape[1]} directions and a matrix row for each selected one",
        )
    filters = decoding_filters(data, selected, matrix, order)
    filters.flags.writeable = False
    return filters


@functools.lru_cache(maxsize=1)
def _loudspeakers(metadata: tuple[str, Any]) -> tuple[NDArray[np.bool_], Array]:
    path = Path(metadata[0])
    fields = read_json(path)
    values = []
    for field in ("selected_channels", "matrix"):
        if not isinstance(fields, dict) or field not in fields:
            raise InputError(path, "field is missing", field=field)
        values.append(fields[field])
    return np.array(values[0], dtype=bool), np.array(values[1], dtype=np.float64)
