"""Listeners that a user names."""

from __future__ import annotations

import difflib
import os

from hearlab.errors import InputError
from hearlab.listeners import Listener, find_listener

MOST_NAMED = 12


def known_listener(listeners: dict[str, Listener], identity: str, path: str | os.PathLike[str]) -> Listener:
    """The listener of that id, of those in the file `path`.

    Raises:
        InputError: there is none; the line names all of a few, and of many such as are near.
    """
    try:
        return find_listener(listeners, identity, path)
    except InputError as error:
        if len(listeners) <= MOST_NAMED:
            wanted = f"one of {', '.join(listeners)}"
        else:
            near = difflib.get_close_matches(identity, listeners, n=3) or list(listeners)[:3]
            wanted = f"one of {len(listeners)}, such as {', '.join(near)}"
        raise InputError(path, error.problem, found=error.found, wanted=wanted) from None
