"""The text files of a room: a RAVEN project file (.rpf) per source, and the walls as an AC3D model (.ac)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hearlab.arrays import Array
from hearlab.datasets.demo.speech.rooms import AMBISONIC_ORDER, RESPONSE_SECONDS, SOURCES, TALKER, Room


def rpf_text(room: Room, source: str, rate: int) -> str:
    """A RAVEN project file that describes `source` ("t", "i1", ...) and the listener of the room; lines end in CRLF."""
    is_target = source == SOURCES[0]
    size = np.array([room.width, room.length, room.height])
    volume = float(np.prod(size))
    sections: dict[str, dict[str, object]] = {
        "Global": {
            "ProjectName": f"CuboidRoom_{room.length:g}x{room.width:g}x{room.height:g}",
            "simulationTypeIS": 1,
            "simulationTypeRT": 0,
            "generateISHOA": 1,
        },
        "Rooms": {
            "Model": f"../ac/{room.name}.ac",
            "Temperature": 21,
            "Humidity": 50,
            "Pressure": 101325,
            "Volume": f"{volume:.3f}",
            "Surface": f"{2 * np.sum(volume / size):.3f}",
        },
        "PrimarySources": {
            "numberSources": 1,
            "sourceNames": "Target" if is_target else "Interferer",
            "sourceSoundStates": 1,
            "sourcePositions": _vector(room.sources[source]),
            "sourceViewVectors": _vector(room.view(source)),
            "sourceUpVectors": _vector([0, 0, 1]),
            "sourceDirectivity": f"{TALKER['omni']:g}+{TALKER['dipole']:g}cos" if is_target else "Omnidirectional",
        },
        "Receiver": {
            "numberReceivers": 1,
            "receiverNames": "Listener",
            "receiverRooms": 0,
            "receiverStates": 1,
            "receiverPositions": _vector(room.listener),
            "receiverViewVectors": _vector(room.listener_view),
            "receiverUpVectors": _vector([0, 0, 1]),
        },
        "Filter": {
            "samplingFrequency": rate,
            "filterLength": round(1000 * RESPONSE_SECONDS),
            "ambisonicsOrder": AMBISONIC_ORDER,
        },
    }
    lines = ["# Invented room, written by HearLab in the form of a RAVEN project file"]
    for section, fields in sections.items():
        lines += ["", f"[{section}]", *(f"{name} = {value}" for name, value in fields.items())]
    return "\r\n".join(lines) + "\r\n"


def _vector(values: Sequence[float] | Array) -> str:
    # Adding zero turns -0.0 into 0.0.
    return ", ".join(f"{round(float(value), 3) + 0.0:.3f}" for value in values)


# Corners of the box (along x, y, z: 0 lower, 1 upper) of each wall, counter-clockwise as seen from inside.
_WALLS = {
    "floor": [(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0)],
    "ceiling": [(0, 1, 1), (1, 1, 1), (1, 0, 1), (0, 0, 1)],
    "front": [(0, 0, 0), (0, 0, 1), (1, 0, 1), (1, 0, 0)],
    "back": [(1, 1, 0), (1, 1, 1), (0, 1, 1), (0, 1, 0)],
    "left": [(0, 1, 0), (0, 1, 1), (0, 0, 1), (0, 0, 0)],
    "right": [(1, 0, 0), (1, 0, 1), (1, 1, 1), (1, 1, 0)],
}


def ac_text(room: Room) -> str:
    """The six walls as an AC3D model, one material and one polygon each; lines end in CRLF."""
    bounds = np.array([[-room.width / 2, room.width / 2], [0.0, room.length], [0.0, room.height]])
    look = "amb 0.2 0.2 0.2  emis 0 0 0  spec 0.2 0.2 0.2  shi 128  trans 0"
    lines = ["AC3Db"]
    lines += [f'MATERIAL "{wall}" rgb 0 0 {(k + 1) / 10:g} {look}' for k, wall in enumerate(_WALLS)]
    lines += ["OBJECT world", f"kids {len(_WALLS)}"]
    for material, (wall, corners) in enumerate(_WALLS.items()):
        lines += ["OBJECT poly", f'name "{wall}"', "numvert 4"]
        for corner in corners:
            lines.append(" ".join(f"{bounds[axis, upper] + 0.0:.4f}" for axis, upper in enumerate(corner)))
        lines += ["numsurf 1", "SURF 0x10", f"mat {material}", "refs 4", *(f"{k} 0 0" for k in range(4)), "kids 0"]
    return "\r\n".join(lines) + "\r\n"
