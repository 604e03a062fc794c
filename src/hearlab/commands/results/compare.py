"""`hearlab compare`: systems, revisions or experiments on the pairs they share."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hearlab.commands import Commands
from hearlab.scoring.tracks import CONDITIONS, ENHANCED, METRICS

if TYPE_CHECKING:
    from hearlab.report.compare.sources import ScoreSource

BY = "snr,severity,interferers,stem,song,pairs"


def add(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "compare",
        help="revisions, experiments or score files: differences, intervals, and where they come from",
        description="The paired difference B - A with a 95 % interval clustered by scene or song, a permutation test, "
        "and what may be concluded. A and B are each: a git revision (HEAD, a tag, a hash), a DVC experiment, "
        "'workspace', a CSV file of scores, a folder of metrics, or 'published' ('published:Demucs'). Further ones are "
        "compared with A too, in one table, with p corrected for how many there are (Holm); 'gain*' stands for all "
        "experiments whose names begin so.",
    )
    parser.add_argument("a", metavar="A", help="what to compare with")
    parser.add_argument(
        "b", metavar="B", nargs="+", help="what is compared, one or several; positive differences: B is better"
    )
    parser.add_argument(
        "--label",
        metavar="LABEL",
        action="append",
        default=[],
        help="what tables call a system: NAME=LABEL, or labels in the order of A, B, ... (repeatable; default: its "
        "name, of a sweep's experiments the parameters in which they differ)",
    )
    parser.add_argument("--metric", choices=tuple(METRICS), help="default: those that both have")
    parser.add_argument("--condition", choices=CONDITIONS, default=ENHANCED, help=f"default: {ENHANCED}")
    parser.add_argument("--by", metavar="LIST", help=f"tables to show for A and one B, of {BY}, or none (default: all)")
    parser.add_argument("--published", type=Path, metavar="FILE", help="CSV file of published scores, pair by pair")
    parser.add_argument(
        "--metadata", type=Path, metavar="FOLDER", help="folder of scenes.*.json and listeners.json (default: in data/)"
    )
    parser.add_argument(
        "--noise", type=float, metavar="SD", help="of a pair's score between reruns, instead of the measured one"
    )
    forms = parser.add_mutually_exclusive_group()
    forms.add_argument("--json", action="store_true", help="print all of it as JSON")
    forms.add_argument("--csv", action="store_true", help="print means, differences, intervals and p as a CSV file")
    forms.add_argument("--md", action="store_true", help="the same as tables in Markdown")
    forms.add_argument("--latex", action="store_true", help="the same as a table for LaTeX (booktabs)")
    parser.set_defaults(run=_compare)


def _compare(options: argparse.Namespace) -> None:
    from hearlab.report.compare.titles import with_titles

    root = Path.cwd()
    first, *others = with_titles(_sources(options, root), options.label)
    by = _tables(options, len(others))
    if len(others) == 1 and not (options.csv or options.md or options.latex):
        from hearlab.report.compare.comparison import compare
        from hearlab.report.compare.text import comparison_text, comparison_values

        found = compare(
            first,
            others[0],
            root,
            metric=options.metric,
            breakdowns=by,
            noise_sd=options.noise,
            metadata=options.metadata,
        )
        print(json.dumps(comparison_values(found), indent=1) if options.json else comparison_text(found))
        return
    from hearlab.report.compare import several_text as texts
    from hearlab.report.compare.latex import several_latex
    from hearlab.report.compare.several import compare_several

    several = compare_several(first, others, root, metric=options.metric, noise_sd=options.noise)
    if options.json:
        print(json.dumps(texts.several_values(several), indent=1))
        return
    written = {"csv": texts.several_csv, "md": texts.several_markdown, "latex": several_latex}
    chosen = next((name for name in written if getattr(options, name)), None)
    if chosen is None:
        print(texts.several_text(several))
        return
    # A table in LaTeX has it in a comment, and a CSV file in a column.
    for note in [*(texts.origins(several) if options.md else ()), *texts.table_notes(several)]:
        print(note, file=sys.stderr)  # the table goes into a file
    print(written[chosen](several), end="")


def _sources(options: argparse.Namespace, root: Path) -> list[ScoreSource]:
    """What is compared, A first; a pattern stands for its experiments in their order."""
    from hearlab.errors import InputError
    from hearlab.report.compare.sources import open_source
    from hearlab.report.compare.titles import in_order
    from hearlab.versions.revisions import named_by

    def opened(names: Sequence[str]) -> list[ScoreSource]:
        return [open_source(name, root, condition=options.condition, published=options.published) for name in names]

    groups, known = [[options.a]], {options.a, *options.b}  # each once: p is corrected for how many there are
    for name in options.b:
        if "*" in name and not Path(name).exists():
            groups.append([one for one in named_by(name, root) if one not in known])
            known.update(groups[-1])
        else:
            groups.append([name])
    if not any(groups[1:]):
        raise InputError(options.a, "is all that there is to compare")
    return [one for names in groups for one in (in_order(opened(names)) if len(names) > 1 else opened(names))]


def _tables(options: argparse.Namespace, count: int) -> list[str]:
    from hearlab.errors import InputError

    if options.by is not None and count > 1:
        raise InputError("--by", "goes with A and one B", found=f"{count} to compare with A")
    by = [] if options.by == "none" else (BY if options.by is None else options.by).split(",")
    for name in by:
        if name not in BY.split(","):
            raise InputError("--by", "unknown table", found=name, wanted=f"some of {BY}, or none")
    return by
