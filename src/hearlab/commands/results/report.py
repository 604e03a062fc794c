"""`hearlab report`: the site to listen and look."""

from __future__ import annotations

import argparse
import sys
import webbrowser
from pathlib import Path

from hearlab.commands import Commands


def add(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "report",
        help="write the site: scores, comparisons, experiments, and pages to listen",
        description="A folder of pages that open from disk and need no network. A second run only does what is new.",
    )
    parser.add_argument("--out", type=Path, default=Path("report"), metavar="FOLDER", help="default: report")
    parser.add_argument(
        "--against",
        metavar="B",
        help="compare with a revision, experiment, CSV file or folder, as hearlab compare does",
    )
    parser.add_argument(
        "--portable", action="store_true", help="copy the sounds into the site (as FLAC), so that it can be moved"
    )
    parser.add_argument(
        "--scenes", type=int, metavar="N", help="scenes, and songs, that get a page to listen (default: 100 of each)"
    )
    parser.add_argument(
        "--only", action="append", default=[], metavar="NAME", help="only this scene or song; repeat it"
    )
    parser.add_argument(
        "--hearing-loss",
        action="store_true",
        help="add versions heard through each listener's hearing loss: attenuated by the audiogram's thresholds",
    )
    parser.add_argument("--open", action="store_true", help="open it in the browser")
    parser.set_defaults(run=_report)


def _report(options: argparse.Namespace) -> None:
    from hearlab.errors import InputError
    from hearlab.report.site.build import build_site

    if options.scenes is not None and options.scenes < 0:
        raise InputError("--scenes", "must not be negative", found=options.scenes)
    site = build_site(
        Path.cwd(),
        options.out,
        against=options.against,
        portable=options.portable,
        pages=options.scenes,
        only=options.only,
        hearing_loss=options.hearing_loss,
    )
    for problem in site.problems:
        print(f"left out: {problem}", file=sys.stderr)
    for line in site.missing:
        print(f"not shown: {line}", file=sys.stderr)
    print(f"{site.index} ({site.pages} pages to listen; {site.measured} sounds measured now)")
    if options.open and not webbrowser.open(site.index.absolute().as_uri()):
        print("no browser was found: open that file yourself", file=sys.stderr)
