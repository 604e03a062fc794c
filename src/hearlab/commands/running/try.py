# ruff: noqa: N999 - the command has the name of a keyword, and modules have those of their commands
"""`hearlab try`: a few pairs of a scene or song, enhanced and scored at once."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from hearlab.commands import Commands
from hearlab.commands.running.stage import crashes_say_where, own_system
from hearlab.kernels.arithmetic import own_system_is_native, release
from hearlab.kernels.retained_memory import objects_stay

if TYPE_CHECKING:
    from hearlab.lab.laboratory import Lab, Trial


def add(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "try",
        help="enhance and score a few pairs at once, without DVC; --watch does it after each change of the code",
        description="The pipeline's own functions, in one process: the numbers are those that `dvc repro` would give. "
        "Scores are compared with the baseline's and with the last committed result. The sound is kept in "
        ".hearlab/try; no result of the workspace changes.",
    )
    parser.add_argument("name", metavar="SCENE", help="such as S06001, or a song, or the beginning of its name")
    parser.add_argument("listeners", metavar="LISTENER", nargs="+", help="such as L0001")
    parser.add_argument(
        "-S", "--set-param", metavar="KEY=VALUE", action="append", default=[], help="as in dvc exp run; repeatable"
    )
    parser.add_argument("--watch", action="store_true", help="again after each change of code or params.yaml")
    parser.add_argument("--draw", action="store_true", help="draw the spectrograms beside the sounds")
    parser.add_argument("--open", action="store_true", help="draw the spectrograms and show them")
    parser.add_argument("--json", action="store_true", help="print it as JSON")
    parser.add_argument(
        "--debug", action="store_true", default=argparse.SUPPRESS, help="show the traceback of the system's error"
    )
    parser.set_defaults(run=_try, checkout=True)


def _try(options: argparse.Namespace) -> int | None:
    chosen = [text.partition("=")[2] for text in options.set_param if text.lstrip("+").startswith("enhance.system=")]
    if options.watch:
        from hearlab.lab.watch import watch

        first = [*_arguments(options), *(["--open"] if options.open else [])]
        then = [*_arguments(options), *(["--draw"] if options.open else [])]
        return watch(first, then, Path.cwd(), chosen[-1] if chosen else None)
    if own_system(chosen[-1] if chosen else None) and own_system_is_native():
        release()  # before numpy is imported: a system of one's own runs as fast as the machine can, as in the stage

    crashes_say_where()
    with objects_stay():
        from hearlab.lab.comparisons import baseline_scores, committed_scores
        from hearlab.lab.laboratory import open_lab
        from hearlab.lab.own_errors import OwnCodeError
        from hearlab.lab.trials import Compared, trials_text, trials_values

    # What a system prints comes through, beside the JSON.
    with contextlib.redirect_stdout(sys.stderr) if options.json else contextlib.nullcontext():
        lab = open_lab(Path.cwd(), *options.set_param)
        with contextlib.closing(lab):
            try:
                trials = [lab.trial(options.name, listener) for listener in dict.fromkeys(options.listeners)]
            except OwnCodeError as error:
                if options.debug:
                    raise
                raise error.advised("hearlab try --debug shows the traceback") from error.__cause__
            committed = committed_scores(lab.root, lab.params.dataset, trials[0].track)
            found = [
                Compared(
                    trial,
                    baseline_scores(lab, trial.name, trial.listener),
                    committed.scores(trial.name, trial.listener),
                )
                for trial in trials
            ]
    system = lab.params.enhance.system
    if options.json:
        print(json.dumps(trials_values(found, committed, system), indent=1, ensure_ascii=False))
    else:
        print(trials_text(found, committed, system))
    if options.draw or options.open:
        _draw(lab, trials, show=options.open, quiet=options.json)
    return None


def _draw(lab: Lab, trials: list[Trial], *, show: bool, quiet: bool) -> None:
    import webbrowser

    from hearlab.lab.picture import draw_trial

    for trial in trials:
        path = (lab.root / trial.sound).with_suffix(".png")
        draw_trial(lab, trial, path)
        print(f"picture: {path.relative_to(lab.root).as_posix()}", file=sys.stderr if quiet else sys.stdout)
        if show:
            webbrowser.open(path.as_uri())


def _arguments(options: argparse.Namespace) -> list[str]:
    """The command line of one run."""
    flags = [f"--{name}" for name in ("debug", "draw", "json") if getattr(options, name)]
    overrides = [part for text in options.set_param for part in ("-S", text)]
    return ["try", *flags, *overrides, "--", options.name, *options.listeners]
