"""Workers that share a training: each has a part of every batch, and all have the same network.

They are processes of torch's own launcher (torchrun), which tells each its number by the environment. Gradients and
scores are added up by torch.distributed: gloo on CPUs, NCCL on GPUs.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hearlab.networks.library import require_torch

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Workers:
    """This worker's number, how many there are, and its number on its machine."""

    number: int = 0
    count: int = 1
    local: int = 0

    def device(self, name: str) -> str:
        """The device of this worker: with 'cuda' each of a machine has a GPU of its own."""
        return f"cuda:{self.local}" if name == "cuda" and self.count > 1 else name

    def share(self, items: int) -> range:
        """The numbers of this worker's items."""
        return range(self.number, items, self.count)

    def add_up(self, network: torch.nn.Module, loss: float) -> float:
        """Add up gradients, and losses, over all workers; the sum of the losses."""
        if self.count == 1:
            return loss
        torch = require_torch()
        parameters = list(network.parameters())
        parts = [(torch.zeros_like(one) if one.grad is None else one.grad).flatten() for one in parameters]
        flat = torch.cat([*parts, torch.tensor([loss], dtype=parts[0].dtype, device=parts[0].device)])
        torch.distributed.all_reduce(flat)
        start = 0
        for one in parameters:
            one.grad = flat[start : start + one.numel()].view_as(one).clone()
            start += one.numel()
        return float(flat[-1])

    def summed(self, values: Any) -> Any:
        """The sum of a numpy array over all workers."""
        if self.count == 1:
            return values
        torch = require_torch()
        total = torch.from_numpy(values.copy())
        torch.distributed.all_reduce(total)
        return total.numpy()

    def from_first(self, value: Any) -> Any:
        """The first worker's value, for all."""
        if self.count == 1:
            return value
        values = [value]
        require_torch().distributed.broadcast_object_list(values)
        return values[0]

    def gathered(self, values: Mapping[int, float]) -> list[float]:
        """The values of all workers, in the order of their numbers."""
        everybody: list[Mapping[int, float] | None] = [dict(values)]
        if self.count > 1:
            everybody = [None] * self.count
            require_torch().distributed.all_gather_object(everybody, dict(values))
        together = {number: value for own in everybody for number, value in (own or {}).items()}
        return [together[number] for number in sorted(together)]


def backend(device: str) -> str:
    """How workers talk: numbers of the CPU by gloo, those of GPUs by NCCL."""
    return "cpu:gloo,cuda:nccl" if device.startswith("cuda") else "gloo"


def launched() -> bool:
    """Whether torch's launcher has started this process."""
    return "TORCHELASTIC_RUN_ID" in os.environ and "RANK" in os.environ


@contextlib.contextmanager
def joined(device: str) -> Iterator[Workers]:
    """This process among those that torch's launcher has started; alone without it."""
    if not launched() or os.environ.get("WORLD_SIZE", "1") == "1":
        yield Workers()
        return
    torch = require_torch()
    torch.distributed.init_process_group(backend(device))
    try:
        local = int(os.environ.get("LOCAL_RANK", "0"))
        yield Workers(torch.distributed.get_rank(), torch.distributed.get_world_size(), local)
    finally:
        torch.distributed.destroy_process_group()
