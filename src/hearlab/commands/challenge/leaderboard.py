"""`hearlab leaderboard`: print it ranked, add the current results, verify an entry."""

from __future__ import annotations

import argparse
import contextlib
import functools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from hearlab.commands import Commands
from hearlab.scoring.tracks import ENHANCED, TRACKS

if TYPE_CHECKING:
    from hearlab.report.leaderboard.entries import LeaderboardEntry


def add(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "leaderboard",
        help="print it ranked; add the current results; verify an entry",
        description="Without an action: the entries of leaderboard/*.yaml, ranked by the average over all examples.",
    )
    parser.add_argument("--track", choices=tuple(TRACKS), help="default: both")
    parser.set_defaults(run=functools.partial(_run, _show))
    actions = parser.add_subparsers(metavar="ACTION")

    new = actions.add_parser(
        "add",
        help="an entry for the committed results",
        description="Refuses a dirty tree, a pipeline that is not up to date, and incomplete scores.",
    )
    new.add_argument("--track", choices=tuple(TRACKS), dest="one", help="default: every track that has scores")
    new.add_argument("--team", help="default: git's user.name")
    new.add_argument("--system", help="its name (default: the class named in enhance.system)")
    new.add_argument("--name", help="of the file in leaderboard/ (default: made of track, team and system)")
    new.set_defaults(run=functools.partial(_run, _add))

    verify = actions.add_parser(
        "verify",
        help="pull an entry's scores and signals, score pairs again, and confirm or deny its number",
        description="Exit code 0: confirmed; 1: denied, naming what differs, or nothing can be said. "
        "Nothing of the entry's revision is run without --recompute.",
    )
    verify.add_argument("entry", metavar="ENTRY", help="its name in `hearlab leaderboard`, or its file")
    verify.add_argument("--units", type=int, default=20, metavar="N", help="pairs to score again (default: 20)")
    verify.add_argument("--all", action="store_true", help="score all pairs again")
    verify.add_argument("--seed", type=int, help="of the draw of pairs (default: another one each time)")
    verify.add_argument(
        "--recompute", action="store_true", help="run the whole pipeline of that revision, with its own code, confined"
    )
    verify.add_argument("--yes", action="store_true", help="run that code without a question")
    verify.add_argument(
        "--unconfined", action="store_true", help="run that code with your network and files, as any program of yours"
    )
    verify.add_argument(
        "--tolerance", type=float, default=1e-6, metavar="X", help="of a score made again (default: 1e-6)"
    )
    verify.set_defaults(run=functools.partial(_run, _verify))


def _run(action: Callable[[argparse.Namespace], int | None], options: argparse.Namespace) -> int | None:
    from hearlab.versions.checkout import clear_checkouts

    clear_checkouts(Path.cwd())  # what a killed verification left
    return action(options)


def _show(options: argparse.Namespace) -> int:
    from hearlab.report.leaderboard.entries import FOLDER, load_entries
    from hearlab.report.leaderboard.text import leaderboard_text

    tracks = (options.track,) if options.track else tuple(TRACKS)
    board = load_entries(Path(FOLDER))
    print(leaderboard_text(board.entries, tracks))
    for fault in board.faults:
        print(f"left out: {fault}", file=sys.stderr)
    return 1 if board.faults else 0


def _add(options: argparse.Namespace) -> None:
    from hearlab.datasets.layout import METRICS_FOLDER
    from hearlab.errors import InputError
    from hearlab.files import read_bytes
    from hearlab.report.leaderboard.add import new_entry
    from hearlab.report.leaderboard.entries import FOLDER, write_entry
    from hearlab.scoring.table import has_scores

    root, folder = Path.cwd(), Path(FOLDER)
    one = options.one or options.track
    tables = {name: root / METRICS_FOLDER / track.tables[ENHANCED] for name, track in TRACKS.items()}
    # The table of a track that a data set does not have is empty.
    scored = [name for name, path in tables.items() if path.is_file() and has_scores(read_bytes(path))]
    tracks = [one] if one else scored
    if not tracks:
        raise InputError(METRICS_FOLDER, "holds no scores", advice="run dvc repro or dvc pull")
    if len(tracks) > 1 and options.name:
        raise InputError("--name", "can name one entry", found="scores of both tracks", advice="say --track")
    say = functools.partial(print, file=sys.stderr, flush=True)  # it takes some ten seconds
    entries = [
        new_entry(root, folder, track, team=options.team, system=options.system, name=options.name, say=say)
        for track in tracks
    ]
    for entry in entries:
        write_entry(folder / f"{entry.name}.yaml", entry)
        print(f"{folder / entry.name}.yaml: {entry.track}, {entry.score:.4f}, {entry.units} pairs, {entry.source}")
    print("git add and commit it; dvc push and git push, so that others can verify it", file=sys.stderr)


def _verify(options: argparse.Namespace) -> int:
    from hearlab.compute.process import sigterm_interrupts
    from hearlab.errors import ParameterError
    from hearlab.report.leaderboard.entries import FOLDER, find_entry
    from hearlab.report.leaderboard.verify import verify

    for name, wrong in (("--units", options.units < 1), ("--tolerance", not 0 <= options.tolerance < 1)):
        if wrong:
            raise ParameterError(name, "wrong value", found=getattr(options, name.removeprefix("--")))
    for name in ("--yes", "--unconfined"):
        if getattr(options, name.removeprefix("--")) and not options.recompute:
            raise ParameterError(name, "goes with --recompute")
    entry = find_entry(Path(FOLDER), options.entry)
    if options.recompute:
        _ask(entry, yes=options.yes, confined=not options.unconfined)
    with sigterm_interrupts():
        found = verify(
            entry,
            Path.cwd(),
            units=None if options.all else options.units,
            seed=options.seed,
            recompute=options.recompute,
            confined=not options.unconfined,
            tolerance=options.tolerance,
            tell=lambda check: print(check, flush=True),
        )
    print(found)
    return 0 if found.confirmed else 1


def _ask(entry: LeaderboardEntry, *, yes: bool, confined: bool) -> None:
    """Show what would be run and how it is confined, and have the user agree.

    Raises:
        InputError: it cannot be confined, or the user does not agree.
    """
    from hearlab.errors import InputError
    from hearlab.report.leaderboard.entries import Origin
    from hearlab.versions.confinement import CANNOT, ENFORCED, NOTHING, UNCONFINED, confiner
    from hearlab.versions.difference import difference

    if not isinstance(entry.origin, Origin):
        return  # there is nothing to run, as `verify` says
    program = confiner() if confined else None
    if confined and program is None:
        raise InputError("--recompute", CANNOT, advice=UNCONFINED)
    print(difference(Path.cwd(), entry.origin.commit))
    print(f"the code of {entry.source} is run: {ENFORCED.format(program) if program else NOTHING}", flush=True)
    if yes:
        return
    if not sys.stdin.isatty():
        raise InputError("--recompute", "runs a stranger's code, and there is no terminal to ask", advice="say --yes")
    answer = ""
    with contextlib.suppress(EOFError):
        answer = input("run it? [y/N] ").strip().casefold()
    if answer not in ("y", "yes"):
        raise InputError("--recompute", "was not agreed to: nothing was run")
