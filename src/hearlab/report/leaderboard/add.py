"""A new entry of the leaderboard, made of the results that are committed here."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hearlab.compute.memo import Memo
from hearlab.compute.unchanged import CodeWatch
from hearlab.errors import InputError
from hearlab.files import md5_of_bytes, read_bytes
from hearlab.params import PARAMS_FILE, Params, load_params
from hearlab.report.leaderboard.entries import NAME, LeaderboardEntry, entry_name, load_entry
from hearlab.report.leaderboard.origin import TrackResult, origin_of, result_of
from hearlab.report.leaderboard.rescore import scoring_units
from hearlab.report.leaderboard.system_code import system_origin
from hearlab.scoring.statistics import ClusteredMean
from hearlab.scoring.table import Pair, ScoreTable, track_tables
from hearlab.scoring.tracks import TRACKS, Track
from hearlab.secrets import hide
from hearlab.stages import ALWAYS, STAGES, has_units, index_file, stage_units
from hearlab.systems.base import is_baseline
from hearlab.text import few
from hearlab.versions.dvc_command import run_dvc
from hearlab.versions.git import git_text
from hearlab.versions.lock import Lock, stages_behind
from hearlab.versions.revisions import RevisionFiles, find_revision

DECIMALS = 8  # of scores, as the stages write them
SHOWN = 3  # names in a line


def new_entry(
    root: Path,
    folder: Path,
    track: str,
    *,
    team: str | None = None,
    system: str | None = None,
    name: str | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> LeaderboardEntry:
    """The entry of a track's committed scores; nothing is written.

    Args:
        root: the workspace.
        folder: of the entries.
        team: without it, git's user.name.
        system: without it, the class of `enhance.system`, and for music with the separation model.
        name: of the entry; without it, made of the others.
        say: is told what takes a while, before it begins.

    Raises:
        InputError: the tree is dirty, the pipeline is not up to date, units are missing, or the name is taken.
    """
    head = committed(root)
    result = result_of(head, TRACKS[track], "HEAD")
    params = load_params(root / PARAMS_FILE)
    state = system_origin(root, params.enhance, params.system_params)
    origin = origin_of(head, result).model_copy(update={"system": state})
    stage = result.track.scoring_stage
    say(f"{track}: is {stage} up to date? (dvc status)")
    _check_up_to_date(root, stage)
    say(f"{track}: were {stage} and the stages before it run with these parameters, data and code?")
    check_keys(root, params, head.lock, stage)
    tables = _scores(root, result, origin.scores)
    table = tables[result.track.headline.name]
    check_complete(table, list(scoring_units(root, result.track)), result.scores)
    mean = table.mean()
    team = team or git_text(root, "config", "user.name")
    if not team:
        raise InputError("--team", "is not known", wanted="a name, here or as git's user.name")
    system = system or _system_name(params, result.track)
    name = name or entry_name(track, team, system, *([] if result.dataset == "clarity" else [result.dataset]))
    if not NAME.fullmatch(name):
        raise InputError("--name", "is no name of an entry", found=name, wanted="small letters, digits, - _ .")
    _check_free(folder / f"{name}.yaml")
    return LeaderboardEntry(
        name=name,
        track=track,
        team=team,
        system=system,
        dataset=result.dataset,
        split=result.split,
        score=round(mean.mean, DECIMALS),
        interval=rounded_interval(mean),
        units=mean.units,
        scored=datetime.datetime.now(datetime.UTC).date(),
        averages=further_averages(tables, result.track),
        music_level=result.music_level,
        origin=origin,
    )


def committed(root: Path) -> RevisionFiles:
    """The revision HEAD, of which the workspace is a true copy.

    Raises:
        InputError: a tracked file was changed since.
    """
    head = find_revision("HEAD", root)
    status = git_text(root, "status", "--porcelain", "--untracked-files=no", "--", ".")
    changed = [line[3:] for line in status.splitlines()]
    if changed:
        problem = "the tree is dirty: the commit would not tell how the score was made"
        raise InputError("leaderboard", problem, found=few(changed, SHOWN), advice="git commit first")
    return head


def rounded_interval(mean: ClusteredMean) -> tuple[float, float] | None:
    if mean.low is None or mean.high is None:
        return None
    return round(mean.low, DECIMALS), round(mean.high, DECIMALS)


def further_averages(tables: dict[str, ScoreTable], track: Track) -> dict[str, float]:
    """Averages of the track's metrics after the headline, by their names, of those that were scored."""
    names = [metric.name for metric in track.metrics[1:] if metric.name in tables]
    return {name: round(tables[name].mean().mean, DECIMALS) for name in names}


def check_complete(table: ScoreTable, expected: list[Pair], where: str) -> None:
    """Every expected pair has a score, and no other.

    Raises:
        InputError: one has none, or there is a pair too much.
    """
    known = set(expected)
    missing = [" ".join(pair) for pair in expected if pair not in table.rows]
    surplus = [" ".join(pair) for pair in table.rows if pair not in known]
    problem = f"is incomplete: {len(missing)} of {len(expected)} pairs have no score"
    for pairs, what in ((missing, problem), (surplus, "pairs do not belong to the split")):
        if pairs:
            raise InputError(where, what, found=few(pairs, SHOWN), advice="dvc repro makes what is missing")


def _scores(root: Path, result: TrackResult, md5: str) -> dict[str, ScoreTable]:
    advice = f"dvc pull, or dvc repro {result.track.scoring_stage}"
    content = read_bytes(root / result.scores, where=result.scores, advice=advice)
    if md5_of_bytes(content) != md5:
        raise InputError(result.scores, "is not what dvc.lock says", advice=f"dvc checkout {result.scores}")
    return track_tables(content, result.scores, result.track)


def _check_up_to_date(root: Path, stage: str) -> None:
    done = run_dvc(root, "status", "--with-deps", "--json", stage)
    try:
        changed: dict[str, list[Any]] = json.loads(done.stdout.strip().splitlines()[-1])
    except (ValueError, IndexError):
        last = (done.stderr.strip().splitlines() or ["no answer"])[-1]
        raise InputError("dvc status", "failed", found=hide(last)[:200]) from None
    if changed.get(ALWAYS) == [
        "always changed"
    ]:  # DVC looks at it each time; what it would find, `system_origin` knows
        del changed[ALWAYS]
    if changed:
        stages = [f"{name}: {_changes(parts)}" for name, parts in changed.items()]
        found = few(stages, SHOWN, more="more stages", between="; ")
        advice = f"dvc pull, or dvc repro {stage} and commit"
        raise InputError("leaderboard", "the pipeline is not up to date", found=found, advice=advice)


def _changes(parts: list[Any]) -> str:
    words = []
    for part in parts:
        if isinstance(part, dict):
            for paths in part.values():
                words += [f"{path} {how}" for path, how in paths.items()] if isinstance(paths, dict) else [str(paths)]
        else:
            words.append(str(part))
    return ", ".join(words[:SHOWN])


def _system_name(params: Params, track: Track) -> str:
    name = "baseline" if is_baseline(params.enhance.system) else params.enhance.system.rpartition(":")[2]
    return name if track.cluster == "scene" else f"{name}, {params.separate.model}"


def check_keys(root: Path, params: Params, lock: Lock, stage: str) -> None:
    """The units of a stage, and of all before it, must be those of the parameters, data and code that are here.

    dvc.lock may say so and be wrong: DVC reads what it notes of a stage after the stage has ended.

    Raises:
        InputError: they are others.
    """
    memo, code = Memo(root, journal=False), CodeWatch()
    identities = memo.identities()
    for name in stages_behind(lock, stage):
        module, *arguments = name.split("@")
        if module not in STAGES or not has_units(module):
            continue
        index = root / index_file(module, params, *arguments)
        if not index.exists():
            continue
        known = memo.load_index(index)
        units = stage_units(module, params, *arguments)
        other = [unit.id for unit in units if unit.key(identities, code.identity(unit))[0] not in known]
        if other:
            problem = f"{len(other)} units are of other parameters, data or code than dvc.lock says"
            advice = f"dvc repro --force --single-item {name}, then dvc repro"
            raise InputError(name, problem, found=few(other, SHOWN), advice=advice)
    identities.save()


def _check_free(path: Path) -> None:
    if path.exists():
        other = load_entry(path)
        problem = f"exists already ({other.track}, {other.score:.4f} of {other.source})"
        raise InputError(path, problem, advice="--name gives the new entry another name")
