"""`hearlab compare`: two systems, revisions or experiments on the pairs they share."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from hearlab.commands import Commands
from hearlab.scores.tracks import CONDITIONS, ENHANCED, METRICS

BY = "snr,severity,interferers,stem,song,pairs"


def add(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "compare",
        help="two revisions, experiments or score files: difference, interval, and where it comes from",
        description="The paired difference B - A with a 95 % interval clustered by scene or song, a permutation test, "
        "and what may be concluded. A and B are each: a git revision (HEAD, a tag, a hash), a DVC experiment, "
        "'workspace', a CSV file of scores, a folder of metrics, or 'published' ('published:Demucs').",
    )
    parser.add_argument("a", metavar="A", help="what to compare with")
    parser.add_argument("b", metavar="B", help="what is compared; positive differences: B is better")
    parser.add_argument("--metric", choices=tuple(METRICS), help="default: those that both have")
    parser.add_argument("--condition", choices=CONDITIONS, default=ENHANCED, help=f"default: {ENHANCED}")
    parser.add_argument("--by", default=BY, metavar="LIST", help=f"tables to show, of {BY}, or none (default: all)")
    parser.add_argument("--published", type=Path, metavar="FILE", help="CSV file of published scores, pair by pair")
    parser.add_argument(
        "--metadata", type=Path, metavar="FOLDER", help="folder of scenes.*.json and listeners.json (default: in data/)"
    )
    parser.add_argument(
        "--noise", type=float, metavar="SD", help="of a pair's score between reruns, instead of the measured one"
    )
    parser.add_argument("--json", action="store_true", help="print all of it as JSON")
    parser.set_defaults(run=_compare)


def _compare(options: argparse.Namespace) -> None:
    from hearlab.errors import InputError
    from hearlab.report.compare.comparison import compare
    from hearlab.report.compare.sources import open_source
    from hearlab.report.compare.text import comparison_text, comparison_values

    by = [] if options.by == "none" else options.by.split(",")
    for name in by:
        if name not in BY.split(","):
            raise InputError("--by", "unknown table", found=name, wanted=f"some of {BY}, or none")
    root = Path.cwd()
    first, second = (
        open_source(name, root, condition=options.condition, published=options.published)
        for name in (options.a, options.b)
    )
    found = compare(
        first,
        second,
        root,
        metric=options.metric,
        breakdowns=by,
        noise_sd=options.noise,
        metadata=options.metadata,
    )
    print(json.dumps(comparison_values(found), indent=1) if options.json else comparison_text(found))
