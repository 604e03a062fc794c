"""Scenes, songs and listeners that params.yaml names: a plan says what their stages would refuse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from hearlab.listeners import load_listeners
from hearlab.params import Params
from hearlab.report.plan.stages import PlannedStage
from hearlab.stages.common import scene_listener_pairs, song_listener_pairs, songs_to_evaluate, workspace

SPEECH = ("enhance_speech", "score_speech")
MUSIC = ("fit_music", "enhance_music", "score_music")


def check_names(params: Params, stages: Sequence[PlannedStage]) -> None:
    """Refuse names that are none of the data set's, as the first stage that uses them would.

    Nothing is said where the lists are not there yet, or where stages of the plan may make others.

    Raises:
        InputError: a name is not there, more is drawn than there is, or a file of listeners or a list is wrong.
    """
    runs = {stage.name for stage in stages if stage.runs != "no"}
    evaluate, files = params.evaluate, workspace(params)
    if params.trains_enhancer and params.learn.listeners and "train_enhancer" in runs:
        load_listeners(params.learn.listeners)
    if isinstance(evaluate.listeners, str) and not runs.isdisjoint((*SPEECH, *MUSIC)):
        load_listeners(evaluate.listeners)
    clarity, cadenza, split = files.clarity, files.cadenza, evaluate.split
    scenes = {
        "prepare": (clarity.listeners, clarity.scenes_listeners(split)),
        f"build_scenes@{split}": (files.scenes(split),),
    }
    songs = {"prepare_music": (cadenza.songs(evaluate.song_split),)}
    people = {"prepare_music": (cadenza.listeners(evaluate.song_listeners),)}
    # A name may be of the other track's listeners.
    both = isinstance(evaluate.listeners, tuple)

    def known(*made: Mapping[str, Sequence[Path]]) -> bool:
        """Whether the lists that these stages make are there, and stay."""
        return all(
            stage not in runs and all(path.is_file() for path in paths)
            for lists in made
            for stage, paths in lists.items()
        )

    if (evaluate.scenes or both) and not runs.isdisjoint(SPEECH) and known(scenes, *([people] if both else [])):
        scene_listener_pairs(params)
    if evaluate.songs and "separate_music" in runs and known(songs):
        songs_to_evaluate(params)
    if (evaluate.songs or both) and not runs.isdisjoint(MUSIC) and known(songs, people, *([scenes] if both else [])):
        song_listener_pairs(params)
