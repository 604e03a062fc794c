"""The configuration that scenes are drawn from, with the published keys, checked before anything is drawn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from hearlab.errors import InputError
from hearlab.params import Count, HeadTurn, Interferers, Name, Names, Section, Selection, Snr, mistakes, validated

WHERE = "scene configuration"


class SceneSet(Section):
    """How many scenes, in which rooms, and the number of the first scene."""

    n_scenes: Count
    room_selection: Selection
    scene_start_index: Count


class TargetConfig(Section):
    """Where the targets are listed and when they speak in the scene; ranges in samples at 44.1 kHz."""

    target_speakers: Name
    target_selection: Selection
    pre_samples_range: tuple[Count, Count]
    post_samples_range: tuple[Count, Count]


class InterfererConfig(Interferers):
    """Where the interferers are listed, and how they are drawn."""

    speech_interferers: Name
    noise_interferers: Name
    music_interferers: Name


class ListenerConfig(HeadTurn):
    """Heads, microphones and the head turn.

    The turn starts `relative_start_time_range` after the target's onset, lasts a normally distributed time, and goes
    from a normally distributed angle to one side of the target (within two standard deviations) to one near it.
    """

    duration_mean: float
    heads: Names
    channels: Names


class SceneConfig(Section):
    random_seed: int
    dataset: Name
    scene_datasets: SceneSet
    target: TargetConfig
    interferer: InterfererConfig
    snr_range: tuple[Snr, Snr]
    listener: ListenerConfig
    shuffle_rooms: bool


def parse_config(config: Mapping[str, Any]) -> SceneConfig:
    """Check a configuration.

    Raises:
        InputError: the first key that is unknown, missing or has a wrong value.
    """
    try:
        return validated(SceneConfig, dict(config))
    except ValidationError as error:
        raise InputError(WHERE, **mistakes(error, SceneConfig)[0]) from None
