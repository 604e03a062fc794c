"""`hearlab weights`: the published networks that separate music."""

from __future__ import annotations

import argparse
from pathlib import Path

from hearlab.commands import Commands
from hearlab.separators import SEPARATORS


def add(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("weights", help="the published networks that separate music")
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    fetch = actions.add_parser("fetch", help="download them (on a connected machine), with resume and hash check")
    models = ", ".join(SEPARATORS)
    fetch.add_argument("names", nargs="*", metavar="NAME", help=f"a model ({models}) or files; default: all")
    fetch.add_argument("--folder", type=Path, default=None, help="where to put them (default: data/weights)")
    fetch.add_argument(
        "--from", dest="base_url", help="address of a folder that has them, instead of the published ones"
    )
    fetch.set_defaults(run=_fetch)


def _fetch(options: argparse.Namespace) -> None:
    from hearlab.compute.process import sigterm_interrupts
    from hearlab.params import PUBLISHED_WEIGHTS
    from hearlab.progress import ByteProgress
    from hearlab.separation.weights import fetch_weights

    folder = options.folder or Path(PUBLISHED_WEIGHTS)
    with sigterm_interrupts():
        paths = fetch_weights(options.names, folder, base_url=options.base_url, progress=ByteProgress())
    for path in paths:
        print(path)
