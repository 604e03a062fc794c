"""Which enhancement system is trained here, and where its weights come from. It imports nothing."""

from __future__ import annotations

from typing import Any

LEARNED = "hearlab.systems.learned:Learned"  # train_enhancer trains it
TRAINED = "trained"  # weights that are trained here


def named_weights(system: str, weights: Any, params: dict[str, Any]) -> dict[str, Any]:
    """Parameters of a system, with the file of weights that `learn.weights` names for the one that learns."""
    named = system == LEARNED and isinstance(weights, str) and weights != TRAINED
    return {**params, "weights": weights} if named else params
