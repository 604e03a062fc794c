"""The `hearlab` command."""

from __future__ import annotations

import argparse
import errno
import logging
import sys
import traceback
from collections.abc import Sequence

import hearlab
from hearlab.commands import (
    check_baseline,
    compare,
    data,
    doctor,
    leaderboard,
    memo,
    plan,
    report,
    score,
    scores,
    show,
    stage,
    submission,
    track,
    weights,
)
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
    for group in (
        stage,
        plan,
        scores,
        compare,
        track,
        report,
        show,
        leaderboard,
        check_baseline,
        doctor,
        memo,
        data,
        score,
        weights,
        submission,
    ):
        group.add(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
