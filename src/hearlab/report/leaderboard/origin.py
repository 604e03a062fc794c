"""What the scores of a track were made from, according to a revision's dvc.lock and params.yaml."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hearlab.datasets.layout import DATA, METRICS_FOLDER, Workspace
from hearlab.errors import InputError
from hearlab.files import md5_of_bytes, parse_yaml
from hearlab.learners import LEARNED
from hearlab.params import PARAMS_FILE, PUBLISHED_WEIGHTS, TRAINED, automatic_weights, flat
from hearlab.params.subsets import subset_text
from hearlab.report.leaderboard.entries import Origin
from hearlab.scoring.belonging import outdated
from hearlab.scoring.tracks import ENHANCED, MUSIC_LEVEL, Track, music_rule
from hearlab.versions.lock import LOCK_FILE, deps, outs
from hearlab.versions.revisions import Files, RevisionFiles

SMALL_TEST = ", every 15th pair"
OWN_DATA = "own data"  # the split of recordings that only this group has


@dataclass(frozen=True)
class TrackResult:
    """A track's result at one revision: where it lies, and what it was scored on.

    Attributes:
        dataset, split: what was scored.
        values: of params.yaml, with dotted names.
    """

    track: Track
    dataset: str
    split: str
    values: dict[str, Any]

    @property
    def music_level(self) -> str | None:
        """The rule for the level of stems; None for speech."""
        return music_rule(self.track, self.values.get(MUSIC_LEVEL))

    @property
    def scores(self) -> str:
        """Path of the score table."""
        return f"{METRICS_FOLDER}/{self.track.tables[ENHANCED]}"

    @property
    def averages(self) -> str:
        """Path of the averages."""
        return f"{METRICS_FOLDER}/{self.track.averages}"

    @property
    def index(self) -> str:
        """Path of the index of the scoring stage's units."""
        return Workspace(Path(DATA) / self.dataset).index(self.track.scoring_stage).as_posix()


def result_of(files: Files, track: Track, where: str) -> TrackResult:
    """The result of a track.

    Raises:
        InputError: there is no params.yaml, it names no data set, or the result is of a subset.
    """
    values = flat(parse_yaml(files.read(PARAMS_FILE)))
    dataset = values.get("dataset")
    if not isinstance(dataset, str):
        raise InputError(f"{where}: {PARAMS_FILE}", "names no data set", field="dataset")
    subset = subset_text(values, track.cluster)
    if subset is not None:
        advice = "an entry is of a whole split: set evaluate.listeners, evaluate.scenes and evaluate.songs to null"
        raise InputError(f"{where}: {PARAMS_FILE}", "the result is of a subset", found=subset, advice=advice)
    return TrackResult(track, dataset, split_of(values, track), values)


def origin_of(files: RevisionFiles, result: TrackResult) -> Origin:
    """Identities of everything that decided a score.

    Raises:
        InputError: dvc.lock is missing or does not know the scores, or they are not of the revision's parameters.
    """
    where = f"{files.name}: {LOCK_FILE}"
    lock = files.read(LOCK_FILE)
    stage = files.lock.get(result.track.scoring_stage, {})
    scores = outs(stage).get(result.scores)
    if lock is None or scores is None:
        advice = f"dvc repro {result.track.scoring_stage}, and commit it"
        raise InputError(where, f"does not know {result.scores}", advice=advice)
    if reason := outdated(files).get(result.track.name):
        advice = f"dvc repro {result.track.scoring_stage}, and commit it"
        raise InputError(where, "knows other scores than those of params.yaml", found=reason, advice=advice)
    data = {path: identity for path, identity in deps(stage).items() if path.startswith(f"{DATA}/")}
    params = files.read(PARAMS_FILE) or b""
    return Origin(
        commit=files.commit,
        lock=md5_of_bytes(lock),
        params=md5_of_bytes(params),
        data=data,
        weights=dict(_weights(files, result)),
        scores=scores,
    )


def split_of(values: dict[str, Any], track: Track) -> str:
    """What of a data set a track was scored on; `values` are those of params.yaml with dotted names."""
    if f"datasets.{values.get('dataset')}.source" in values:
        return OWN_DATA
    if track.cluster == "scene":
        return str(values.get("evaluate.split"))
    songs, listeners = (str(values.get(f"evaluate.{name}")) for name in ("song_split", "song_listeners"))
    split = songs if songs == listeners else f"{songs} songs, {listeners} listeners"
    return split + (SMALL_TEST if values.get("evaluate.small_test") else "")


def _weights(files: RevisionFiles, result: TrackResult) -> Iterator[tuple[str, str]]:
    """Weights of the separator, of a hearing aid that learns, and files that the parameters of the system name."""
    if result.track.cluster == "song":
        places = {
            TRAINED: Workspace(Path(DATA) / result.dataset).separator.as_posix(),
            PUBLISHED_WEIGHTS: PUBLISHED_WEIGHTS,
        }
        chosen = result.values.get("separate.weights")
        if chosen == "auto":
            chosen = automatic_weights(str(result.values.get("separate.model")), result.dataset)
        place = places.get(str(chosen))
        used = deps(files.lock.get("separate_music", {}))
        if place in used:
            yield place, used[place]
        if place is None:
            yield from _own_file(files, chosen)
    elif result.values.get("enhance.system") == LEARNED:
        yield from _of_hearing_aid(files, result)
    for name, value in result.values.items():
        if name.startswith("enhance.params."):
            yield from _own_file(files, value)


def _of_hearing_aid(files: RevisionFiles, result: TrackResult) -> Iterator[tuple[str, str]]:
    """What train_enhancer has made, or the file that `learn.weights` names, and its description."""
    from hearlab.enhancement.weights import description_file  # with the network's compiled loops

    named = Path(str(result.values.get("learn.weights")))
    if named.is_absolute() or ".." in named.parts:
        advice = "copy the file and its description into the repository, git add or dvc add both, and commit"
        raise InputError(named, "lies outside of the repository: nobody can make the score again", advice=advice)
    if named != Path(TRAINED):
        for path in (named, description_file(named)):
            yield from _own_file(files, path.as_posix())
        return
    place = Workspace(Path(DATA) / result.dataset).enhancer.as_posix()
    used = deps(files.lock.get("enhance_speech", {}))
    if place in used:
        yield place, used[place]


def _own_file(files: RevisionFiles, name: Any) -> Iterator[tuple[str, str]]:
    """The identity of a file below the root that a parameter names; what is elsewhere cannot be known."""
    if not isinstance(name, str) or not name or Path(name).is_absolute() or ".." in Path(name).parts:
        return
    pointer = parse_yaml(files.read(f"{name}.dvc") if files.holds(f"{name}.dvc") else None)
    if isinstance(pointer, dict):
        yield from ((name, str(out["md5"])) for out in (pointer.get("outs") or [])[:1] if "md5" in out)
        return
    content = files.read(name) if files.holds(name) else None
    if content is None and (files.root / name).is_file():
        raise InputError(
            name,
            "is used and is in neither git nor DVC",
            field=f"commit {files.commit[:7]}",
            advice="git add or dvc add it, and commit: without it nobody can make the score again",
        )
    if content is not None and not content.startswith(b"tree "):  # git show lists a folder
        yield name, md5_of_bytes(content)
