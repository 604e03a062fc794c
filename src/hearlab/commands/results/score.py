"""`hearlab score`: a pair of files, a pair of the workspace, or a list of pairs with a metric."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hearlab.commands import Commands
from hearlab.scoring.tracks import CHALLENGE, METRICS, MUSIC_LEVELS, Metric

if TYPE_CHECKING:
    from hearlab.listeners import Listener


def add(commands: Commands) -> None:
    """Add the command to the parser: an action for each metric of the table of tracks."""
    parser = commands.add_parser(
        "score", help="score a pair of files, a scene or song, or a list of pairs with a metric"
    )
    actions = parser.add_subparsers(required=True, metavar="METRIC")
    for name, metric in METRICS.items():
        _add_metric(actions.add_parser(name, help=metric.about, description=_description(metric)), name, metric)


def _description(metric: Metric) -> str:
    text = f"{metric.about[0].upper()}{metric.about[1:]}: a processed signal against its reference, for one "
    text += "listener. A mono file is heard with both ears."
    if metric.stems:
        text += " The factor in a .txt beside a FLAC file is applied."
    return f"{text} Levels of two files are taken as they are; --scene scores by the pipeline's rule."


def _add_metric(own: argparse.ArgumentParser, name: str, metric: Metric) -> None:
    track = metric.track
    what = own.add_mutually_exclusive_group(required=True)
    what.add_argument("--reference", type=Path, help=f"{track.reference}, WAV or FLAC, any rate")
    what.add_argument(
        "--scene",
        "--song",
        metavar="NAME",
        help="a scene or song of the workspace: its own result, or --processed, scored as in the pipeline's table",
    )
    what.add_argument(
        "--pairs",
        type=Path,
        metavar="CSV",
        help="a list with the columns reference, processed, listener (or audiogram_left and audiogram_right), and "
        "seed_name if wanted",
    )
    own.add_argument("--processed", type=Path, help="what the listener hears, WAV or FLAC, any rate")
    own.add_argument("--listener", help="id in the listeners file, such as L0064")
    own.add_argument("--listeners", type=Path, help="listeners.json, or a table of audiograms (docs/own-data.md)")
    own.add_argument(
        "--audiogram",
        metavar="LEVELS",
        help="instead of a listener: levels in dB HL at 250, 500, 1000, 2000, 4000 and 6000 Hz, such as "
        "20,20,30,40,50,60, of both ears or of the left one",
    )
    own.add_argument("--audiogram-right", metavar="LEVELS", help="those of the right ear")
    own.add_argument("-o", "--output", type=Path, metavar="CSV", help="of --pairs: the scores; what is in it is kept")
    own.add_argument(
        "--seed-name",
        metavar="NAME",
        help=f"of two files: the name whose md5 seeds the metric's noise, such as {track.seed} (default: the "
        "reference's name without its suffix, as in --pairs, so that a second call gives the same score); each name "
        "draws other noise",
    )
    own.add_argument("--json", action="store_true", help="print scores and features of both ears as JSON")
    default = "the reference at 65 dB SPL" if track.level is None else f"{track.level:g}"
    levels = own.add_mutually_exclusive_group()
    levels.add_argument("--level", type=float, help=f"dB SPL of a signal with RMS 1 (default: {default})")
    if metric.stems:
        levels.add_argument(
            "--music-level",
            choices=MUSIC_LEVELS,
            help="which RMS of the reference is at 65 dB SPL: that at 24 kHz, as published scores were made "
            "(challenge, the default), or that at its own rate, as pyclarity 0.9.0 takes it (current)",
        )
    own.set_defaults(run=_score, metric=name, checkout=True)


# What goes with each way: options that it needs, and those that it can have.
WAYS = {
    "reference": (
        ("processed",),
        ("listener", "listeners", "audiogram", "audiogram_right", "seed_name", "level", "music_level"),
    ),
    "scene": (("listener",), ("processed", "listeners")),
    "pairs": (("output",), ("listeners", "level", "music_level")),
}
OPTIONS = tuple(dict.fromkeys(name for way in WAYS.values() for names in way for name in names))


def _score(options: argparse.Namespace) -> int | None:
    from hearlab.errors import ParameterError

    way = next(name for name in WAYS if getattr(options, name) is not None)
    needed, possible = WAYS[way]
    for name in OPTIONS:
        given, option = getattr(options, name, None) is not None, f"--{name.replace('_', '-')}"
        if name in needed and not given:
            raise ParameterError(f"hearlab score {options.metric} --{way}", f"needs {option}")
        if given and name not in (*needed, *possible):
            raise ParameterError(f"hearlab score {options.metric} --{way}", f"does not take {option}")
    if way == "pairs":
        return _score_list(options)
    result = _score_scene(options) if way == "scene" else _score_files(options)
    if options.json:
        print(json.dumps(result, indent=1))
        return None
    left, right = (result[ear]["score"] for ear in ("left", "right"))
    print(f"{options.metric.upper()} {result['score']:.4f} (left {left:.4f}, right {right:.4f})")
    return None


def _score_scene(options: argparse.Namespace) -> dict[str, Any]:
    from hearlab.lab.pair_scores import score_pair

    return score_pair(
        options.metric, options.scene, options.listener, processed=options.processed, listeners=options.listeners
    )


def _score_files(options: argparse.Namespace) -> dict[str, Any]:
    from hearlab.compute.process import OneThread
    from hearlab.metrics.files import score_files
    from hearlab.names import seed_name

    listener = _listener(options)
    named = options.seed_name or seed_name(options.reference)  # as a row of --pairs
    with OneThread() as threads:  # as units have it: more change the last bits
        METRICS[options.metric].load()
        threads.limit()
        result = score_files(
            options.metric,
            options.reference,
            options.processed,
            listener,
            **_levels(options),
            seed_name=named,
            tell=lambda text: print(f"{options.metric}: {text}", file=sys.stderr),
        )
    return {**result, "seed_name": named}


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


def _levels(options: argparse.Namespace) -> dict[str, Any]:
    metric = METRICS[options.metric]
    rule = {"music_level": options.music_level or CHALLENGE} if metric.stems else {}
    return {"level": metric.track.level if options.level is None else options.level, **rule}


def _score_list(options: argparse.Namespace) -> int:
    from hearlab.compute.process import sigterm_interrupts
    from hearlab.errors import ParameterError
    from hearlab.lab.pair_lists import score_list
    from hearlab.listeners import load_listeners

    def listeners() -> tuple[dict[str, Listener], Path]:
        if options.listeners is None:
            raise ParameterError("--pairs", "needs --listeners for the column listener", wanted="a listeners.json")
        return load_listeners(options.listeners), options.listeners

    with sigterm_interrupts():
        report = score_list(options.metric, options.pairs, options.output, listeners, **_levels(options))
    failed = [{"line": one.line, "cause": one.cause} for one in report.failed]
    if options.json:
        counts = {"scored": report.scored, "before": report.before, "mean": report.mean, "failed": failed}
        print(json.dumps(counts | {"output": str(options.output)}, indent=1))
    else:
        mean = "" if report.mean is None else f", mean {options.metric.upper()} {report.mean:.4f}"
        print(f"{report.scored} of {report.scored + len(failed)} pairs have scores in {options.output}{mean}")
    for one in report.failed:
        print(f"{options.pairs}: line {one.line}: {one.cause}", file=sys.stderr)
    return int(bool(failed))
