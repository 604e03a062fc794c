"""The `hearlab` command."""

from __future__ import annotations

import argparse
import errno
import json
import logging
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

import hearlab
from hearlab.errors import InputError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code: 0 done, 1 failed, 2 wrong parameters, 130 interrupted."""
    parser = _parser()
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    try:
        return options.run(options) or 0
    except InputError as error:
        return _fail(error, options.debug, error.exit_code)
    except KeyboardInterrupt:
        print("interrupted; what was finished is kept, run it again to go on", file=sys.stderr)
        return 130
    except BrokenPipeError:
        return 1
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        advice = "; what was finished is kept: free some space and run it again" if error.errno == errno.ENOSPC else ""
        return _fail(error, options.debug, 1, f"{place}{error.strerror or error}{advice}")
    except Exception as error:
        from hearlab.compute.engine import UnitsFailed

        if isinstance(error, UnitsFailed):
            return _fail_units(error, options.debug)
        return _fail(error, options.debug, 1, f"{type(error).__name__}: {error} (a fault of HearLab; --debug shows it)")


def _fail(error: Exception, debug: bool, code: int, text: str | None = None) -> int:
    if debug:
        traceback.print_exception(error)
    for line in (text or str(error)).splitlines():
        print(f"hearlab: {line}", file=sys.stderr)
    return code


def _fail_units(error: Exception, debug: bool) -> int:
    from hearlab.compute.engine import UnitsFailed

    assert isinstance(error, UnitsFailed)
    if debug:
        for failure in error.failures:
            print(f"{failure.id}\n{failure.trace}", file=sys.stderr)
    print(f"hearlab: {error}", file=sys.stderr)
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="hearlab", description=hearlab.__doc__)
    parser.add_argument("--version", action="version", version=f"hearlab {hearlab.__version__}")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    stage = commands.add_parser("stage", help="run one stage of the pipeline (what dvc.yaml calls)")
    stage.add_argument("name", metavar="NAME")
    stage.add_argument("arguments", nargs="*", metavar="ARGUMENT", help="such as the split to render")
    stage.set_defaults(run=_stage)

    memo = commands.add_parser("memo", help="what is already done: status, clean-up, verification")
    actions = memo.add_subparsers(required=True, metavar="ACTION")
    memo_status = actions.add_parser("status", help="finished units and bytes of each stage")
    memo_status.set_defaults(run=_memo_status)
    collect = actions.add_parser("gc", help="forget units of no current result; delete their bytes unless DVC has them")
    collect.add_argument("--dry-run", action="store_true", help="only say what would go")
    collect.set_defaults(run=_memo_gc)
    check = actions.add_parser("verify", help="read every stored byte again; what is wrong is set aside and made again")
    check.set_defaults(run=_memo_verify)

    scores = commands.add_parser("scores", help="print the averaged scores of the last run")
    scores.set_defaults(run=_scores)

    score = commands.add_parser("score", help="score a pair of files with a metric")
    metrics = score.add_subparsers(required=True, metavar="METRIC")
    haspi = metrics.add_parser(
        "haspi",
        help="intelligibility of speech (HASPI v2, better ear)",
        description="Better-ear HASPI v2 of a processed signal against its clean reference, for one listener. "
        "A mono file is heard with both ears.",
    )
    haspi.add_argument("--reference", type=Path, required=True, help="clean speech, WAV or FLAC, any rate")
    haspi.add_argument("--processed", type=Path, required=True, help="what the listener hears, WAV or FLAC, any rate")
    haspi.add_argument("--listener", required=True, help="id in the listeners file, such as L0064")
    haspi.add_argument("--listeners", type=Path, required=True, help="listeners.json")
    haspi.add_argument("--level", type=float, default=100.0, help="dB SPL of a signal with RMS 1 (default: 100)")
    haspi.add_argument("--seed-name", help="name whose md5 seeds the metric's noise, such as the scene S06001")
    haspi.add_argument("--json", action="store_true", help="print scores and features of both ears as JSON")
    haspi.set_defaults(run=_score_haspi)
    return parser


def _stage(options: argparse.Namespace) -> None:
    from hearlab.compute.engine import private_ray_token, sigterm_interrupts
    from hearlab.stages import run_stage

    private_ray_token()  # an entrant's system may import Ray
    with sigterm_interrupts():
        run_stage(options.name, options.arguments)


def _memo_status(options: argparse.Namespace) -> None:
    from hearlab.compute.memo_care import status, table

    print(table(status(Path.cwd())))


def _memo_gc(options: argparse.Namespace) -> None:
    from hearlab.compute.memo_care import collect_garbage, size_text

    count, size = collect_garbage(Path.cwd(), dry_run=options.dry_run)
    print(f"{'would delete' if options.dry_run else 'deleted'} {count} files, {size_text(size)}")


def _memo_verify(options: argparse.Namespace) -> int:
    from hearlab.compute.memo_care import verify

    result = verify(Path.cwd())
    print(f"{result.objects} files read, {len(result.wrong)} wrong")
    for name in result.again:
        print(f"  to be run again: {name}")
    if result.wrong:
        print("the wrong files are in .hearlab/set-aside; dvc repro makes them again")
    return 1 if result.wrong else 0


def _scores(options: argparse.Namespace) -> None:
    from hearlab.report.table import score_table

    print(score_table(Path("metrics")))


def _score_haspi(options: argparse.Namespace) -> None:
    from hearlab.listeners import find_listener, load_listeners
    from hearlab.metrics.files import score_haspi_files

    listener = find_listener(load_listeners(options.listeners), options.listener, options.listeners)
    result = score_haspi_files(
        options.reference, options.processed, listener, level=options.level, seed_name=options.seed_name
    )
    if options.json:
        print(json.dumps(result, indent=1))
        return
    print(f"HASPI {result['score']:.4f} (left {result['left']['score']:.4f}, right {result['right']['score']:.4f})")


if __name__ == "__main__":
    sys.exit(main())
