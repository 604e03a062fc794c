"""What stands on the pages of a site: plain values for the templates, which escape every text."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hearlab.datasets.layout import SIDES
from hearlab.listeners import Listener
from hearlab.report.compare.comparison import Comparison
from hearlab.report.compare.metadata import UNKNOWN, grade, interferer_types
from hearlab.report.site.loudness import matching_gains
from hearlab.report.site.results import Track
from hearlab.report.site.sounds import PICTURES, Sounds, relative_url
from hearlab.report.site.spectrogram import HIGHEST, LOWEST, RANGE, frequency_position
from hearlab.report.site.versions import Group, Version
from hearlab.scores.table import Pair

NAVIGATION = {"speech": "Speech", "music": "Music"}
TITLES = {"speech": "Speech in noise", "music": "Music"}
METRIC_TITLES = {"speech": "HASPI", "music": "HAAQI"}
CLUSTERS = {"speech": "scene", "music": "song"}
FOLDERS = {"speech": "scenes", "music": "songs"}
LABELLED = (250, 1000, 4000)  # Hz beside a spectrogram
PLAIN_NAME = re.compile(r"[A-Za-z0-9_-]{1,60}")
FEATURED = 3
Address = Callable[[str], str | None]


def file_name(name: str) -> str:
    """The page of a scene or song: its letters and digits, and a digest of the name unless that is all it has."""
    if PLAIN_NAME.fullmatch(name):
        return f"{name}.html"
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    short = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:48].strip("-")
    return f"{short}-{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}.html".lstrip("-")


def track_values(track: Track, featured: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What the front page and the track's own page say of it."""
    means: list[tuple[str, float]] = []
    conditions = [("unprocessed", track.unprocessed), (track.against, track.other), ("enhanced", track.enhanced)]
    for label, table in conditions:
        if table is not None:
            means.append((label, float(table.scores.mean())))
    if len(means) > 1:
        means.append(("improvement", means[-1][1] - means[-2][1]))
    return {
        "name": track.name,
        "title": TITLES[track.name],
        "metric": METRIC_TITLES[track.name],
        "cluster": CLUSTERS[track.name],
        "count": len(track.units),
        "pairs": len(track.enhanced.rows),
        "means": means,
        "featured": featured,
    }


def featured(track: Track, address: Address) -> list[dict[str, Any]]:
    """Scenes or songs to begin with: the one that gains most, a middling one, and the one that gains least."""
    heard = [(unit, url) for unit in track.units if (url := address(unit))]
    gains = {unit: track.gain(unit) for unit, _ in heard}
    by_gain = any(gain is not None for gain in gains.values())

    def value(unit: str) -> float:
        found = gains[unit] if by_gain else track.mean(track.enhanced, unit)
        return found if found is not None else 0.0

    heard.sort(key=lambda one: -value(one[0]))
    words = ["gains most:", "median:", "gains least:"] if by_gain else ["best:", "median:", "worst:"]
    if len(heard) > FEATURED:
        heard = [heard[0], heard[len(heard) // 2], heard[-1]]
    elif len(heard) < FEATURED:
        words = [words[0], words[-1]] if len(heard) == 2 else [""] * len(heard)
    metric = f"{METRIC_TITLES[track.name]} {{:{'+' if by_gain else ''}.3f}}"
    return [
        {"name": unit, "url": url, "why": f"{word} {metric.format(value(unit))}".strip()}
        for (unit, url), word in zip(heard, words, strict=True)
    ]


def track_rows(track: Track, address: Address) -> tuple[list[str], str, list[dict[str, Any]]]:
    """Table of scenes or songs: headings of its numbers, heading of the details (if any), rows."""
    columns, details = [], ""
    if track.name == "speech" and track.scenes:
        columns.append("SNR (dB)")
        details = "interferers"
    if track.unprocessed is not None:
        columns.append("unprocessed")
    if track.other is not None:
        columns.append(track.against)
    columns.append("enhanced")
    changes = track.unprocessed is not None or track.other is not None
    if changes:
        columns.append("change")
    rows = []
    for unit, listeners in track.units.items():
        scene = track.scenes.get(unit, {})
        cells: list[tuple[str, float | None]] = []
        if details:
            snr = scene.get("SNR")
            cells.append(("level", float(snr) if isinstance(snr, int | float) else None))
        cells += [("score", track.mean(one, unit)) for one in (track.unprocessed, track.other) if one is not None]
        cells.append(("score", track.mean(track.enhanced, unit)))
        if changes:
            cells.append(("difference", track.gain(unit)))
        rows.append(
            {
                "name": unit,
                "url": address(unit),
                "cells": cells,
                "details": interferer_types(scene) if details else "",
                "listeners": _few(listeners),
            }
        )
    return columns, details, rows


def _few(names: Sequence[str], most: int = 4) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def comparison_values(comparison: Comparison, against: str, address: Address) -> dict[str, Any]:
    """Difference, interval, verdict, tables, and the pairs that gain and lose most."""
    overall = comparison.overall
    verdict = {
        "better": "better",
        "worse": "worse",
        "same": "no difference",
        "inconclusive": "no conclusion can be drawn",
    }[comparison.verdict]

    def extremes(pairs: Sequence[Any]) -> list[dict[str, Any]]:
        return [
            {
                "name": one.pair[0],
                "listener": one.pair[1],
                "url": address(one.pair[0]),
                "first": one.first,
                "second": one.second,
                "difference": one.second - one.first,
            }
            for one in pairs
        ]

    def row(one: Any) -> dict[str, Any]:
        result = one.result
        return {
            "name": one.name,
            "units": result.difference.units,
            "first": result.first.mean,
            "second": result.second.mean,
            "difference": result.difference.mean,
            "low": result.difference.low,
            "high": result.difference.high,
        }

    return {
        "against": against,
        "first": overall.first.mean,
        "second": overall.second.mean,
        "difference": overall.difference.mean,
        "low": overall.difference.low,
        "high": overall.difference.high,
        "clusters": overall.difference.clusters,
        "cluster": comparison.metric.cluster,
        "verdict": verdict,
        "reasons": comparison.reasons,
        "notes": comparison.notes,
        "winners": extremes(comparison.winners),
        "losers": extremes(comparison.losers),
        "tables": [
            {"title": table.title, "rows": [row(one) for one in table.rows]}
            for table in comparison.breakdowns
            if table.name != "song"  # they stand in the list above
        ],
    }


def listening_values(
    track: Track, unit: str, groups: Sequence[Group], shown: Sequence[str], sounds: Sounds, page: Path
) -> dict[str, Any]:
    """All of a listening page; `shown` are the listeners whose versions and audiograms it has."""
    made = [_group(track, unit, group, sounds, page) for group in groups]
    made = [group for group in made if group["versions"]]
    columns, rows = score_rows(track, unit)
    data = {
        "name": unit,
        "track": track.name,
        "file": page.stem,
        "groups": [
            {
                "name": group["name"],
                "scripts": group["scripts"],
                "versions": [
                    {key: version[key] for key in ("label", "kind", "seconds", "files")}
                    for version in group["versions"]
                ],
            }
            for group in made
        ],
    }
    site = page.parent.parent
    return {
        "name": unit,
        "metric": METRIC_TITLES[track.name],
        "track_title": TITLES[track.name],
        "facts": scene_facts(track.scenes[unit]) if unit in track.scenes else [],
        "groups": made,
        "columns": columns,
        "rows": rows,
        "audiograms": [
            {
                "name": name,
                "url": relative_url(site / "audiograms" / f"{file_name(name)[:-5]}.svg", page),
                "grade": grade_text(track.listeners[name]),
                "text": audiogram_text(track.listeners[name]),
            }
            for name in shown
            if name in track.listeners
        ],
        "frequencies": [
            (f"{hertz / 1000:g} k" if hertz >= 1000 else str(hertz), round(100 * frequency_position(hertz), 1))
            for hertz in LABELLED
        ],
        "lowest": LOWEST,
        "highest": HIGHEST,
        "range": RANGE[1] - RANGE[0],
        "data": data,
    }


def _group(track: Track, unit: str, group: Group, sounds: Sounds, page: Path) -> dict[str, Any]:
    known = [(version, sound) for version in group.versions if (sound := sounds.of(version)) is not None]
    gains = matching_gains([sound.loudness if sound.loudness is not None else -float("inf") for _, sound in known])
    versions: list[dict[str, Any]] = []
    for (version, sound), gain in zip(known, gains, strict=True):
        score, change = _score(track, unit, group, version)
        files = sounds.urls(version, page)
        for file in files:
            file["matched"], file["plain"] = gain * file["factor"], file["factor"]
        versions.append(
            {
                "label": version.label,
                "about": version.about,
                "kind": version.kind,
                "score": score,
                "change": change,
                "loudness": sound.loudness,
                "seconds": sound.seconds,
                "files": files,
                "picture": relative_url(page.parent.parent / PICTURES / sound.picture, page),
            }
        )
    # A browser's volume is 1 at most: if a factor is greater, all become smaller.
    for name in ("matched", "plain"):
        most = max((file[name] for made in versions for file in made["files"]), default=1.0)
        for made in versions:
            for file in made["files"]:
                file[name] = round(file[name] / max(most, 1.0), 6)
    return {
        "name": group.name,
        "versions": versions,
        "seconds": max((made["seconds"] for made in versions), default=0.0),
        "scripts": sounds.embedded(group, page),
    }


def _score(track: Track, unit: str, group: Group, version: Version) -> tuple[float | None, float | None]:
    """The score of a version and, of an enhanced one, what it gains on the one before; unprocessed: over listeners."""
    if version.kind == "unprocessed" and track.name == "speech":
        return track.mean(track.unprocessed, unit), None
    table = track.other if version.kind == "other" else track.enhanced if version.kind == "enhanced" else None
    if table is None:
        return None, None
    pair: Pair = (unit, version.listener)
    if track.name == "music" and group.name.lower() in table.stems:
        row = table.rows.get(pair)
        return (None if row is None else float(table.stems[group.name.lower()][row])), None
    score = track.score(table, pair)
    before = track.score(track.other or track.unprocessed, pair)
    if version.kind != "enhanced" or score is None or before is None:
        return score, None
    return score, score - before


def score_rows(track: Track, unit: str) -> tuple[list[str], list[dict[str, Any]]]:
    """Table of a listening page: headings, and a row for each listener."""
    tables = [("unprocessed", track.unprocessed), (track.against, track.other), ("enhanced", track.enhanced)]
    there = [(label, table) for label, table in tables if table is not None]
    columns = [label for label, _ in there]
    if len(there) > 1:
        columns.append("change")
    stems = list(track.enhanced.stems)
    columns += stems
    rows = []
    for listener in track.units[unit]:
        pair = (unit, listener)
        scores = [track.score(table, pair) for _, table in there]
        cells: list[tuple[str, float | None]] = [("score", score) for score in scores]
        if len(scores) > 1:
            first, second = scores[-2:]
            cells.append(("difference", None if first is None or second is None else second - first))
        row = track.enhanced.rows[pair]
        cells += [("score", float(track.enhanced.stems[stem][row])) for stem in stems]
        rows.append({"name": listener, "cells": cells})
    return columns, rows


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


def grade_text(listener: Listener) -> str:
    """The WHO grade of a hearing loss in words; empty where the audiogram does not tell it."""
    found = grade(listener)
    return "" if found == UNKNOWN else "no hearing loss" if found == "none" else f"{found} hearing loss"


def audiogram_text(listener: Listener) -> str:
    """The audiogram in words, for those who cannot see it."""
    ears = []
    for side in SIDES:
        ear = getattr(listener, side)
        levels = [f"{level:g} dB at {hertz:g} Hz" for hertz, level in zip(ear.frequencies, ear.levels, strict=True)]
        ears.append(f"{side} ear {', '.join(levels)}")
    return "; ".join(ears)
