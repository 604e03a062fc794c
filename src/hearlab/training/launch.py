"""A training in several processes of this machine, started by torch's own launcher (`torch.multiprocessing.spawn`).

Over several machines torchrun starts the stage itself in each process: see docs/learning.md.
"""

from __future__ import annotations

import json
import os
import tempfile
import threading
from collections.abc import Callable, Mapping
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import Any

from hearlab.compute.process import OneThread
from hearlab.errors import InputError
from hearlab.learning.library import torch
from hearlab.named import load_named
from hearlab.training.workers import Workers, backend, launched

DETAILS = ("where", "problem", "field", "found", "wanted", "advice")


def in_processes(
    function: str,
    count: int,
    device: str,
    arguments: Mapping[str, Any],
    told: Callable[[Any], None] = lambda value: None,
) -> None:
    """Call 'package.module:name' in `count` processes and wait for all of them.

    However this ends, by an interruption too, none of them is left; if this process is killed, they end as well.

    Args:
        function: it is called with `arguments`, a `Workers` as `workers`, and `tell`, which it may call with what
            `told` is to be called with here; what it gives is not looked at.
        count: how many processes.
        device: as of `train_enhancer`.
        arguments: can be pickled.

    Raises:
        InputError: one of the processes has raised it, or has died.
    """
    from torch.multiprocessing.spawn import ProcessExitedException, ProcessRaisedException, spawn

    messages = get_context("spawn").SimpleQueue()
    listening = threading.Thread(target=_listen, args=(messages, told), daemon=True)
    listening.start()
    with tempfile.TemporaryDirectory(prefix="training-") as folder:
        # As daemons they are ended with this process, if it is interrupted while they are started.
        started = spawn(
            _work, (function, count, device, dict(arguments), folder, messages), nprocs=count, join=False, daemon=True
        )
        try:
            while not started.join():
                pass
        except (ProcessExitedException, ProcessRaisedException) as error:
            for fault in sorted(Path(folder).glob("fault-*.json")):
                raise InputError(**json.loads(fault.read_text(encoding="utf-8"))) from None
            if isinstance(error, ProcessRaisedException):
                raise
            raise InputError("training", f"process {error.error_index} has died", found=str(error)) from None
        finally:
            for process in started.processes:
                process.kill()
                process.join()
        # Only now: one that was killed may have held the lock of the queue.
        messages.put(None)
        listening.join()


def _listen(messages: Any, told: Callable[[Any], None]) -> None:
    for message in iter(messages.get, None):
        told(message)


def _work(
    number: int, function: str, count: int, device: str, arguments: dict[str, Any], folder: str, messages: Any
) -> None:
    """What a process does, by its number."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    meeting = f"file://{os.path.join(folder, 'meeting')}"
    with OneThread() as threads:
        called = load_named(function)
        threads.limit()
        try:
            torch.distributed.init_process_group(backend(device), init_method=meeting, rank=number, world_size=count)
            called(**arguments, workers=Workers(number, count, number), tell=messages.put)
            torch.distributed.destroy_process_group()
        except InputError as error:
            details = {name: getattr(error, name) for name in DETAILS}
            text = json.dumps({name: value if value is None else str(value) for name, value in details.items()})
            Path(folder, f"fault-{number}.json").write_text(text, encoding="utf-8")
            raise


def _end_with_parent() -> None:
    """End this process when the one that started it has ended: a signal is ignored where the parent ignores it."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def check_launched(count: int) -> None:
    """Raise an InputError if torchrun has started another number of processes than the parameters say."""
    found = os.environ.get("WORLD_SIZE", "1")
    if launched() and found != str(count):
        raise InputError(
            "torchrun", "has started another number of processes", field="learn.processes", found=found, wanted=count
        )
