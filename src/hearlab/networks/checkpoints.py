"""A checkpoint of a training: a line that says of which training it is, and the content.

The line holds the hash of the content, too: torch reads damaged numbers without complaint.
"""

from __future__ import annotations

import hashlib
import logging

# Of the file; increase it when its form or its content changes.
VERSION = 1

log = logging.getLogger(__name__)


def sealed(content: bytes, training: str) -> bytes:
    """The checkpoint with this content of the training of this name (without spaces)."""
    return _line(content, training) + content


def opened(checkpoint: bytes, training: str) -> bytes | None:
    """The content of a checkpoint; None, after one warning, if it is damaged or of another training."""
    line, _, content = checkpoint.partition(b"\n")
    if line + b"\n" == _line(content, training):
        return content
    foreign = line + b"\n" == _line(content, line.split(b" ")[-1].decode(errors="replace"))
    problem = "is of another training" if foreign else "is damaged or of another version"
    log.warning("a checkpoint %s and is discarded; training begins anew", problem)
    return None


def _line(content: bytes, training: str) -> bytes:
    return f"hearlab checkpoint {VERSION} {hashlib.sha256(content).hexdigest()} {training}\n".encode()
