"""A sweep as a whole: what is there is taken, the rest is run, and a table ends it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from hearlab.errors import InputError
from hearlab.report.experiments.listing import AVERAGES, Experiment, differing_only
from hearlab.report.experiments.text import experiments_text
from hearlab.scoring.tracks import ENHANCED, METRICS
from hearlab.sweep.constructors import check_constructors
from hearlab.sweep.left_over import remove_left_over
from hearlab.sweep.points import Base, Point, grid, only_one, points, present, untracked_code
from hearlab.sweep.pool import FOLDER, Ran, run_points
from hearlab.sweep.search import Search, axes, corners
from hearlab.text import clock_text, few, printable, terminal_columns

LAST_LINES = 12  # of a failed experiment's log
NAMED = 3  # experiments in a line

Say = Callable[[str], None]


def run_grid(root: Path, overrides: Sequence[str], say: Say, *, jobs: int = 1, metric: str | None = None) -> bool:
    """Run the experiments of a grid that are not there yet, and say what came out; gives whether all have scores.

    Raises:
        InputError: a change is wrong, another sweep is under way, or there is no pipeline or commit.
        KeyboardInterrupt: interrupted; the same sweep goes on where it was.
    """
    wanted = points(Base.of(root), grid(overrides))
    with only_one(root / FOLDER):
        remove_left_over(root)
        before = present(root, wanted)
        todo = [point for point in wanted if point.name not in before]
        check_constructors(root, todo)
        _announce(root, say, len(wanted), len(before))
        failed = list(_run(root, todo, jobs, say))
        found = list(present(root, wanted).values()) if todo else list(before.values())
    _end(say, found, metric)
    return not failed


def run_search(root: Path, overrides: Sequence[str], metric: str, trials: int, seed: int, say: Say) -> bool:
    """Search with Optuna, an experiment for each trial, and say what came out; gives whether any has a score.

    Raises:
        InputError, KeyboardInterrupt: as `run_grid`.
    """
    searched, fixed = axes(overrides)
    base = Base.of(root)
    check_constructors(root, points(base, corners(searched, fixed)))
    title = _title(metric)
    tried: dict[str, Point] = {}

    def score(changes: Sequence[tuple[str, ...]]) -> Iterator[float | None]:
        for point in points(base, changes, fixed):
            tried[point.name] = point
            before = present(root, [point])
            for _ in _run(root, [] if before else [point], 1, say):
                pass
            found = before or present(root, [point])
            yield found[point.name].scores.get(title) if point.name in found else None

    with only_one(root / FOLDER):
        remove_left_over(root)
        search = Search(root, base, searched, fixed, metric, seed)
        known = len(search.study.trials)
        say(f"Searching for the best {title}: {trials} trials" + (f", {known} known already" if known else ""))
        for number, changes, value in search.run(trials, score):
            result = "failed" if value is None else f"{title} {value:.4f}"
            say(f"trial {number + 1} of {trials}: {printable(', '.join(changes))}: {result}")
        if (count := len(search.study.trials)) < trials:
            say(f"all that there is to try was tried, in {count} trials")
        done = [tuple([*fixed, *changes]) for changes in search.changes()]
        found = present(root, points(base, done, fixed))
    _end(say, list(found.values()), metric)
    return bool(found)


def _announce(root: Path, say: Say, count: int, before: int) -> None:
    known = f", {before} of them known already" if before else ""
    say(f"{count} experiment{'' if count == 1 else 's'}{known}")
    if missing := untracked_code(root):
        say(f"warning: git does not know {few(missing, 3)}: experiments do not see what is not added (git add)")


def _run(root: Path, todo: Sequence[Point], jobs: int, say: Say) -> Iterator[Ran]:
    """Run experiments and say how each ended; gives those that failed."""
    for number, ran in enumerate(run_points(root, todo, jobs), 1):
        place = f"[{number}/{len(todo)}] " if len(todo) > 1 else ""
        name = f"{place}{ran.point.name}: {printable(', '.join(ran.point.changes)) or 'nothing changed'}"
        one = present(root, [ran.point], any_name=False).get(ran.point.name)
        if ran.error is None and one is not None:
            scores = ", ".join(f"{title} {score:.4f}" for title, score in one.scores.items())
            say(f"{name}: {scores} ({clock_text(ran.seconds)})")
            ran.log.unlink(missing_ok=True)
            continue
        say(f"{name}: failed: {ran.error or 'it has no scores'}")
        if ran.log.is_file():
            lines = ran.log.read_text(encoding="utf-8", errors="replace").splitlines()
            say("\n".join(f"    {printable(line)}" for line in lines[-LAST_LINES:]))
            say(f"    all of it: {ran.log.relative_to(root)}")
        yield ran


def _title(metric: str) -> str:
    """The average of a metric as AVERAGES names it."""
    track = METRICS[metric].track
    wanted = (track.name, metric, track.average_key(ENHANCED))
    return next(title for title, one in AVERAGES.items() if one == wanted)


def _end(say: Say, found: Sequence[Experiment], metric: str | None) -> None:
    if not found:
        return
    say("")
    say(experiments_text(*differing_only(list(found)), terminal_columns()))
    say("")
    for name in [metric] if metric else list(METRICS):
        title = _title(name)
        scored = [one for one in found if title in one.scores]
        if scored:
            say(best_text(title, scored))


def best_text(title: str, scored: Sequence[Experiment]) -> str:
    """Which of some experiments has the best average, in a line; equal ones are no better."""
    best = max(one.scores[title] for one in scored)
    names = [one.name for one in scored if one.scores[title] == best]
    if len(names) == len(scored) > 1:
        return f"{title}: {best:.4f} in each of them, so that none is the best"
    others = f" (as good: {few(names[1:], NAMED)})" if names[1:] else ""
    return f"best {title}, {best:.4f}: dvc exp apply {names[0]}{others}"


def check_pipeline(root: Path) -> None:
    """Raises InputError if the folder is not the root of a repository with a pipeline."""
    if not (root / "dvc.yaml").is_file():
        raise InputError(root / "dvc.yaml", "no such file", advice="run from the root of the repository")
