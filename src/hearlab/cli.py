"""The `hearlab` command."""

from __future__ import annotations

import argparse
import contextlib
import errno
import logging
import os
import shlex
import sys
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO, cast

import hearlab
from hearlab.commands import modules_by_task
from hearlab.commands.extras import extra_of
from hearlab.errors import InputError
from hearlab.files import MOST_YAML, check_merged
from hearlab.kernels.arithmetic import fix
from hearlab.secrets import hide
from hearlab.source import run_checkout
from hearlab.text import encodable, printable_lines

# A conflict in one of these is a fault of the workspace, which every command names.
MERGED = ("params.yaml", "dvc.yaml", "dvc.lock")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code: 0 done, 1 failed, 2 wrong parameters, 130 interrupted."""
    _open_streams()
    with hidden_output():
        return _run(arguments)


def _open_streams() -> None:
    """Open what was closed (`2>&-`): a file that is written would get its number, and all that libraries print."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest that is free
    sys.stdout = sys.stdout or os.fdopen(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", encoding="utf-8", closefd=False)


def _run(arguments: Sequence[str] | None) -> int:
    options = command_parser().parse_args(arguments)
    fix()  # before numpy is imported
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    try:
        for name in filter(os.path.isfile, MERGED):
            with contextlib.suppress(OSError), open(name, "rb") as file:
                check_merged(file.read(MOST_YAML), name)
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
        if error.errno == errno.ENOENT and error.filename is None and not _folder():
            return _fail(error, options.debug, 1, "the current folder: has been removed; change to one that is there")
        place = f"{error.filename}: " if error.filename else ""
        advice = "; what was finished is kept: free some space and run it again" if error.errno == errno.ENOSPC else ""
        return _fail(error, options.debug, 1, f"{place}{error.strerror or error}{advice}")
    except ImportError as error:
        if (missing := extra_of(error)) is None:
            return _fail(error, options.debug, 1, f"{error}{_fault(options, arguments)}")
        advice = f"pip install 'hearlab[{missing[1]}]', or make demo in the repository"
        return _fail(error, options.debug, 1, f"{missing[0]}: is not installed; {advice}")
    except Exception as error:
        from hearlab.compute.attempts.failures import UnitsFailed

        if isinstance(error, UnitsFailed):
            traces = [f"{failure.id}\n{failure.trace}" for failure in error.failures if options.debug]
            unexpected = any(failure.unexpected for failure in error.failures) and not options.debug
            last = [f"  {_debugging(arguments)} shows the tracebacks"] if unexpected else []
            print(*traces, f"hearlab: {error}", *last, sep="\n", file=sys.stderr)
            return 1
        return _fail(error, options.debug, 1, f"{type(error).__name__}: {error}{_fault(options, arguments)}")


def _debugging(arguments: Sequence[str] | None) -> str:
    """The command line that shows the tracebacks of this one."""
    return f"hearlab --debug {shlex.join(sys.argv[1:] if arguments is None else arguments)}"


def _fault(options: argparse.Namespace, arguments: Sequence[str] | None) -> str:
    return f" (a fault of HearLab{'' if options.debug else f'; {_debugging(arguments)} shows it'})"


@contextlib.contextmanager
def hidden_output() -> Iterator[None]:
    """Inside the block nothing that this process prints holds a secret or controls the terminal."""
    with (
        contextlib.redirect_stdout(cast(TextIO, _Stream(sys.stdout))),
        contextlib.redirect_stderr(cast(TextIO, _Stream(sys.stderr))),
    ):
        yield


class _Stream:
    """A text stream before another one."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        self._stream.write(encodable(printable_lines(hide(text)), getattr(self._stream, "encoding", None)))
        return len(text)

    def writelines(self, lines: list[str]) -> None:
        self.write("".join(lines))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _folder() -> str:
    """The current folder; nothing if it was removed."""
    with contextlib.suppress(FileNotFoundError):
        return os.getcwd()
    return ""


def _fail(error: Exception, debug: bool, code: int, text: str | None = None) -> int:
    if debug:
        traceback.print_exception(error)
    for line in (text or str(error)).splitlines():
        print(f"hearlab: {line}", file=sys.stderr)
    return code


def command_parser() -> argparse.ArgumentParser:
    """The parser of all commands; the documentation is written from it, too."""
    parser = argparse.ArgumentParser(
        prog="hearlab", description=hearlab.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--version", action="version", version=f"hearlab {hearlab.__version__}")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    # A command whose numbers are those of the code: it is that beside dvc.yaml.
    parser.set_defaults(checkout=False, parser=parser)
    # argparse lists all commands in one row; here they stand below the tasks that they are for.
    parser.usage = "hearlab [-h] [--version] [--debug] COMMAND ..."
    commands = parser.add_subparsers(required=True, metavar="COMMAND", help=argparse.SUPPRESS, prog="hearlab")
    lists = []
    for title, modules in modules_by_task():
        lines = []
        for module in modules:
            known = len(commands._choices_actions)
            module.add(commands)
            lines += [(str(new.metavar or new.dest), str(new.help)) for new in commands._choices_actions[known:]]
        lists.append((title, lines))
    width = max(len(name) for _, lines in lists for name, _ in lines)
    parser.epilog = "\n\n".join(
        "\n".join([f"{title}:", *(f"  {name:<{width}}  {text}" for name, text in lines)]) for title, lines in lists
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
