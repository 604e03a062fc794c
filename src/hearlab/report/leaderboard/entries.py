"""The leaderboard's entries: one YAML file each, with a score and where it comes from."""

from __future__ import annotations

import datetime
import json
import re
import unicodedata
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    ValidationError,
    model_validator,
)
from pydantic_core import PydanticCustomError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedSeq

from hearlab.errors import InputError
from hearlab.files import MOST_SHORT_YAML, atomic_path, read_yaml
from hearlab.names import line_fault, name_fault, safe_name
from hearlab.scoring.tracks import MUSIC_LEVELS, TRACKS, Metric, music_rule

FOLDER = "leaderboard"
NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")
SHORT = 7  # digits of a commit that are shown

if TYPE_CHECKING:
    TrackName = str
    MusicLevel = str
else:
    TrackName = Literal[tuple(TRACKS)]
    MusicLevel = Literal[MUSIC_LEVELS]


def _sound(fault: Callable[[str], str | None], text: str) -> str:
    reason = fault(text)
    if reason is not None:
        raise PydanticCustomError("text", "{reason}", {"reason": f"one line of text: {reason}"})
    return text


Text = Annotated[str, AfterValidator(partial(_sound, line_fault))]
Name = Annotated[str, AfterValidator(partial(_sound, name_fault))]
Score = Annotated[float, Field(ge=0, le=1)]
Commit = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}$")]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Md5 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}(\.dir)?$")]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class SystemOrigin(_Part):
    """The enhancement system behind a score, as `hearlab stage system` writes it, and where its code is kept.

    Attributes:
        system: 'package.module:Class'.
        code: hash of all code that it reaches; None of HearLab's own, which is that of the commit.
        distribution: name and version of the installed package.
        files: parameter -> hash of the file that it names.
        commits: repository -> commit that holds the code, of code outside of this repository.
    """

    system: Text
    code: Sha256 | None = None
    distribution: Text | None = None
    files: dict[Text, Sha256] = {}
    commits: dict[Name, Commit] = {}


class Origin(_Part):
    """What a score was made from.

    Attributes:
        commit: of this repository.
        lock, params: md5 of dvc.lock and params.yaml at that commit.
        data: path -> md5, as DVC knows it, of what was scored: signals, scenes or songs, listeners.
        weights: path -> md5 of the weights that were used.
        scores: md5 of the table of scores.
        system: what made it; entries of older HearLabs do not say it.
    """

    commit: Commit
    lock: Md5
    params: Md5
    data: dict[str, Md5]
    weights: dict[str, Md5]
    scores: Md5
    system: SystemOrigin | None = None


class Publication(_Part):
    """Where a score was published; nothing here can make it again."""

    published: Text


def _kind_of_origin(value: Any) -> str:
    published = isinstance(value, Publication) or (isinstance(value, dict) and "published" in value)
    return "Publication" if published else "Origin"


class LeaderboardEntry(_Part):
    """A line of the leaderboard, as its file holds it.

    Attributes:
        team, system: who made what.
        track: name of one of TRACKS.
        dataset, split: what it was scored on.
        score: mean over all pairs of the split by the track's headline metric.
        interval: 95 %, clustered by scene or song; None where it is not known.
        units: scored pairs; None where that is not known.
        scored: when.
        spread: published standard deviation of the score over reruns.
        songs: published average of each song.
        averages: mean over all pairs by the track's further metrics that were scored, by their names.
        music_level: of music, the rule for the level of stems (one of MUSIC_LEVELS).
        origin: what it was made from, or the publication that it is taken from.
        name: of its file, without the suffix.
    """

    team: Text
    system: Text
    track: TrackName
    dataset: Name
    split: Name
    score: Score
    interval: tuple[Score, Score] | None = None
    units: Annotated[int, Field(ge=1)] | None = None
    scored: datetime.date | None = None
    spread: Score | None = None
    songs: dict[Name, Score] = {}
    averages: dict[str, Score] = {}
    music_level: MusicLevel | None = None
    origin: Annotated[
        Annotated[Origin, Tag("Origin")] | Annotated[Publication, Tag("Publication")], Discriminator(_kind_of_origin)
    ]
    name: Annotated[str, Field(exclude=True)] = ""

    @property
    def metric(self) -> Metric:
        return TRACKS[self.track].headline

    @property
    def rule(self) -> str | None:
        """How the level of stems was set; older entries do not say it. None for speech."""
        return music_rule(TRACKS[self.track], self.music_level)

    @property
    def published(self) -> bool:
        return isinstance(self.origin, Publication)

    @property
    def source(self) -> str:
        """The publication, or the first digits of the commit."""
        return self.origin.published if isinstance(self.origin, Publication) else self.origin.commit[:SHORT]

    @model_validator(mode="after")
    def _consistent(self) -> LeaderboardEntry:
        if self.interval and self.interval[0] > self.interval[1]:
            raise ValueError(f"interval: the first value must not exceed the second, found {list(self.interval)}")
        further = [metric.name for metric in TRACKS[self.track].metrics[1:]]
        for name in self.averages:
            if name not in further:
                known = ", ".join(further) or "none"
                raise ValueError(f"averages.{name}: is no further metric of {self.track}, which has {known}")
        if self.music_level and self.rule is None:
            raise ValueError(f"music_level: does not go with {self.track}")
        if not self.published:
            for name in ("units", "scored"):
                if getattr(self, name) is None:
                    raise ValueError(f"{name}: key is missing")
            for name in ("songs", "spread"):
                if getattr(self, name):
                    raise ValueError(f"{name}: goes with published scores only")
        return self


class Board(NamedTuple):
    """The entries of a folder, and why others of its files are none: one line names each, the field and the fault."""

    entries: list[LeaderboardEntry]
    faults: list[InputError]


def load_entries(folder: Path) -> Board:
    """All entries of a folder, in the order of their files' names; none if there is no such folder."""
    board = Board([], [])
    for path in sorted(folder.glob("[!.]*.yaml")):
        try:
            safe_name(path.name, folder)
            board.entries.append(load_entry(path))
        except InputError as error:
            board.faults.append(error)
    return board


def load_entry(path: Path) -> LeaderboardEntry:
    """One entry.

    Raises:
        InputError: it is not as it should be: one line names the file, the field, what was found and wanted.
    """
    content = read_yaml(path, most=MOST_SHORT_YAML)
    if "name" in content:
        raise InputError(path, "unknown key", field="name", advice="the file's own name is the entry's")
    try:
        # JSON mode is strict about types and still takes lists for tuples and text for dates.
        text = json.dumps({**content, "name": path.stem}, default=str)
        return LeaderboardEntry.model_validate_json(text, strict=True)
    except ValidationError as error:
        raise _line(path, error) from None


def find_entry(folder: Path, name: str) -> LeaderboardEntry:
    """The entry of that name; a path to its file is taken too.

    Raises:
        InputError: there is none, or it is not as it should be.
    """
    path = Path(name)
    if path.suffix != ".yaml" or not path.is_file():
        path = folder / f"{name.removesuffix('.yaml')}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in folder.glob("*.yaml"))) or "none is there"
        raise InputError(folder, "has no such entry", found=name, wanted=f"one of {known}")
    return load_entry(path)


def ranked(entries: Iterable[LeaderboardEntry], track: str) -> list[LeaderboardEntry]:
    """Entries of a track, best first, as the challenges rank: by the average over all examples."""
    return sorted((entry for entry in entries if entry.track == track), key=lambda entry: (-entry.score, entry.name))


def write_entry(path: Path, entry: LeaderboardEntry) -> None:
    """Write an entry; the text is read again before the file gets its name."""
    content = _without_nothing(entry.model_dump())
    if entry.interval is not None:
        content["interval"] = CommentedSeq(entry.interval)
        content["interval"].fa.set_flow_style()
    yaml = YAML()
    yaml.allow_unicode = True
    yaml.width = 4096
    with atomic_path(path) as temporary:
        with temporary.open("w", encoding="utf-8", newline="\n") as file:
            yaml.dump(content, file)
        load_entry(temporary)


def _without_nothing(values: dict[str, Any]) -> dict[str, Any]:
    """What an entry says, without keys that say nothing; the origin's own keys are all said, but for the system."""
    content = {name: value for name, value in values.items() if value not in (None, {})}
    origin = content["origin"]
    if "system" in origin:
        system = {name: value for name, value in (origin.pop("system") or {}).items() if value not in (None, {})}
        origin |= {"system": system} if system else {}
    return content


def entry_name(*parts: str) -> str:
    """A file's name made of texts: small letters, digits and hyphens."""
    plain = unicodedata.normalize("NFKD", " ".join(parts)).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:80] or "entry"


def _line(path: Path, error: ValidationError) -> InputError:
    """The first fault, in one line."""
    detail = error.errors()[0]
    place = ".".join(str(part) for part in detail["loc"] if part not in ("[key]", "Origin", "Publication"))
    # A text with what cannot be seen is shown escaped.
    found = json.dumps(detail["input"], default=str, ensure_ascii=detail["type"] == "text")
    found = found if len(found) <= 60 else found[:57] + "..."
    if detail["type"] == "value_error":
        name, _, problem = str(detail["ctx"]["error"]).partition(": ")
        return InputError(path, problem, field=name)
    if detail["type"] == "extra_forbidden":
        if "Publication" in detail["loc"]:
            return InputError(path, "does not go with published", field=place)
        model: type[BaseModel] = Origin if "Origin" in detail["loc"] else LeaderboardEntry
        known = ", ".join(name for name in model.model_fields if name != "name")
        return InputError(path, "unknown key", field=place, wanted=f"one of {known}")
    if detail["type"] == "missing":
        return InputError(path, "key is missing", field=place)
    wanted = detail["msg"].removeprefix("Input should be ").replace("Input should have ", "")
    if detail["type"] == "string_pattern_mismatch":
        wanted = "a hash in hexadecimal digits"
    return InputError(path, "wrong value", field=place, found=found, wanted=wanted)
