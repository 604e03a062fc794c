"""The reference of the command line, from the parsers."""

from __future__ import annotations

import argparse
import os
from unittest import mock

from hearlab.cli import command_parser

WIDTH = "100"  # columns of a usage line, whatever the terminal has


def page() -> str:
    """All commands, below the tasks that they are for, in Markdown."""
    with mock.patch.dict(os.environ, COLUMNS=WIDTH):
        return _all()


def _all() -> str:
    top = command_parser()
    return "\n".join(_command(name, parser, 2) for name, parser in _commands(top))


def _commands(parser: argparse.ArgumentParser) -> list[tuple[str, argparse.ArgumentParser]]:
    groups = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    found: dict[int, tuple[str, argparse.ArgumentParser]] = {}
    for group in groups:
        for name, one in group.choices.items():
            found.setdefault(id(one), (name, one))  # the first of its names
    return list(found.values())


def _command(name: str, parser: argparse.ArgumentParser, level: int) -> str:
    parts = [f"{'#' * level} {parser.prog}", ""]
    if parser.description:
        parts += [_text(parser.description), ""]
    usage = parser.format_usage().removeprefix("usage: ").rstrip()
    parts += ["```text", usage, "```", ""]
    rows = [
        (_invocation(action), _help(parser, action))
        for action in parser._actions
        if action.help is not argparse.SUPPRESS
        and not isinstance(action, argparse._HelpAction | argparse._SubParsersAction)
    ]
    if rows:
        parts += ["| argument | |", "| - | - |", *(f"| {_cell(left)} | {_cell(right)} |" for left, right in rows), ""]
    if parser.epilog:
        parts += ["```text", parser.epilog.strip("\n"), "```", ""]
    for below, one in _commands(parser):
        parts += [_command(below, one, level + 1)]
    return "\n".join(parts)


def _invocation(action: argparse.Action) -> str:
    name = action.metavar or action.dest.upper() if action.option_strings else action.metavar or action.dest
    value = " ".join(name) if isinstance(name, tuple) else str(name)
    if not action.option_strings:
        return f"`{value}`"
    if action.choices and not action.metavar:
        value = "{" + ",".join(map(str, action.choices)) + "}"
    takes = "" if action.nargs == 0 else f" {value}"
    return ", ".join(f"`{option}{takes}`" for option in action.option_strings)


def _help(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    return _text(parser._get_formatter()._expand_help(action)) if action.help else ""


def _text(text: str) -> str:
    """Help as prose: what looks like a tag is none."""
    return " ".join(text.split()).replace("<", "&lt;")


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
