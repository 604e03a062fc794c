"""The averaged scores as a small table for the terminal."""

from __future__ import annotations

import csv
from collections import defaultdict
from pathlib import Path
from statistics import fmean

from hearlab.errors import InputError
from hearlab.files import read_json

# Upper edges in dB of the SNR bands of the table; CEC2 draws SNRs from -12 to 6 dB.
SNR_EDGES = (-6.0, 0.0, 6.0)


def score_table(folder: Path) -> str:
    """Table of mean HASPI, overall and by SNR band, of the last run whose results lie in `folder`.

    Raises:
        InputError: no results are there yet, or they cannot be read.
    """
    averages = read_json(folder / "speech.json")["haspi"]
    conditions = [name for name in ("unprocessed", "enhanced") if name in averages]
    if not conditions:
        raise InputError(folder / "speech.json", "holds no scores", advice="run dvc repro")
    bands = _by_snr(folder / "plots" / "haspi_snr.csv")
    names = list(bands)
    header = ["better-ear HASPI", "all", *names]
    rows = [
        [name, f"{averages[name]:.4f}", *(f"{fmean(bands[band][name]):.4f}" for band in names)] for name in conditions
    ]
    if "improvement" in averages:
        gains = [fmean(bands[b]["enhanced"]) - fmean(bands[b]["unprocessed"]) for b in names]
        rows.append(["improvement", f"{averages['improvement']:+.4f}", *(f"{gain:+.4f}" for gain in gains)])
    table = [header, *rows]
    widths = [max(len(row[column]) for row in table) for column in range(len(header))]
    lines = [
        "  ".join([row[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True))])
        for row in table
    ]
    lines.insert(1, "-" * len(lines[0]))
    return "\n".join([*lines, f"({averages['pairs']} scene-listener pairs; 1 = all words understood)"])


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
