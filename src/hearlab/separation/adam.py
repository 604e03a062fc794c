"""Adam as torch has it, without its class of optimisers.

The first step of a `torch.optim.Optimizer` imports torch's compiler, which takes 0.95 s of core time in each process,
as long as 30 steps of a small network. The arithmetic is torch's own function, so that all bits are the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from hearlab.networks.library import require, require_torch

if TYPE_CHECKING:
    import torch

BETAS = 0.9, 0.999  # of the averages of the gradient and of its square
EPSILON = 1e-8


class Adam:
    """Adam for some parameters (Kingma and Ba, Adam: A Method for Stochastic Optimization, ICLR 2015).

    Args:
        parameters: what is learnt; it is changed in place.
        learning_rate: of the next steps, which may be set at any time.
        weight_decay: this times a parameter is added to its gradient.
    """

    def __init__(self, parameters: Iterable[torch.nn.Parameter], *, learning_rate: float, weight_decay: float) -> None:
        torch = require_torch()
        self._adam = require("torch.optim.adam").adam
        self.learning_rate, self._weight_decay = learning_rate, weight_decay
        self._parameters = list(parameters)
        with torch.no_grad():
            self._means = [torch.zeros_like(one) for one in self._parameters]
            self._squares = [torch.zeros_like(one) for one in self._parameters]
        self._steps = [torch.tensor(0.0) for _ in self._parameters]

    def clear(self) -> None:
        """Forget the gradients."""
        for one in self._parameters:
            one.grad = None

    def step(self) -> None:
        """Change all parameters by their gradients; each must have one."""
        with require_torch().no_grad():
            self._adam(
                self._parameters,
                [one.grad for one in self._parameters],
                self._means,
                self._squares,
                [],
                self._steps,
                amsgrad=False,
                beta1=BETAS[0],
                beta2=BETAS[1],
                lr=self.learning_rate,
                weight_decay=self._weight_decay,
                eps=EPSILON,
                maximize=False,
            )

    def state(self) -> dict[str, Any]:
        """What the next steps depend on, for a checkpoint."""
        return {
            "learning_rate": self.learning_rate,
            "means": self._means,
            "squares": self._squares,
            "steps": self._steps,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a state of the same parameters."""
        self.learning_rate = state["learning_rate"]
        for name, own in (("means", self._means), ("squares", self._squares), ("steps", self._steps)):
            for value, kept in zip(own, state[name], strict=True):
                value.copy_(kept)
