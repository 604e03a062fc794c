"""`hearlab score`: a pair of files with a metric."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from hearlab.commands import Commands
from hearlab.scores.tracks import CHALLENGE, METRICS, MUSIC_LEVELS

if TYPE_CHECKING:
    from hearlab.listeners import Listener


def add(commands: Commands) -> None:
    """Add the command to the parser: an action for each metric of the table of tracks."""
    parser = commands.add_parser("score", help="score a pair of files with a metric")
    actions = parser.add_subparsers(required=True, metavar="METRIC")
    for name, metric in METRICS.items():
        track = metric.track
        description = f"{metric.about[0].upper()}{metric.about[1:]}: a processed signal against its reference, for one "
        description += "listener. A mono file is heard with both ears."
        if metric.stems:
            description += " The factor in a .txt beside a FLAC file is applied."
        own = actions.add_parser(name, help=metric.about, description=description)
        own.add_argument("--reference", type=Path, required=True, help=f"{track.reference}, WAV or FLAC, any rate")
        own.add_argument("--processed", type=Path, required=True, help="what the listener hears, WAV or FLAC, any rate")
        own.add_argument("--listener", help="id in the listeners file, such as L0064")
        own.add_argument("--listeners", type=Path, help="listeners.json, or a table of audiograms (docs/own-data.md)")
        own.add_argument(
            "--audiogram",
            metavar="LEVELS",
            help="instead of a listener: levels in dB HL at 250, 500, 1000, 2000, 4000 and 6000 Hz, such as "
            "20,20,30,40,50,60, of both ears or of the left one",
        )
        own.add_argument("--audiogram-right", metavar="LEVELS", help="those of the right ear")
        own.add_argument("--seed-name", help=f"name whose md5 seeds the metric's noise, such as {track.seed}")
        own.add_argument("--json", action="store_true", help="print scores and features of both ears as JSON")
        default = "the reference at 65 dB SPL" if track.level is None else f"{track.level:g}"
        levels = own.add_mutually_exclusive_group()
        levels.add_argument(
            "--level", type=float, default=track.level, help=f"dB SPL of a signal with RMS 1 (default: {default})"
        )
        if metric.stems:
            levels.add_argument(
                "--music-level",
                choices=MUSIC_LEVELS,
                default=CHALLENGE,
                help="which RMS of the reference is at 65 dB SPL: that at 24 kHz, as published scores were made "
                "(challenge, the default), or that at its own rate, as pyclarity 0.9.0 takes it (current)",
            )
        own.set_defaults(run=_score, metric=name, checkout=True)


def _score(options: argparse.Namespace) -> None:
    from hearlab.metrics.files import score_files

    listener = _listener(options)
    result = score_files(
        options.metric,
        options.reference,
        options.processed,
        listener,
        level=options.level,
        **({"music_level": options.music_level} if "music_level" in options else {}),
        seed_name=options.seed_name,
    )
    if options.json:
        print(json.dumps(result, indent=1))
        return
    left, right = (result[ear]["score"] for ear in ("left", "right"))
    print(f"{options.metric.upper()} {result['score']:.4f} (left {left:.4f}, right {right:.4f})")


def _listener(options: argparse.Namespace) -> Listener:
    from hearlab.errors import ParameterError
    from hearlab.listeners import find_listener, load_listeners, typed_listener

    named = options.listener is not None or options.listeners is not None
    if named == (options.audiogram is not None) or (options.audiogram_right is not None and named):
        wanted = "--listener with --listeners, or --audiogram"
        raise ParameterError("hearlab score", "one listener is needed", wanted=wanted)
    if not named:
        return typed_listener(options.audiogram, options.audiogram_right)
    if options.listener is None or options.listeners is None:
        missing = "--listener" if options.listener is None else "--listeners"
        raise ParameterError("hearlab score", f"{missing} is missing", wanted="--listener with --listeners")
    return find_listener(load_listeners(options.listeners), options.listener, options.listeners)
