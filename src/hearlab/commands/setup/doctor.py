"""`hearlab doctor`: what is installed, reachable and complete here."""

from __future__ import annotations

import argparse
from pathlib import Path

from hearlab.commands import Commands
from hearlab.kernels.retained_memory import objects_stay


def add(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "doctor",
        help="what is installed, reachable and complete here; what is missing and how to get it",
        description="Each line says ok, warning or error, and what to do. The exit code is 1 if there is an error.",
    )
    parser.set_defaults(run=_doctor)


def _doctor(options: argparse.Namespace) -> int:
    with objects_stay():  # what it looks for, it imports
        from hearlab.report.doctor.doctor import examine

        findings = examine(Path.cwd())
    for finding in findings:
        print(finding)
    return 1 if any(finding.state == "error" for finding in findings) else 0
