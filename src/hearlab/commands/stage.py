"""`hearlab stage`: what dvc.yaml calls."""

from __future__ import annotations

import argparse

from hearlab.commands import Commands


def add(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("stage", help="run one stage of the pipeline (what dvc.yaml calls)")
    parser.add_argument("name", metavar="NAME")
    parser.add_argument("arguments", nargs="*", metavar="ARGUMENT", help="such as the split to render")
    parser.set_defaults(run=_stage, checkout=True)


def _stage(options: argparse.Namespace) -> None:
    from hearlab.compute.process import private_ray_token, sigterm_interrupts
    from hearlab.stages import run_stage

    private_ray_token()  # an entrant's system may import Ray
    with sigterm_interrupts():
        run_stage(options.name, options.arguments)
