"""The averaged scores as a small table for the terminal."""

from __future__ import annotations

import csv
import unicodedata
from collections import defaultdict
from pathlib import Path
from statistics import fmean

from hearlab.errors import InputError
from hearlab.files import read_json
from hearlab.scores.groups import SNR_EDGES


def score_tables(folder: Path) -> str:
    """Tables of both tracks, of the last runs whose results lie in `folder`; a track without results is left out.

    Raises:
        InputError: no results are there yet, or they cannot be read.
    """
    tables = [
        table(folder)
        for name, table in (("speech", speech_table), ("music", music_table))
        if (folder / f"{name}.json").exists()
    ]
    if not tables:
        raise InputError(folder, "holds no scores", wanted="speech.json or music.json", advice="run dvc repro")
    return "\n\n".join(tables)


def speech_table(folder: Path) -> str:
    """Mean HASPI, overall and by SNR band.

    Raises:
        InputError: the results cannot be read.
    """
    averages = read_json(folder / "speech.json")["haspi"]
    conditions = [name for name in ("unprocessed", "enhanced") if name in averages]
    if not conditions:
        raise InputError(folder / "speech.json", "holds no scores", advice="run dvc repro")
    bands = _by_snr(folder / "plots" / "haspi_snr.csv")
    names = list(bands)
    rows = [["better-ear HASPI", "all", *names]]
    rows += [
        [name, f"{averages[name]:.4f}", *(f"{fmean(bands[band][name]):.4f}" for band in names)] for name in conditions
    ]
    if "improvement" in averages:
        gains = [fmean(bands[b]["enhanced"]) - fmean(bands[b]["unprocessed"]) for b in names]
        rows.append(["improvement", f"{averages['improvement']:+.4f}", *(f"{gain:+.4f}" for gain in gains)])
    return f"{_table(rows)}\n({averages['pairs']} scene-listener pairs; 1 = all words understood)"


def music_table(folder: Path) -> str:
    """Mean HAAQI by song and stem.

    Raises:
        InputError: the results cannot be read.
    """
    averages = read_json(folder / "music.json")["haaqi"]
    stems = list(averages["stems"])
    songs = _by_song(folder / "music.csv", stems)
    rows = [["HAAQI", "all", *stems]]
    rows += [[song[:40], f"{score:.4f}", *songs.get(song, [])] for song, score in averages["songs"].items()]
    rows.append(["all songs", f"{averages['score']:.4f}", *(f"{averages['stems'][stem]:.4f}" for stem in stems)])
    return f"{_table(rows)}\n({averages['pairs']} song-listener pairs, both ears; 1 = like the original)"


def _table(rows: list[list[str]]) -> str:
    """Lines with a rule under the first; short rows end early."""
    columns = max(len(row) for row in rows)
    rows = [[*row, *[""] * (columns - len(row))] for row in rows]
    widths = [max(_width(row[column]) for row in rows) for column in range(columns)]
    lines = [
        "  ".join(
            [
                row[0] + " " * (widths[0] - _width(row[0])),
                *(cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True)),
            ]
        )
        for row in rows
    ]
    lines.insert(1, "-" * sum(widths, 2 * (columns - 1)))
    return "\n".join(lines)


def _width(text: str) -> int:
    """Columns that a text takes on a terminal: East Asian letters take two, combining marks none."""
    return sum(
        0 if unicodedata.combining(letter) else 2 if unicodedata.east_asian_width(letter) in "WF" else 1
        for letter in text
    )


def _by_song(path: Path, stems: list[str]) -> dict[str, list[str]]:
    """Mean score of each stem, as text, by song."""
    scores: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    try:
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                for stem in stems:
                    scores[row["song"]][stem] += [float(row[f"left_{stem}"]), float(row[f"right_{stem}"])]
    except FileNotFoundError:
        return {}  # as in `_by_snr`
    except (KeyError, ValueError) as error:
        raise InputError(path, "is not a table of scores", found=str(error), advice="run dvc repro") from None
    return {song: [f"{fmean(values[stem]):.4f}" for stem in stems] for song, values in scores.items()}


def _by_snr(path: Path) -> dict[str, dict[str, list[float]]]:
    """Scores by SNR band and condition; bands without scores are left out."""
    bands: dict[str, dict[str, list[float]]] = {_band(edge): defaultdict(list) for edge in SNR_EDGES}
    try:
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                edge = next((edge for edge in SNR_EDGES if float(row["snr"]) <= edge), SNR_EDGES[-1])
                bands[_band(edge)][row["condition"]].append(float(row["haspi"]))
    except FileNotFoundError:
        return {}  # a clone holds the averages (in git) before `dvc pull` brings the tables
    except (KeyError, ValueError) as error:
        raise InputError(path, "is not a table of scores", found=str(error), advice="run dvc repro") from None
    return {name: band for name, band in bands.items() if band}


def _band(edge: float) -> str:
    return f"{edge - 6:+.0f} to {edge:+.0f} dB"
