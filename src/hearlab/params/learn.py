"""The section `learn` of params.yaml: how a hearing aid is trained."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from hearlab.learners import TRAINED
from hearlab.params.subsets import listeners_file
from hearlab.params.values import DEVICE, Section, Snr

SPLIT: Literal["learning"] = "learning"  # of scenes that are made to train with
SCENES_OF_A_ROOM = 2  # of that split


class LearnedModel(Section):
    """See `hearlab.enhancement.network.EnhancerShape`."""

    bands: Annotated[int, Field(ge=4, le=200)]
    hidden_size: Annotated[int, Field(ge=1, le=4096)]
    layers: Annotated[int, Field(ge=1, le=16)]


class LearnFine(Section):
    """The part of the training that has a metric as its loss."""

    steps: Annotated[int, Field(ge=1)]
    batch_size: Annotated[int, Field(ge=1)]
    learning_rate: Annotated[float, Field(gt=0, le=1)]


class Learn(Section):
    """How the hearing aid is trained: see `hearlab.training.settings.TrainingSettings`."""

    weights: Annotated[str, Field(min_length=1)]
    model: LearnedModel
    loss: Literal["spectral", "haspi", "hasqi", "haspi+hasqi"]
    device: Annotated[str, Field(pattern=DEVICE)]
    processes: Annotated[int, Field(ge=1, le=1024)]
    listeners: Annotated[str | None, BeforeValidator(listeners_file)]
    split: Literal["learning", "train", "train_additional"]
    rooms: Annotated[int, Field(ge=2, le=5000)]
    validation: Annotated[int, Field(ge=1)]
    excerpt: Annotated[float, Field(ge=0.5, le=60)]
    snr_range: tuple[Snr, Snr]
    level_range: tuple[Annotated[float, Field(ge=-40, le=40)], Annotated[float, Field(ge=-40, le=40)]]
    steps: Annotated[int, Field(ge=1)]
    batch_size: Annotated[int, Field(ge=1)]
    learning_rate: Annotated[float, Field(gt=0, le=1)]
    fine: LearnFine
    validate_every: Annotated[int, Field(ge=1)]
    stop_patience: Annotated[int, Field(ge=1)]


# Of revisions that do not know the section, and train nothing.
NOTHING_LEARNED = Learn(
    weights=TRAINED,
    model=LearnedModel(bands=40, hidden_size=128, layers=2),
    loss="haspi",
    device="cpu",
    processes=1,
    listeners=None,
    split=SPLIT,
    rooms=2,
    validation=1,
    excerpt=2.0,
    snr_range=(-12, 6),
    level_range=(-6, 6),
    steps=1,
    batch_size=1,
    learning_rate=0.002,
    fine=LearnFine(steps=1, batch_size=1, learning_rate=0.001),
    validate_every=1,
    stop_patience=1,
)
