"""A workspace as one object: scenes, songs, signals, its system, and scores as the pipeline computes them."""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hearlab.arrays import Array
from hearlab.compute.memo import FOLDER
from hearlab.compute.process import OneThread
from hearlab.compute.units import Unit
from hearlab.datasets.layout import STEMS, enhanced_file, scene_file
from hearlab.errors import InputError
from hearlab.lab.fixed import Pipeline
from hearlab.lab.given_systems import is_named
from hearlab.lab.materials import Material, Materials
from hearlab.lab.own_errors import in_own_code
from hearlab.lab.signals import SceneSignals, SongSignals, scene_signals, song_signals
from hearlab.listeners import Listener
from hearlab.params import PARAMS_FILE, check_params
from hearlab.stages import enhance_music, enhance_speech
from hearlab.stages.check_params import warn_of_untaken
from hearlab.stages.common import (
    files_of_scenes,
    scene_listener_pairs,
    song_listener_pairs,
    songs_to_evaluate,
    workspace,
)
from hearlab.systems.base import (
    EnhancementSystem,
    check_music_output,
    check_speech_output,
    is_fitted,
    is_own_of_hearlab,
    shared_system,
)
from hearlab.versions.overrides import changed_content, overridden
from hearlab.versions.scratch import scratch_folder

TRIALS = Path(FOLDER) / "try"


@dataclass(frozen=True)
class Trial:
    """One pair, enhanced and scored.

    Attributes:
        track: 'speech' or 'music'.
        name: of the scene or song.
        listener: the listener's id.
        scores: metric -> score, as in the pipeline's tables; of music also 'left_drums' and so on.
        sound: the file with what the listener hears, relative to the root of the workspace.
        seconds: of the system and its scores.
    """

    track: str
    name: str
    listener: str
    scores: dict[str, float]
    sound: Path
    seconds: float


class Lab:
    """A workspace of HearLab, opened with `hearlab.open`.

    Functions run in the root of the workspace, as stages do, and go there while they run: use one thread.

    Examples:
        >>> import hearlab
        >>> lab = hearlab.open(".")
        >>> lab.scenes[:2]
        ['S06001', 'S06002']
        >>> lab.signals("S06001").microphones["CH1"].shape  # (samples, ears)
        (143053, 2)
        >>> output = lab.enhance("S06001", "L0001")  # what the system of params.yaml makes of it
        >>> lab.score("S06001", "L0001", output)  # as the pipeline would score it
        {'haspi': 0.23841168}
        >>> lab.with_parameters("enhance.gain=6").score("S06001", "L0001")
        {'haspi': 0.28020325}
        >>> class Passing:  # a hearing aid that does nothing
        ...     def speech(self, microphones, rate, listener):
        ...         return microphones["CH1"]
        ...     def music(self, stems, rate, listener):
        ...         return stems
        >>> lab.with_system(Passing()).score("S06001", "L0001") == lab.unprocessed("S06001", "L0001")
        True
        >>> lab.close()
    """

    def __init__(
        self, root: Path, content: Any, *, system: EnhancementSystem | None = None, pipeline: Pipeline | None = None
    ) -> None:
        self.root, self._content = root, content
        self.params = check_params(content, root / PARAMS_FILE)
        self.materials = Materials(self.params)
        self._system = system
        self._pipeline = pipeline

    def with_parameters(self, *overrides: str) -> Lab:
        """This lab with other parameters, such as 'enhance.gain=3' (the grammar of `dvc exp run -S`).

        The changes are made to this lab's parameters: those of several calls add up, and the last value counts. The
        system of `with_system` stays, unless `enhance.system` is among them. params.yaml stays as it is; an edit of it
        is seen by the next `hearlab.open`.

        Raises:
            InputError: an override cannot be applied, gives a wrong parameter, or would not reach the object given.
        """
        content = changed_content(self._content, overrides, command="with_parameters")
        given = self._system is not None and not is_named(overrides, self._content, content)
        lab = Lab(self.root, content, system=self._system if given else None, pipeline=self._beside)
        if not given:
            warn_of_untaken(lab.params, self.params)
        return lab

    def with_system(self, system: EnhancementSystem) -> Lab:
        """This lab with a system of your own: an object with `speech` and `music` (docs/own-system.md)."""
        return Lab(self.root, self._content, system=system, pipeline=self._beside)

    @property
    def scenes(self) -> list[str]:
        """The scenes of `evaluate.split` that have listeners, in the order of the pipeline."""
        with self._at_root():
            return list(dict.fromkeys(scene for scene, _ in scene_listener_pairs(self.params)))

    @property
    def songs(self) -> list[str]:
        """The songs of `evaluate.song_split`, in the order of the pipeline."""
        with self._at_root():
            return [song.name for song in songs_to_evaluate(self.params)]

    def listeners(self, name: str) -> dict[str, Listener]:
        """All listeners of a scene's or song's data set, by their ids. The pipeline scores some of them for a scene."""
        with self._at_root():
            return self.materials.listeners(self.materials.find(name))

    def pairs(self, name: str) -> list[str]:
        """The ids of the listeners for whom the pipeline enhances and scores a scene or song."""
        with self._at_root():
            material = self.materials.find(name)
            if material.song:
                return [one.id for song, one in song_listener_pairs(self.params) if song == material.song]
            return [one.id for scene, one in scene_listener_pairs(self.params) if scene == material.name]

    def signals(self, name: str) -> SceneSignals | SongSignals:
        """The signals of a scene or song as float64 arrays, with their rate.

        Raises:
            InputError: the name is not known, or a file is missing or wrong.
        """
        with self._at_root():
            material = self.materials.find(name)
            if material.song:
                return song_signals(self.params, material.song)
            return scene_signals(self.params, material.name)

    @property
    def system(self) -> EnhancementSystem:
        """The hearing aid: the one given, or that of `enhance.system` with its parameters.

        Raises:
            InputError: it cannot be loaded or constructed; the line names the place in its code.
        """
        if self._system is not None:
            return self._system
        with self._at_root(), in_own_code(self._system_name):
            fitted = is_fitted(self.params.enhance.system)
            arguments = enhance_music.arguments_of_system if fitted else enhance_speech.loaded_arguments
            return shared_system(**arguments(self.params))

    def enhance(self, name: str, listener: str) -> Any:
        """What the system makes of a scene or song for a listener, checked, before it is written with 16 bits.

        Returns:
            float64 samples, shape (n, 2), left ear first; of a song a dictionary of its stems.

        Raises:
            InputError: a name is not known, the system failed (with file and line), or its output is wrong.
        """
        with self._at_root():
            material, person = self.materials.pair(name, listener)
            return self._enhanced(material, person)

    def score(self, name: str, listener: str, output: Any = None) -> dict[str, float]:
        """Scores of a pair, the same numbers as in the pipeline's tables (seed, levels, 16 bits, 8 decimals).

        Args:
            name, listener: the pair.
            output: what is scored: samples of shape (n, 2) at 44.1 kHz (of a song a dictionary of its four stems),
                which are written with 16 bits first; a path of a WAV file (of a song the folder of enhanced music) in
                the pipeline's format; None takes what the lab's system makes.

        Returns:
            metric -> score; of music also 'left_drums' and so on.

        Raises:
            InputError: as `enhance`, or it cannot be scored.
        """
        output = Path(output).absolute() if isinstance(output, str | os.PathLike) else output
        with self._at_root(), tempfile.TemporaryDirectory(prefix="hearlab-") as temporary:
            material, person = self.materials.pair(name, listener)
            folder = Path(temporary)
            if isinstance(output, Path):
                return self._scored_file(material, person, output, folder)
            if output is None:
                self._run_system(material, person, folder)
            else:
                self._write(material, person, _checked(material, output), folder)
            return self._scored(material, person, folder)

    def unprocessed(self, scene: str, listener: str) -> dict[str, float]:
        """Scores of a scene as it is at the hearing aid's microphones, as `score` gives them."""
        with self._at_root():
            material, person = self.materials.pair(scene, listener)
            if material.song:
                raise InputError(material.name, "is a song", advice="unprocessed signals are scored for scenes only")
            mixture = scene_file(self._rendered, material.name, "mix", self.params.render.reference_channel)
            with tempfile.TemporaryDirectory(prefix="hearlab-") as folder:
                return self._scored_file(material, person, mixture.absolute(), Path(folder))

    def trial(self, name: str, listener: str) -> Trial:
        """Enhance a pair with the lab's system, keep the sound in `.hearlab/try`, and score it.

        Raises:
            InputError: as `enhance` and `score`.
        """
        with self._at_root():
            material, person = self.materials.pair(name, listener)
            started = time.monotonic()
            TRIALS.parent.mkdir(exist_ok=True)
            # In a folder of its own until it is scored: two trials at a time do not mix.
            with scratch_folder(TRIALS, ".trial-") as scratch:
                folder = scratch / "made"
                folder.mkdir()
                sound = self._run_system(material, person, folder).relative_to(folder)
                failed: InputError | None = None
                scores: dict[str, float] = {}
                try:
                    scores = self._scored(material, person, folder)
                except InputError as error:
                    failed = error
                for path in sorted(folder.rglob("*")):
                    if path.is_file():
                        kept = TRIALS / path.relative_to(folder)
                        kept.parent.mkdir(parents=True, exist_ok=True)
                        os.replace(path, kept)
                if failed is not None:  # the sound is kept, and the line names where it is now
                    raise _of_kept(failed, folder) from None
            seconds = time.monotonic() - started
            return Trial(material.track.name, material.name, person.id, scores, TRIALS / sound, seconds)

    def baseline_trial(self, name: str, listener: str, out: Path) -> dict[str, float]:
        """Scores of the published baseline for a pair; its files go into the folder `out`."""
        with self._at_root():
            material, person = self.materials.pair(name, listener)
            unit = self.materials.baseline_unit(material, person)
            self._beside.call(_name_of(unit), out, unit.arguments)
            return self._scored(material, person, out)

    def find(self, name: str, listener: str) -> tuple[Material, Listener]:
        """The scene or song, and the listener.

        Raises:
            InputError: one of them is not known.
        """
        with self._at_root():
            return self.materials.pair(name, listener)

    def close(self) -> None:
        """End the process that a lab keeps beside this one, if it has one."""
        if self._pipeline is not None:
            self._pipeline.close()
            self._pipeline = None

    # --- below: in the root of the workspace ----------------------------------------------------------------------

    @contextlib.contextmanager
    def _at_root(self) -> Iterator[None]:
        with contextlib.chdir(self.root):
            yield

    @property
    def _beside(self) -> Pipeline:
        if self._pipeline is None:
            self._pipeline = Pipeline(self.root)
        return self._pipeline

    @property
    def _rendered(self) -> Path:
        return workspace(self.params).rendered(self.params.evaluate.split)

    @property
    def _system_name(self) -> str:
        if self._system is None:
            return self.params.enhance.system
        return f"{type(self._system).__module__}:{type(self._system).__qualname__}"

    def _enhanced(self, material: Material, person: Listener) -> Any:
        system, name = self.system, self._system_name
        with in_own_code(name), OneThread() as threads:
            threads.limit()
            if material.song:
                stems = enhance_music.read_stems(workspace(self.params).separated, material.name)
                return enhance_music.enhanced(system, name, stems, material.name, person)
            channels = enhance_speech.channels_of(material.name, files_of_scenes(self.params).get(material.name, []))
            microphones = enhance_speech.read_microphones(self._rendered, material.name, channels)
            folder = self._rendered.as_posix()
            return enhance_speech.enhanced(system, name, microphones, material.name, person, folder)

    def _run_system(self, material: Material, person: Listener, out: Path) -> Path:
        """Enhance a pair into the folder `out`; gives the file of what is heard."""
        if self._system is None and is_own_of_hearlab(self.params.enhance.system):
            unit = self.materials.enhance_unit(material, person)
            self._beside.call(_name_of(unit), out.absolute(), unit.arguments)
            names = [name for name in unit.outputs if material.song is None or name.endswith("_remix.flac")]
            return out / names[0]
        _ = self._beside  # a process beside this one starts while the system is loaded
        return self._write(material, person, self._enhanced(material, person), out)

    def _write(self, material: Material, person: Listener, output: Any, out: Path) -> Path:
        if material.song is None:
            return enhance_speech.write_enhanced(out, material.name, person.id, output)
        arguments = self.materials.enhance_unit(material, person).arguments
        options = {name: arguments[name] for name in ("soft_clip", "objective", "subjective")}
        return enhance_music.write_enhanced(out, material.name, person.id, output, **options)

    def _scored(self, material: Material, person: Listener, enhanced: Path) -> dict[str, float]:
        """Scores of what the folder `enhanced` holds."""
        unit = self.materials.score_unit(material, person)
        arguments = {**unit.arguments, "enhanced": os.fspath(enhanced.absolute())}
        found: Mapping[str, Any] = self._beside.call(_name_of(unit), Path(), arguments)
        metrics = {material.track.result_key(metric): metric.name for metric in material.track.metrics}
        return {metrics.get(key, key): value for key, value in found.items() if isinstance(value, float)}

    def _scored_file(self, material: Material, person: Listener, path: Path, folder: Path) -> dict[str, float]:
        if material.song:
            return self._scored(material, person, path)
        if not path.is_file():
            raise InputError(path, "no such file", wanted="a WAV file")
        enhanced_file(folder, material.name, person.id).symlink_to(path)
        return self._scored(material, person, folder)


def _of_kept(error: InputError, folder: Path) -> InputError:
    """An error of a file of a trial's own folder, as one of the same file in TRIALS."""
    where = error.where
    for name in (os.fspath(folder.absolute()), os.fspath(folder)):
        where = where.replace(name, os.fspath(TRIALS))
    details = {"field": error.field, "found": error.found, "wanted": error.wanted, "advice": error.advice}
    return InputError(where, error.problem, **details)


def _name_of(unit: Unit) -> str:
    return f"{unit.function.__module__}:{unit.function.__qualname__}"


def _checked(material: Material, output: Any) -> Any:
    if material.song is None:
        return check_speech_output(output, "output")
    stems: dict[str, Array] = dict.fromkeys(STEMS, np.empty((0, 2)))
    return check_music_output(output, stems, "output")


def open_lab(path: str | os.PathLike[str] = ".", *overrides: str) -> Lab:
    """Open a workspace: its root, the folder with params.yaml.

    Args:
        path: the folder.
        overrides: changes of its parameters, such as 'enhance.gain=3' (see `Lab.with_parameters`).

    Raises:
        InputError: there is no params.yaml, or a parameter is wrong.

    Examples:
        >>> lab = open_lab(".", "enhance.gain=3")
        >>> lab.params.enhance.gain
        3.0
    """
    root = Path(path).expanduser().resolve()
    lab = Lab(root, overridden(root, overrides, command="hearlab.open"))
    warn_of_untaken(lab.params)
    return lab
