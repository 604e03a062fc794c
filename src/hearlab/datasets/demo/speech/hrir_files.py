"""The files of head-related impulse responses: MATLAB 5 files as the challenge has them, and the decoder's metadata."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.io import savemat
from scipy.special import eval_legendre, roots_legendre

from hearlab.datasets.demo.seeds import item_rng
from hearlab.datasets.demo.speech.heads import (
    CENTRE_DELAY,
    DIRECTIONS,
    LOUDSPEAKERS,
    Head,
    head_responses,
    unit_vectors,
)
from hearlab.datasets.demo.speech.spherical_harmonics import real_spherical_harmonics

DECODER_ORDER = 7

# The first 116 bytes of a MATLAB 5 file are free text; scipy writes the time of day there.
_HEADER = b"MATLAB 5.0 MAT-file, Platform: HearLab, synthetic head-related impulse responses"
_HEADER_BYTES = 116


def hrir_mat(head: Head, microphone: str, rate: int, seed: int) -> bytes:
    """Content of `{head}-{microphone}.mat`: the same bytes each time, with the fields of the challenge's files."""
    rng = item_rng(seed, head.name)
    asymmetry = rng.uniform(-0.02, 0.02, 2).tolist()
    # What the measurements report of the subject's movements: cm and degrees per direction.
    head_positions = np.round(0.3 * rng.standard_normal((6, len(DIRECTIONS))), 4)
    fields = {
        "M_data": head_responses(head, microphone, rate, asymmetry),
        "M_directions": DIRECTIONS.T.copy(),
        "M_headpos": head_positions,
        "T_shft_common": CENTRE_DELAY / rate,
        "c_channel_names": _cells(f"{microphone}-l", f"{microphone}-r"),
        "c_data_dims": _cells("Values", "SourceDirection", "EarSide [Left Right]"),
        "c_legend_headpos": _cells("X [cm]", "Y [cm]", "Z [cm]", "Yaw [deg]", "Pitch [deg]", "Roll [deg]"),
        "c_mic_names": _cells("Sphere_L", "Sphere_R"),
        "c_mic_types": _cells("Point on a rigid sphere", "Point on a rigid sphere"),
        "n_samples_rejected": np.uint16(0),
        "s_locname": microphone,
        "s_subj_info": "Rigid sphere with synthetic ears",
        "s_type": "HRIR",
        "s_vpname": head.name,
        "srate": np.uint16(rate),
    }
    buffer = io.BytesIO()
    savemat(buffer, fields)
    return _HEADER.ljust(_HEADER_BYTES) + buffer.getvalue()[_HEADER_BYTES:]


def _cells(*texts: str) -> NDArray[np.object_]:
    cells = np.empty((1, len(texts)), dtype=object)
    cells[0] = texts
    return cells


def decoder_metadata() -> dict[str, Any]:
    """Content of hrir_data.json: which directions are loudspeakers, spherical harmonics at them, and max-rE weights.

    The challenge's matrix has orthonormal harmonics up to order 7 at the azimuth of the head-related responses, which
    runs clockwise, and at minus their elevation. Room responses count azimuth counter-clockwise and elevation up. So
    the published decoder turns the room by 180 degrees about the listener's front axis: what is on the left (by the
    coordinates of the room) is heard on the right. This is kept: heads and rooms of both data sets can be mixed.
    """
    directions = DIRECTIONS[LOUDSPEAKERS] * [1.0, -1.0]
    # max-rE weights: Legendre polynomials at the largest root of the next order (Daniel 2000).
    largest_root = roots_legendre(DECODER_ORDER + 1)[0].max()
    weights = [
        1.0 if order == 0 else float(eval_legendre(order, largest_root))
        for order in range(DECODER_ORDER + 1)
        for _ in range(2 * order + 1)
    ]
    return {
        "selected_channels": LOUDSPEAKERS.tolist(),
        "matrix": real_spherical_harmonics(DECODER_ORDER, unit_vectors(directions)).tolist(),
        "weights": weights,
    }
