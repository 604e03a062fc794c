"""Errors of a system of one's own in one line that names the place in the user's own code."""

from __future__ import annotations

import contextlib
import os
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import hearlab
from hearlab.compute.code.own_code import is_local
from hearlab.compute.execution import shown_file
from hearlab.compute.unchanged import covered
from hearlab.errors import InputError, ParameterError

OWN_FOLDER = os.path.dirname(os.path.abspath(hearlab.__file__))


class OwnCodeError(InputError):
    """What a system of one's own raised; the error itself is the cause."""

    def advised(self, advice: str) -> OwnCodeError:
        """The same with an advice."""
        return OwnCodeError(self.where, self.problem, field=self.field, advice=advice)


@contextlib.contextmanager
def in_own_code(system: str) -> Iterator[None]:
    """Inside the block a system of that name is loaded or called.

    Raises:
        OwnCodeError: what the system raised, with file and line in the user's code; the error itself is its cause, with
            the traceback from there on.
    """
    try:
        with covered([system]):
            yield
    except ParameterError as error:
        if isinstance(error.__cause__, Exception) and not isinstance(error.__cause__, InputError):
            raise _told(system, error.__cause__) from error.__cause__
        raise
    except InputError:
        raise
    except SystemExit as error:
        raise _told(system, error, f"the program was ended by sys.exit({error.code!r})") from error
    except Exception as error:  # a user's code may raise anything
        raise _told(system, error) from error


def _told(system: str, error: BaseException, text: str | None = None) -> OwnCodeError:
    frames = list(traceback.walk_tb(error.__traceback__))
    own = [number for number, (frame, _) in enumerate(frames) if _is_own(frame.f_code.co_filename, system)]
    if own:
        error.__traceback__ = _from(error.__traceback__, own[0])
    text = text or f"{type(error).__name__}: {' '.join(str(error).split()) or 'no message'}"
    if isinstance(error, SyntaxError) and error.filename:
        return OwnCodeError(shown_file(error.filename), text, field=f"line {error.lineno}")
    if not own:
        return OwnCodeError(system, text)
    frame, line = frames[own[-1]]
    place = f"line {line}, in {frame.f_code.co_name}"
    return OwnCodeError(shown_file(frame.f_code.co_filename), text, field=place)


def _is_own(file: str, system: str) -> bool:
    """Whether code of a file is the user's: local, or of the system's own package where that is installed."""
    if file.startswith("<") and file.endswith(">"):  # of a notebook
        return not file.startswith("<frozen")
    file = os.path.abspath(file)
    if file.startswith(OWN_FOLDER + os.sep):
        return False
    top = system.partition(":")[0].split(".")[0]
    return is_local(file) or top in Path(file).with_suffix("").parts


def _from(trace: TracebackType | None, start: int) -> TracebackType | None:
    for _ in range(start):
        trace = trace.tb_next if trace else None
    return trace
