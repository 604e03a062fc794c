"""Scenes and songs by their names, their listeners, and the pipeline's units of a pair. All paths are from the root."""

from __future__ import annotations

import contextlib
import difflib
import unicodedata
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from hearlab.compute.units import Unit
from hearlab.datasets.layout import scene_file
from hearlab.datasets.song_lists import Song
from hearlab.errors import InputError
from hearlab.listeners import Listener, find_listener, load_listeners
from hearlab.params import Params
from hearlab.scoring.tracks import ENHANCED, TRACKS, Track
from hearlab.stages import enhance_music, enhance_speech, score_music, score_speech
from hearlab.stages.common import files_of_scenes, scene_listener_pairs, song_segments, songs_to_evaluate, workspace
from hearlab.systems.base import BASELINE


@dataclass(frozen=True)
class Material:
    """What is enhanced and scored: a scene, or a song of a list."""

    track: Track
    name: str
    song: Song | None = None


class Materials:
    """The scenes and songs of the splits that parameters choose."""

    def __init__(self, params: Params) -> None:
        self._params = params
        # A song can be tried whether or not it is one of those that are evaluated.
        every = params.evaluate.model_copy(update={"songs": None, "small_test": False})
        self._all_songs = params.model_copy(update={"evaluate": every})

    @cached_property
    def songs(self) -> dict[str, Song]:
        """Those that are listed, by their names; none where the music is not here."""
        try:
            return {song.name: song for song in songs_to_evaluate(self._all_songs)}
        except InputError:
            return {}

    def find(self, name: str) -> Material:
        """The scene or song of that name, or the only one whose name begins so (capitals or not).

        Raises:
            InputError: there is none, or more than one.
        """
        name = unicodedata.normalize("NFC", name)  # a terminal may hand over another form
        rendered = workspace(self._params).rendered(self._params.evaluate.split)
        # The front microphones, CH1, are the one pair that own recordings must have.
        if "/" not in name and scene_file(rendered, name, "mix", 1).is_file():
            return Material(TRACKS["speech"], name)
        if name in self.songs:
            return Material(TRACKS["music"], name, self.songs[name])
        scenes: list[str] = []
        with contextlib.suppress(InputError):  # no scenes here
            scenes = list(dict.fromkeys(scene for scene, _ in scene_listener_pairs(self._params)))
        known = [*scenes, *self.songs]
        found = [name] if name in scenes else [one for one in known if one.casefold().startswith(name.casefold())]
        if len(found) == 1:
            song = self.songs.get(found[0])
            return Material(TRACKS["music" if song else "speech"], found[0], song)
        near = found[:3] or difflib.get_close_matches(name, known, n=3, cutoff=0.4) or known[:3]
        raise InputError(
            "scene or song",
            "is not unique" if found else "is not known",
            found=name,
            wanted=f"such as {' or '.join(near)}" if near else "one of the data set",
            advice=None if known else "dvc pull or dvc repro makes the data set",
        )

    def listeners(self, material: Material) -> dict[str, Listener]:
        """All listeners of the data set, or of the file that `evaluate.listeners` names, by their ids."""
        return load_listeners(self._listeners_file(material))

    def pair(self, name: str, listener: str) -> tuple[Material, Listener]:
        """The scene or song, and the listener.

        Raises:
            InputError: one of them is not known.
        """
        material = self.find(name)
        return material, find_listener(self.listeners(material), listener, self._listeners_file(material))

    def enhance_unit(self, material: Material, person: Listener) -> Unit:
        """The pipeline's unit that enhances a pair."""
        if material.song is None:
            return enhance_speech.pair_unit(self._params, material.name, person, self._files(material))
        cut = song_segments(self._all_songs).get(material.name)
        return enhance_music.pair_unit(self._params, material.song, person, cut)

    def baseline_unit(self, material: Material, person: Listener) -> Unit:
        """The unit that enhances a pair with the published baseline, whatever the parameters say of it."""
        unit = self.enhance_unit(material, person)
        published = {"system": BASELINE, "constructor": "{}"} | ({"soft_clip": True} if material.song else {})
        arguments = {
            name: value for name, value in unit.arguments.items() if name not in ("files", "filters", "weights")
        }
        return replace(unit, arguments={**arguments, **published}, code=(BASELINE,), native=False)

    def score_unit(self, material: Material, person: Listener) -> Unit:
        """The pipeline's unit that scores a pair; of speech the enhanced signal only."""
        if material.song is not None:
            cut = song_segments(self._all_songs).get(material.name)
            return score_music.pair_unit(self._params, material.song, person, cut)
        unit = score_speech.pair_unit(self._params, material.name, person, self._files(material))
        conditions = {ENHANCED: unit.arguments["conditions"][ENHANCED]}
        return replace(unit, arguments={**unit.arguments, "conditions": conditions})

    def _files(self, material: Material) -> list[str]:
        """Names of a scene's files, if it is of own recordings."""
        return files_of_scenes(self._params).get(material.name, [])

    def _listeners_file(self, material: Material) -> Path:
        chosen, files = self._params.evaluate.listeners, workspace(self._params)
        if isinstance(chosen, str):
            return Path(chosen)
        return (
            files.cadenza.listeners(self._params.evaluate.song_listeners) if material.song else files.clarity.listeners
        )
