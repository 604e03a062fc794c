"""`hearlab show`: one picture of a scene or song."""

from __future__ import annotations

import argparse
from pathlib import Path

from hearlab.commands import Commands
from hearlab.kernels.retained_memory import objects_stay

FOLDER = ".hearlab/show"  # which git ignores, like the sounds and pictures of hearlab try


def add(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("show", help="one PNG of a scene or song: waveforms, spectrograms, audiograms, scores")
    parser.add_argument("name", metavar="SCENE", help="such as S06001, or the name of a song")
    parser.add_argument("--listener", metavar="ID", help="only this one (default: the first four)")
    parser.add_argument("--out", type=Path, metavar="FILE", help=f"default: {FOLDER}/SCENE.png")
    parser.set_defaults(run=_show)


def _show(options: argparse.Namespace) -> None:
    with objects_stay():  # those of matplotlib, while it is imported and while it draws
        from hearlab.report.site.pages import file_name
        from hearlab.report.site.picture import draw

        path = options.out or Path(FOLDER, f"{Path(file_name(options.name)).stem}.png")
        draw(Path.cwd(), options.name, path, listener=options.listener)
    print(path)
