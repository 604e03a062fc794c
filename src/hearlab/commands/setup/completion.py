"""`hearlab completion`: the completion of commands and options in a shell."""

from __future__ import annotations

import argparse

from hearlab.commands import Commands

SHELLS = ("bash", "zsh", "tcsh")


def add(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "completion",
        help="the completion of commands and options for bash or zsh",
        description='For bash: eval "$(hearlab completion bash)" in ~/.bashrc. For zsh: hearlab completion zsh > '
        "_hearlab, in a folder of $fpath.",
    )
    parser.add_argument("shell", choices=SHELLS)
    parser.set_defaults(run=_completion)


def _completion(options: argparse.Namespace) -> None:
    import shtab

    for action in options.parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            action.help = "command"  # shtab leaves out what --help does
    print(shtab.complete(options.parser, shell=options.shell))
