"""Audiograms as they are drawn in clinics: frequency to the right, loss downwards, right ear O, left ear X."""

from __future__ import annotations

import functools
import hashlib
import io
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from hearlab.files import write_text
from hearlab.listeners import Listener

# Stand-ins for colours of the SVG file, which becomes dark with the page.
INK, GRID, LEFT, RIGHT = "#010101", "#020202", "#030303", "#040404"
LIGHT = {INK: "#40464d", GRID: "#d9dde2", LEFT: "#1f5fbf", RIGHT: "#c02a34"}
DARK = {INK: "#b9c0c8", GRID: "#3a4149", LEFT: "#7db0ff", RIGHT: "#ff8d8d"}
LEVELS = (-10.0, 110.0)  # dB HL
TICKS = (250, 500, 1000, 2000, 4000, 8000)
FOLDER = "audiograms"  # of a site
DRAWN = re.compile(rf"{FOLDER}/[0-9a-f]{{24}}\.svg")
# Of the figure's width and height; to have matplotlib find them takes as long as all the rest.
MARGINS = {"left": 0.15, "right": 0.985, "bottom": 0.145, "top": 0.985}
MAKE = 1  # counts up when audiograms are drawn in another way


def draw_audiogram(axes: Any, listener: Listener, colours: dict[str, str] | None = None) -> None:
    """Draw both ears into a matplotlib axes; `colours` replaces INK, GRID, LEFT and RIGHT (default: LIGHT)."""
    used = LIGHT if colours is None else colours
    ears = (("right", listener.right, used[RIGHT], "o"), ("left", listener.left, used[LEFT], "x"))
    for name, ear, colour, marker in ears:
        axes.plot(
            ear.frequencies,
            ear.levels,
            color=colour,
            marker=marker,
            markersize=7,
            markerfacecolor="none",
            markeredgewidth=1.6,
            linewidth=1.4,
            label=f"{name} ear",
            clip_on=False,
        )
    axes.set_xscale("log")
    ears_tested = np.concatenate([listener.left.frequencies, listener.right.frequencies])
    axes.set_xlim(min(200.0, 0.8 * float(ears_tested.min())), max(9500.0, 1.19 * float(ears_tested.max())))
    axes.set_xticks(TICKS, [f"{tick / 1000:g}k" if tick >= 1000 else str(tick) for tick in TICKS])
    axes.minorticks_off()
    highest = max(LEVELS[1], *(float(ear.levels.max()) + 5 for ear in (listener.left, listener.right)))
    lowest = min(LEVELS[0], *(float(ear.levels.min()) - 5 for ear in (listener.left, listener.right)))
    axes.set_ylim(highest, lowest)
    axes.set_yticks(range(0, int(highest) + 1, 20))
    axes.grid(color=used[GRID], linewidth=0.8)
    axes.set_axisbelow(True)
    axes.set_xlabel("frequency (Hz)", color=used[INK])
    axes.set_ylabel("hearing loss (dB HL)", color=used[INK])
    axes.tick_params(colors=used[INK], length=0)
    for spine in axes.spines.values():
        spine.set_color(used[GRID])
    legend = axes.legend(loc="lower left", frameon=False, fontsize="small")
    for entry in legend.get_texts():
        entry.set_color(used[INK])


@functools.lru_cache(maxsize=1024)
def audiogram_file(site: Path, listener: Listener) -> Path:
    """The drawing in a site, named by what is drawn: it takes longer than a page, and is kept from run to run."""
    ears = [ear for own in (listener.left, listener.right) for ear in (own.frequencies.tolist(), own.levels.tolist())]
    return site / FOLDER / f"{hashlib.sha256(repr((MAKE, ears)).encode()).hexdigest()[:24]}.svg"


def write_audiograms(site: Path, listeners: Iterable[Listener]) -> None:
    """Draw the audiograms that a site has not yet, and delete those that are none of these listeners'."""
    wanted = {audiogram_file(site, listener): listener for listener in listeners}
    for path, listener in wanted.items():
        if not path.exists():
            write_text(path, audiogram_svg(listener))
    for path in (site / FOLDER).glob("*.svg"):
        if path not in wanted and DRAWN.fullmatch(f"{FOLDER}/{path.name}"):
            path.unlink()


def audiogram_svg(listener: Listener) -> str:
    """An SVG file that follows the reader's choice of light or dark."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "hearlab", "font.family": "sans-serif"}):
        figure = Figure(figsize=(3.6, 2.9))
        draw_audiogram(figure.subplots(gridspec_kw=MARGINS), listener, {name: name for name in LIGHT})
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    drawing = buffer.getvalue()
    drawing = drawing[drawing.index("<svg") :]
    variables = {name: f"--c{index}" for index, name in enumerate(LIGHT)}
    for name, variable in variables.items():
        drawing = drawing.replace(name, f"var({variable})")
    # The text is drawn by the browser, in its own sans serif.
    drawing = re.sub(r"font-family: [^;]*", "font-family: system-ui, sans-serif", drawing)

    def values(colours: dict[str, str]) -> str:
        return ";".join(f"{variable}:{colours[name]}" for name, variable in variables.items())

    style = f"<style>:root{{{values(LIGHT)}}}@media(prefers-color-scheme:dark){{:root{{{values(DARK)}}}}}</style>"
    head, rest = drawing.split(">", 1)
    return f"{head}>{style}{rest}"
