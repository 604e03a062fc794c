"""The `hearlab` command."""

from __future__ import annotations

import argparse
import errno
import importlib
import logging
import pkgutil
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

import hearlab.commands
from hearlab.errors import InputError
from hearlab.secrets import hidden_output
from hearlab.source import run_checkout


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code: 0 done, 1 failed, 2 wrong parameters, 130 interrupted."""
    with hidden_output():
        return _run(arguments)


def _run(arguments: Sequence[str] | None) -> int:
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    try:
        if options.checkout:
            run_checkout(Path.cwd(), arguments)
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
            traces = [f"{failure.id}\n{failure.trace}" for failure in error.failures if options.debug]
            print(*traces, f"hearlab: {error}", sep="\n", file=sys.stderr)
            return 1
        return _fail(error, options.debug, 1, f"{type(error).__name__}: {error} (a fault of HearLab; --debug shows it)")


def _fail(error: Exception, debug: bool, code: int, text: str | None = None) -> int:
    if debug:
        traceback.print_exception(error)
    for line in (text or str(error)).splitlines():
        print(f"hearlab: {line}", file=sys.stderr)
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="hearlab", description=hearlab.__doc__)
    parser.add_argument("--version", action="version", version=f"hearlab {hearlab.__version__}")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    # A command whose numbers are those of the code: it is that beside dvc.yaml.
    parser.set_defaults(checkout=False)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for module in pkgutil.iter_modules(hearlab.commands.__path__, "hearlab.commands."):
        importlib.import_module(module.name).add(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
