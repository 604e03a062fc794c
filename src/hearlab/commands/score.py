"""`hearlab score`: a pair of files with a metric."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hearlab.commands import Commands


def add(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("score", help="score a pair of files with a metric")
    metrics = parser.add_subparsers(required=True, metavar="METRIC")
    haspi = metrics.add_parser(
        "haspi",
        help="intelligibility of speech (HASPI v2, better ear)",
        description="Better-ear HASPI v2 of a processed signal against its clean reference, for one listener. "
        "A mono file is heard with both ears.",
    )
    _arguments(haspi, "clean speech", "the scene S06001")
    haspi.add_argument("--level", type=float, default=100.0, help="dB SPL of a signal with RMS 1 (default: 100)")
    haspi.set_defaults(run=_haspi)
    haaqi = metrics.add_parser(
        "haaqi",
        help="quality of music (HAAQI v1)",
        description="HAAQI v1 of processed music against its reference, for one listener, in both ears. A mono file is "
        "heard with both ears. The factor in a .txt beside a FLAC file is applied.",
    )
    _arguments(haaqi, "the original stem or music", "the song")
    haaqi.add_argument(
        "--level", type=float, help="dB SPL of a signal with RMS 1 (default: the reference at 65 dB SPL)"
    )
    haaqi.set_defaults(run=_haaqi)


def _arguments(parser: argparse.ArgumentParser, reference: str, name: str) -> None:
    parser.add_argument("--reference", type=Path, required=True, help=f"{reference}, WAV or FLAC, any rate")
    parser.add_argument("--processed", type=Path, required=True, help="what the listener hears, WAV or FLAC, any rate")
    parser.add_argument("--listener", required=True, help="id in the listeners file, such as L0064")
    parser.add_argument("--listeners", type=Path, required=True, help="listeners.json")
    parser.add_argument("--seed-name", help=f"name whose md5 seeds the metric's noise, such as {name}")
    parser.add_argument("--json", action="store_true", help="print scores and features of both ears as JSON")


def _haspi(options: argparse.Namespace) -> None:
    from hearlab.metrics.files import score_haspi_files

    _score("HASPI", score_haspi_files, options)


def _haaqi(options: argparse.Namespace) -> None:
    from hearlab.metrics.files import score_haaqi_files

    _score("HAAQI", score_haaqi_files, options)


def _score(metric: str, function: Any, options: argparse.Namespace) -> None:
    from hearlab.listeners import find_listener, load_listeners

    listener = find_listener(load_listeners(options.listeners), options.listener, options.listeners)
    result = function(options.reference, options.processed, listener, level=options.level, seed_name=options.seed_name)
    if options.json:
        print(json.dumps(result, indent=1))
        return
    left, right = (result[ear]["score"] for ear in ("left", "right"))
    print(f"{metric} {result['score']:.4f} (left {left:.4f}, right {right:.4f})")
