"""`hearlab stage`: what dvc.yaml calls."""

from __future__ import annotations

import argparse
import faulthandler
import sys
from typing import Any

from hearlab.commands import Commands
from hearlab.errors import InputError
from hearlab.files import read_yaml
from hearlab.kernels.arithmetic import own_system_is_native, release


def add(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("stage", help="run one stage of the pipeline (what dvc.yaml calls)")
    parser.add_argument("name", metavar="NAME")
    parser.add_argument("arguments", nargs="*", metavar="ARGUMENT", help="such as the split to render")
    parser.set_defaults(run=_stage, checkout=True)


def _stage(options: argparse.Namespace) -> None:
    from hearlab.stages import ENHANCING, run_stage  # without numpy, whose loops are not chosen yet

    if options.name in ENHANCING and own_system() and own_system_is_native():
        release()  # somebody's system is slowed down by nothing of ours

    crashes_say_where()
    from hearlab.compute.process import private_ray_token, sigterm_interrupts

    private_ray_token()  # an entrant's system may import Ray
    with sigterm_interrupts():
        run_stage(options.name, options.arguments)


def crashes_say_where() -> None:
    """From now on a crash in somebody's compiled code says which line of Python it was in."""
    if sys.__stderr__ is not None:
        faulthandler.enable(file=sys.__stderr__)


def own_system(system: str | None = None) -> bool:
    """Whether a system, or the one that params.yaml names, is not HearLab's; what is wrong in it is told later."""
    from hearlab.compute.code_identity import is_own

    if system is None:
        try:
            enhance: Any = read_yaml("params.yaml").get("enhance")
        except InputError:
            return False
        system = enhance.get("system") if isinstance(enhance, dict) else None
    return isinstance(system, str) and is_own(system)
