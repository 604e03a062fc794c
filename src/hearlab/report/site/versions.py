"""What can be heard of a scene or song: its versions, in groups between which one switches at the same instant."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hearlab.datasets.layout import SAMPLE_RATE, SIDES, STEMS, Workspace, enhanced_file, music_file, scene_file
from hearlab.datasets.song_lists import Segments, read_segments, read_songs
from hearlab.datasets.stem_files import read_factor
from hearlab.errors import InputError
from hearlab.params import Params
from hearlab.report.site.results import Results
from hearlab.report.site.sound.hearing_loss import NO_LOSS, Loss
from hearlab.scoring.tracks import Track


@dataclass(frozen=True)
class Part:
    """A file, or a part of it, that sounds in a version.

    Attributes:
        path: relative to the workspace, or absolute.
        start, end: in seconds; None: to the end.
        factor: its samples are multiplied by it.
        ear: 'left' or 'right' for a mono file of one ear, '' for a stereo file.
    """

    path: Path
    start: float = 0.0
    end: float | None = None
    factor: float = 1.0
    ear: str = ""


@dataclass(frozen=True)
class Version:
    """One way in which a scene or song can be heard.

    Attributes:
        label: short; `about` says what it is.
        kind: 'unprocessed', 'enhanced', 'other' (the same of another experiment), 'loss' or 'reference'.
        parts: one stereo file, or a mono file for each ear.
        listener: whom it was made for, if for one.
        loss: thresholds by which it is attenuated: see `hearlab.report.site.sound.hearing_loss`.
        beside: of such a version, the unprocessed sound: all are set to its level, so that a hearing aid's gain stays.
    """

    label: str
    about: str
    kind: str
    parts: tuple[Part, ...]
    listener: str = ""
    loss: Loss | tuple[()] = NO_LOSS
    beside: tuple[Part, ...] = ()


@dataclass(frozen=True)
class Group:
    """Versions of the same sound: a scene, a whole song, or a stem; `missing` are those whose files are not there."""

    name: str
    versions: tuple[Version, ...]
    missing: tuple[Version, ...] = ()


def version_groups(
    results: Results,
    track: Track,
    unit: str,
    listeners: Sequence[str],
    others: Mapping[str, Sequence[Version]] | None = None,
    losses: Mapping[str, Loss] | None = None,
) -> list[Group]:
    """The versions of a scene, or of a song and its stems; those whose files are there can be heard.

    Args:
        results: where they lie.
        track: of the scene or song.
        unit: its name.
        listeners: whose enhanced versions are wanted.
        others: of the experiment that is compared with, by group; each comes after the enhanced one of its listener.
        losses: of listeners through whose hearing loss the scene or song can be heard, too.
    """
    if track.cluster == "scene":
        entry: dict[str, Any] = next((one.scenes for one in results.tracks if one.track is track), {}).get(unit, {})
        groups = _scene_groups(results.files, results.params, unit, listeners, entry)
    else:
        groups = _song_groups(results.root, results.files, results.params, unit, listeners)
    if others:
        groups = [(name, _with_others(versions, others.get(name, ()))) for name, versions in groups]
    if losses:
        name, versions = groups[0]
        groups[0] = name, _with_losses(versions, losses)
    found = []
    for name, versions in groups:
        there: list[Version] = []
        gone: list[Version] = []
        for one in versions:
            paths = (os.path.join(results.root, part.path) for part in (*one.parts, *one.beside))
            (there if all(map(os.path.isfile, paths)) else gone).append(one)
        found.append(Group(name, tuple(there), tuple(gone)))
    return found


def _with_others(versions: Sequence[Version], others: Sequence[Version]) -> list[Version]:
    """Each after the enhanced version of its listener."""
    return [one for own in versions for one in (own, *(other for other in others if other.listener == own.listener))]


def _with_losses(versions: Sequence[Version], losses: Mapping[str, Loss]) -> list[Version]:
    """After the versions of each listener: without the hearing aid and with it, heard through the loss."""
    plain = versions[0]
    found = list(versions)
    for listener, loss in losses.items():
        own = [place for place, one in enumerate(found) if one.listener == listener]
        if not own:
            continue
        aided = found[own[0]]
        about = "attenuated by the audiogram's thresholds: a plain simulation of the loss"
        through = [
            Version(
                f"{one.label.partition(',')[0]}, heard with the loss",
                about,
                "loss",
                one.parts,
                listener,
                loss,
                plain.parts,
            )
            for one in (plain, aided)
        ]
        found[own[-1] + 1 : own[-1] + 1] = through
    return found


def _scene_groups(
    files: Workspace, params: Params, scene: str, listeners: Sequence[str], entry: Mapping[str, Any]
) -> list[tuple[str, list[Version]]]:
    """The versions of a scene; of own recordings those that its entry in the scene list says there are."""
    channel = params.render.reference_channel

    def rendered(label: str, about: str, kind: str, signal: str) -> Version:
        path = scene_file(files.rendered(params.evaluate.split), scene, signal, channel)
        return Version(label, about, kind, (Part(path),))

    def enhanced(name: str) -> Version:
        part = Part(enhanced_file(files.enhanced, scene, name))
        return Version(f"Enhanced, {name}", "the hearing aid's output", "enhanced", (part,), name)

    microphones = f"what the hearing aid's microphone pair CH{channel} picks up"
    versions = [
        rendered("Unprocessed", microphones, "unprocessed", "mix"),
        *map(enhanced, listeners),
        rendered("Target, anechoic", "the clean talker; the metric compares with it", "reference", "target_anechoic"),
        rendered("Target in the room", "the talker alone", "reference", "target"),
        rendered("Interferers", "everything but the talker", "reference", "interferer"),
    ]
    own = entry.get("files")
    if isinstance(own, list):
        versions = [one for one in versions if one.kind == "enhanced" or one.parts[0].path.name in own]
    return [("Scene", versions)]


def _song_groups(
    root: Path, files: Workspace, params: Params, song: str, listeners: Sequence[str]
) -> list[tuple[str, list[Version]]]:
    split = params.evaluate.song_split
    cut = _segments(root, files, song) if split == "test" else None
    whole, cut_stem = (cut.subjective, cut.objective) if cut else ((0.0, None), (0.0, None))

    def original(label: str, about: str, kind: str, path: Path, span: tuple[float, float | None]) -> Version:
        return Version(label, about, kind, (Part(path, *span),))

    def remix(name: str) -> Version:
        part = Part(music_file(files.enhanced_music, name, song, "remix"))
        return Version(f"Remix, {name}", "the stems fitted to this listener", "enhanced", (part,), name)

    def fitted(name: str, stem: str) -> Version:
        paths = {side: music_file(files.enhanced_music, name, song, f"{side}_{stem}") for side in SIDES}
        parts = tuple(Part(path, factor=_factor(root / path), ear=side) for side, path in paths.items())
        return Version(f"Enhanced, {name}", "fitted to this listener", "enhanced", parts, name)

    mixture = files.cadenza.stem(split, song, "mixture")
    mixed = original("Mixture", "the song as released", "unprocessed", mixture, whole)
    groups = [("Song", [mixed, *map(remix, listeners)])]
    for stem in STEMS:
        recorded, separated = files.cadenza.stem(split, song, stem), files.separated / song / f"{stem}.wav"
        versions = [
            original("True", "the stem as recorded", "reference", recorded, cut_stem),
            original("Separated", "found in the mixture", "unprocessed", separated, cut_stem),
            *(fitted(name, stem) for name in listeners),
        ]
        groups.append((stem.capitalize(), versions))
    return groups


def _factor(path: Path) -> float:
    try:
        return read_factor(path)
    except InputError:
        return 1.0  # scoring names a damaged factor; here the stem is heard at its peak


def _segments(root: Path, files: Workspace, song: str) -> Segments | None:
    try:
        songs = [entry for entry in read_songs(root / files.cadenza.songs("test")) if entry.name == song]
        segments = read_segments(root / files.cadenza.segments, songs)[song]
    except (InputError, KeyError):
        return None
    # Whole samples, as the stage cuts them.
    spans = (
        tuple(int(second * SAMPLE_RATE) / SAMPLE_RATE for second in span)
        for span in (segments.objective, segments.subjective)
    )
    objective, subjective = spans
    return Segments((objective[0], objective[1]), (subjective[0], subjective[1]))
