"""The content of a site's pages: plain values for the templates, which escape every text."""

from __future__ import annotations

import functools
import hashlib
import os
import re
import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hearlab.datasets.layout import SIDES
from hearlab.listeners import Listener
from hearlab.report.site.audiogram import audiogram_file
from hearlab.report.site.results import MetricResults, TrackResults, difference
from hearlab.report.site.shown_result import ScoredFiles
from hearlab.report.site.sound.loudness import matching_gains
from hearlab.report.site.sound.spectrogram import HIGHEST, LOWEST, RANGE, frequency_position
from hearlab.report.site.sounds import PICTURES, Sounds, relative_url
from hearlab.report.site.versions import Group, Version
from hearlab.scoring.groups import UNKNOWN, four_frequency_average, grade, interferer_types
from hearlab.scoring.tracks import ENHANCED, UNPROCESSED
from hearlab.text import few

LABELLED = (250, 1000, 4000)  # Hz beside a spectrogram
PLAIN_NAME = re.compile(r"[A-Za-z0-9_-]{1,60}")
STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600)  # s, between the labels of a time axis
LABELS = 8  # of a time axis, about
FEATURED = 3
KEYS = "1234567890qwertyuiopasdfghjkzxcvn"  # of the versions of a group; b, l and m do something else
NAMED = 4  # listeners in a line
MISSING = 8  # sounds in a line
NOT_SCORED = "not the sound that was scored"
Address = Callable[[str], str | None]
"""The address of a scene's or song's page, None if it has none."""
Cell = tuple[str, float | None]
"""How a number is shown ('score', 'difference' or 'level'), and the number."""


def file_name(name: str) -> str:
    """The page of a scene or song: its letters and digits, and a digest of the name unless that is all it has."""
    if PLAIN_NAME.fullmatch(name):
        return f"{name}.html"
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    short = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:48].strip("-")
    return f"{short}-{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}.html".lstrip("-")


def featured(results: TrackResults, address: Address) -> list[dict[str, Any]]:
    """Scenes or songs to begin with: the one that gains most, a middling one, and the one that gains least."""
    headline = results.headline
    heard = [(unit, url) for unit in results.units if (url := address(unit))]
    gains = {unit: headline.gain(unit) for unit, _ in heard}
    by_gain = any(gain is not None for gain in gains.values())

    def value(unit: str) -> float:
        found = gains[unit] if by_gain else headline.mean(headline.enhanced, unit)
        return found if found is not None else 0.0

    heard.sort(key=lambda one: -value(one[0]))
    words = ["gains most:", "median:", "gains least:"] if by_gain else ["best:", "median:", "worst:"]
    if len(heard) > FEATURED:
        heard = [heard[0], heard[len(heard) // 2], heard[-1]]
    elif len(heard) < FEATURED:
        words = [words[0], words[-1]] if len(heard) == 2 else [""] * len(heard)
    score = f"{headline.metric.short} {{:{'+' if by_gain else ''}.3f}}"
    return [
        {"name": unit, "url": url, "why": f"{word} {score.format(value(unit))}".strip()}
        for (unit, url), word in zip(heard, words, strict=True)
    ]


def _columns(results: TrackResults) -> list[str]:
    """Headings of the scores in a table; those of further metrics name the metric."""
    columns = []
    for one in results.metrics:
        labels = [label for label, _, _ in one.conditions]
        labels += ["change"] if len(labels) > 1 else []
        columns += [f"{one.metric.short} {label}" if one.prefix else label for label in labels]
    return columns


def _cells(scores: Sequence[float | None]) -> list[Cell]:
    """The scores of the conditions, and what the last one gains on the one before."""
    cells: list[Cell] = [("score", score) for score in scores]
    return [*cells, ("difference", difference(*scores[-2:]))] if len(scores) > 1 else cells


def track_rows(results: TrackResults, address: Address) -> tuple[list[str], str, list[dict[str, Any]]]:
    """Table of scenes or songs: headings of its numbers, heading of the details (if any), rows."""
    details = "interferers" if results.scenes else ""
    rows = []
    for unit, listeners in results.units.items():
        scene = results.scenes.get(unit, {})
        cells: list[Cell] = []
        if details:
            snr = scene.get("SNR")
            cells.append(("level", float(snr) if isinstance(snr, int | float) else None))
        for one in results.metrics:
            cells += _cells([one.mean(table, unit) for _, _, table in one.conditions])
        rows.append(
            {
                "name": unit,
                "url": address(unit),
                "cells": cells,
                "details": interferer_types(scene) if details else "",
                "listeners": few(listeners, NAMED),
            }
        )
    return [*(["SNR (dB)"] if details else []), *_columns(results)], details, rows


def listening_values(
    results: TrackResults,
    unit: str,
    groups: Sequence[Group],
    shown: Sequence[str],
    sounds: Sounds,
    page: Path,
    scored: ScoredFiles,
) -> dict[str, Any]:
    """All of a listening page.

    Args:
        results: of the track.
        unit: the scene or song.
        groups: its versions.
        shown: the listeners whose versions and audiograms it has.
        sounds: as they were measured.
        page: where it will be.
        scored: the files that the scores are of.
    """
    made = [_group(results, unit, group, sounds, page, scored) for group in groups]
    made = [group for group in made if group["versions"]]
    columns, rows = score_rows(results, unit)
    data = {
        "name": unit,
        "track": results.track.name,
        "file": page.stem,
        "groups": [
            {
                "name": group["name"],
                "scripts": group["scripts"],
                "versions": [
                    {key: version[key] for key in ("label", "kind", "key", "seconds", "files")}
                    for version in group["versions"]
                ],
            }
            for group in made
        ],
    }
    site = page.parent.parent
    return {
        "name": unit,
        "track_title": results.track.title,
        "facts": scene_facts(results.scenes.get(unit, {})),
        "groups": made,
        "notes": _notes(groups, made),
        "columns": columns,
        "rows": rows,
        "audiograms": [
            {
                "name": name,
                "url": relative_url(audiogram_file(site, results.listeners[name]), page),
                "grade": grade_text(results.listeners[name]),
                "text": audiogram_text(results.listeners[name]),
            }
            for name in shown
            if name in results.listeners
        ],
        "hearing": {name: grade_text(results.listeners[name]) for name in shown if name in results.listeners},
        "frequencies": [
            (f"{hertz / 1000:g} k" if hertz >= 1000 else str(hertz), round(100 * frequency_position(hertz), 1))
            for hertz in LABELLED
        ],
        "through": any(version["kind"] == "loss" for group in made for version in group["versions"]),
        "lowest": LOWEST,
        "highest": HIGHEST,
        "range": RANGE[1] - RANGE[0],
        "data": data,
    }


def _notes(groups: Sequence[Group], made: Sequence[dict[str, Any]]) -> list[str]:
    """What is missing of a page, and what was not scored."""
    if not made:
        return ["The sounds are not here: dvc pull or dvc repro brings them."]
    notes = []
    gone = [f"{group.name}: {version.label}" for group in groups for version in group.missing]
    if gone:
        notes.append(f"Not here: {few(gone, MISSING)}. dvc pull or dvc repro brings what is missing.")
    if any(version["altered"] for group in made for version in group["versions"]):
        notes.append(f"What is marked “{NOT_SCORED}” was made again since: the scores here are of other sounds.")
    return notes


def _group(
    results: TrackResults, unit: str, group: Group, sounds: Sounds, page: Path, scored: ScoredFiles
) -> dict[str, Any]:
    known = [(version, sound) for version in group.versions if (sound := sounds.of(version)) is not None]
    silent = -float("inf")
    levels = [silent if version.loss or sound.loudness is None else sound.loudness for version, sound in known]
    gains = matching_gains(levels)
    # What is heard through a loss has the factor of the unprocessed sound: how much quieter it is, is its point.
    whole = {version.parts: gain for (version, _), gain in zip(known, gains, strict=True) if not version.loss}
    gains = [whole.get(version.beside, gain) for (version, _), gain in zip(known, gains, strict=True)]
    versions: list[dict[str, Any]] = []
    pictures = os.path.join(page.parent.parent, PICTURES)
    for (version, sound), gain in zip(known, gains, strict=True):
        files = sounds.urls(version, page)
        for file in files:
            file["matched"], file["plain"] = gain * file["factor"], file["factor"]
        versions.append(
            {
                "label": version.label,
                "about": version.about,
                "kind": version.kind,
                "listener": version.listener,
                "key": KEYS[len(versions)] if len(versions) < len(KEYS) else "",
                "scores": _scores(results, unit, group, version),
                "altered": version.kind != "other"
                and any(
                    scored.differs(part.path.as_posix(), md5)
                    for part, md5 in zip(version.parts, sound.md5, strict=True)
                ),
                "loudness": sound.loudness,
                "seconds": sound.seconds,
                "files": files,
                "picture": relative_url(os.path.join(pictures, sound.picture), page),
            }
        )
    longest = max((made["seconds"] for made in versions), default=0.0)
    for made in versions:  # the pictures have one time axis
        made["share"] = round(made["seconds"] / longest, 5) if longest else 1.0
    # A browser's volume is 1 at most: if a factor is greater, all become smaller.
    for name in ("matched", "plain"):
        most = max((file[name] for made in versions for file in made["files"]), default=1.0)
        for made in versions:
            for file in made["files"]:
                file[name] = round(file[name] / max(most, 1.0), 6)
    return {
        "name": group.name,
        "versions": versions,
        "seconds": longest,
        "times": times(longest),
        "scripts": sounds.embedded(group, page),
    }


def times(seconds: float) -> list[tuple[str, float]]:
    """Labels of a time axis of that length, at round times, and where they are in percent of it."""
    if seconds <= 0:
        return []
    step = next((step for step in STEPS if seconds / step <= LABELS), STEPS[-1])
    return [(f"{step * k:g} s", round(100 * step * k / seconds, 3)) for k in range(int(seconds / step) + 1)]


def _scores(results: TrackResults, unit: str, group: Group, version: Version) -> list[tuple[str, float, float | None]]:
    """Metric, score, and what an enhanced version gains on the one before; None for what nothing is known of."""
    found = [(one.metric.short, *_score(one, unit, group, version)) for one in results.metrics]
    return [(name, score, change) for name, score, change in found if score is not None]


def _score(one: MetricResults, unit: str, group: Group, version: Version) -> tuple[float | None, float | None]:
    """The score of a version and its gain; of an unprocessed one the mean over listeners."""
    if version.kind == UNPROCESSED:
        return one.mean(one.unprocessed, unit), None
    table = {"other": one.other, ENHANCED: one.enhanced}.get(version.kind)
    if table is None:
        return None, None
    pair = (unit, version.listener)
    stem = table.stems.get(group.name.lower())
    if stem is not None:
        return (float(stem[table.rows[pair]]) if pair in table.rows else None), None
    score = one.score(table, pair)
    before = one.score(one.other or one.unprocessed, pair) if version.kind == ENHANCED else None
    return score, difference(before, score)


def score_rows(results: TrackResults, unit: str) -> tuple[list[str], list[dict[str, Any]]]:
    """Table of a listening page: headings, and a row for each listener."""
    stems = results.headline.enhanced.stems
    rows = []
    for listener in results.units[unit]:
        pair = (unit, listener)
        cells: list[Cell] = []
        for one in results.metrics:
            cells += _cells([one.score(table, pair) for _, _, table in one.conditions])
        row = results.headline.enhanced.rows[pair]
        cells += [("score", float(scores[row])) for scores in stems.values()]
        rows.append({"name": listener, "cells": cells})
    return [*_columns(results), *stems], rows


def scene_facts(scene: dict[str, Any]) -> list[tuple[str, str]]:
    """What a scene list says of a scene, in words."""
    facts = []
    if isinstance(scene.get("SNR"), int | float):
        facts.append(("SNR at the better ear", f"{scene['SNR']:.1f} dB"))
    entries = scene.get("interferers")
    if isinstance(entries, list) and entries:
        kinds = [str(entry.get("type", UNKNOWN)) for entry in entries if isinstance(entry, dict)]
        facts.append(("Interferers", ", ".join(kinds)))
    target = scene.get("target")
    if isinstance(target, dict) and target.get("name"):
        facts.append(("Target", str(target["name"])))
    if scene.get("room"):
        facts.append(("Room", str(scene["room"])))
    return facts


@functools.lru_cache(maxsize=1024)
def grade_text(listener: Listener) -> str:
    """The WHO grade of a hearing loss and what it is from; empty where the audiogram does not reach the frequencies."""
    mean = four_frequency_average(listener)
    return "" if mean is None else f"WHO grade {grade(listener)} (4-frequency average {mean:.0f} dB, better ear)"


@functools.lru_cache(maxsize=1024)
def audiogram_text(listener: Listener) -> str:
    """The audiogram in words, for those who cannot see it."""
    ears = []
    for side in SIDES:
        ear = getattr(listener, side)
        levels = [f"{level:g} dB at {hertz:g} Hz" for hertz, level in zip(ear.frequencies, ear.levels, strict=True)]
        ears.append(f"{side} ear {', '.join(levels)}")
    return "; ".join(ears)
