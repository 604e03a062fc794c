"""`hearlab weights`: the published networks that separate music."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hearlab.commands import Commands


def add(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("weights", help="the published networks that separate music")
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    fetch = actions.add_parser("fetch", help="download them (on a connected machine), with resume and hash check")
    fetch.add_argument("names", nargs="*", metavar="NAME", help="a model (openunmix, hdemucs) or files; default: all")
    fetch.add_argument("--folder", type=Path, default=None, help="where to put them (default: data/weights)")
    fetch.add_argument(
        "--from", dest="base_url", help="address of a folder that has them, instead of the published ones"
    )
    fetch.set_defaults(run=_fetch)


def _fetch(options: argparse.Namespace) -> None:
    from hearlab.compute.engine import sigterm_interrupts
    from hearlab.params import PUBLISHED_WEIGHTS
    from hearlab.separation.weights import fetch_weights

    folder = options.folder or Path(PUBLISHED_WEIGHTS)
    shown = _Shown()
    with sigterm_interrupts():
        try:
            paths = fetch_weights(options.names, folder, base_url=options.base_url, progress=shown)
        finally:
            shown.finish()
    for path in paths:
        print(path)


class _Shown:
    """A line of progress for each file."""

    def __init__(self) -> None:
        from hearlab.progress import ByteProgress

        self._line = ByteProgress()
        self._name, self._done = "", 0

    def __call__(self, name: str, done: int, total: int | None) -> None:
        if name != self._name:
            self.finish()
            self._name, self._done = name, done
            self._line.start(name, total, done)
        self._line.advance(max(0, done - self._done))
        self._done = max(done, self._done)

    def finish(self) -> None:
        self._line.finish()
