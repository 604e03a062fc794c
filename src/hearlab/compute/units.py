"""What a unit of work is: one scene to render, one scene-listener pair to enhance or to score.

A unit's key is made of everything that decides its result: the content of its inputs, its arguments, and the code it
runs. Units with the same key have the same result, wherever and whenever they run.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hearlab.compute.code_identity import code_identity
from hearlab.compute.identity import Identities
from hearlab.kernels.arithmetic import is_native

GIBIBYTE = 1 << 30
# Units of a group that one worker gets at a time: few, so that a lost worker costs little and all end together.
GROUP_AT_MOST = 8


@dataclass(frozen=True)
class Unit:
    """One independent piece of a stage's work.

    Attributes:
        id: what the user knows it by, such as 'S06001' or 'S06001 L0064'; unique within the stage.
        function: a module-level function `function(root, out, **arguments)`. It reads files below `root`, writes its
            files into the folder `out`, and returns a value that JSON can hold (or None).
        arguments: keyword arguments that JSON can hold.
        inputs: the files it reads, relative to `root`, the workspace. Only these exist on a machine that does not
            share the workspace.
        outputs: names of the files that it writes.
        code: classes and functions ('package.module:name') that it loads by name, see `hearlab.named`.
        memory: bytes it needs at most.
        gpus: graphics processors it needs (a part of one is possible).
        light: whether it takes less time than sending it to another process would: it never goes to Ray.
        resumes: whether the function goes on from a checkpoint of its own. Then it gets the unit's key as the argument
            `key`, to know it by; without that argument it must begin anew.
        seconds: of one core that it takes, if that is known before any has run. It decides only where units run.
        native: it computes in the machine's own way (`hearlab.kernels.arithmetic`): the last bits may depend on that.
        group: neighbours in the list that name the same group share work and run one after the other in one process.
    """

    id: str
    function: Callable[..., Any]
    arguments: Mapping[str, Any] = field(default_factory=dict)
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    code: tuple[str, ...] = ()
    memory: int = GIBIBYTE
    gpus: float = 0.0
    light: bool = False
    resumes: bool = False
    group: str | None = None
    native: bool = False
    seconds: float = 0.0

    def code_identity(self) -> str:
        """Hash of the code that this unit can reach."""
        return code_identity(self.function, self.code)

    def key(self, identities: Identities, code: str | None = None) -> tuple[str, tuple[str, ...]]:
        """The key, and the md5 of each input.

        Args:
            identities: of the inputs.
            code: `code_identity`, if it is known: it costs a stat for each file of the code.

        Raises:
            InputError: an input does not exist.
        """
        contents = tuple(identities.of(name) for name in self.inputs)
        parts = {
            "function": f"{self.function.__module__}:{self.function.__qualname__}",
            "code": code or self.code_identity(),
            "arguments": self.arguments,
            "inputs": dict(zip(self.inputs, contents, strict=True)),
            "outputs": self.outputs,
            # What is computed in one way is not taken for what is computed in the other.
            **({"arithmetic": "native"} if self.native or is_native() else {}),
        }
        text = json.dumps(parts, sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest(), contents


def grouped(units: Sequence[Unit]) -> list[list[Unit]]:
    """Neighbours of the same group together, at most `GROUP_AT_MOST`; other units alone."""
    groups: list[list[Unit]] = []
    for unit in units:
        last = groups[-1] if groups else []
        if unit.group is not None and 0 < len(last) < GROUP_AT_MOST and last[0].group == unit.group:
            last.append(unit)
        else:
            groups.append([unit])
    return groups
