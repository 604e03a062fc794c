"""A finished blind test, as the page sends it."""

from __future__ import annotations

import json
from typing import Any


def answer(*preferred: str | None, test: str = "0123abcd", listener: str = "P1", **changes: Any) -> bytes:
    trials = [{"first": "ab"[n % 2], "preferred": one, "seconds": 2.5} for n, one in enumerate(preferred)]
    result = {
        "format": "hearlab blind test 1",
        "track": "speech",
        "name": "S06001",
        "group": "Scene",
        "versions": {"a": "Unprocessed", "b": "Enhanced: L0001"},
        "trials": trials,
        "test": test,
        "listener": listener,
    }
    return json.dumps({**result, **changes}).encode()
