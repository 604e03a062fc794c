"""Writes the site: chooses what gets a listening page, measures its sounds, renders the templates."""

from __future__ import annotations

import filecmp
import importlib.util
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from hearlab.errors import InputError
from hearlab.files import atomic_path, synced_later, write_text
from hearlab.listeners import Listener
from hearlab.report.experiments.listing import AVERAGES, experiments
from hearlab.report.leaderboard.entries import FOLDER as LEADERBOARD
from hearlab.report.leaderboard.entries import load_entries
from hearlab.report.site.audiogram import write_audiograms
from hearlab.report.site.boards import boards
from hearlab.report.site.charts import charts
from hearlab.report.site.made_files import MadeFiles
from hearlab.report.site.other_sounds import OtherSounds
from hearlab.report.site.pages import featured, file_name, listening_values, track_rows
from hearlab.report.site.results import Results, TrackResults, read_results
from hearlab.report.site.shown_result import ScoredFiles, shown_result
from hearlab.report.site.sound.hearing_loss import loss_of
from hearlab.report.site.sounds import Sounds
from hearlab.report.site.sweep_charts import shown_parameters, sweep_charts
from hearlab.report.site.versions import Group, version_groups
from hearlab.scoring.tracks import TRACKS
from hearlab.text import few, printable_lines

MARK = ".hearlab-site"  # a folder that has it may be written over
PAGES = 100  # listening pages of a track, by default
LISTENERS = 6  # heard on one page
NAMED = 4  # scenes or songs in a line
Heard = dict[tuple[str, str], tuple[list[str], list[Group]]]
"""What gets a listening page: (track, scene or song) -> the listeners whose versions it has, and its sounds."""
ASSETS = ("style.css", "engines.js", "player.js", "blind.js", "tables.js", "charts.js")


@dataclass(frozen=True)
class Site:
    """What was written.

    Attributes:
        index: the page to open.
        pages: listening pages.
        measured: sounds that were read; those that had not changed were not.
        problems: sounds that could not be read, and notes on what is missing.
        missing: sounds that pages lack because their files are not there, one line for each track.
    """

    index: Path
    pages: int
    measured: int
    problems: tuple[str, ...]
    missing: tuple[str, ...] = ()


def build_site(
    root: Path,
    out: Path,
    *,
    against: str | None = None,
    portable: bool = False,
    pages: int | None = None,
    only: Sequence[str] = (),
    hearing_loss: bool = False,
) -> Site:
    """Write the site of the results in the workspace `root` into the folder `out`.

    Args:
        root: the workspace.
        out: a new or empty folder, or that of an older site, which is brought up to date.
        against: a revision, experiment, file or folder to compare with; else with the unprocessed signals.
        portable: copy all sounds into the site, as FLAC.
        pages: listening pages of a track at most; default: PAGES.
        only: scenes and songs that get one, instead.
        hearing_loss: let each scene and song be heard through the hearing losses of its listeners, too.

    Raises:
        InputError: there are no results, `out` is something else, `only` names nothing known.
    """
    results = read_results(root, against)
    _claim(out)
    _check_names(only, results)
    with synced_later():
        made = MadeFiles(out)
        made.drop_altered()
        _assets(out)
        heard: Heard = {}
        others = OtherSounds(results, out)
        for one in results.tracks:
            for unit in _units(one, pages, only):
                listeners = _listeners(one, unit)
                known = {name: loss_of(one.listeners[name]) for name in listeners if name in one.listeners}
                losses = known if hearing_loss else None
                other = others.versions(one.track, unit, listeners)
                groups = version_groups(results, one.track, unit, listeners, other, losses)
                heard[one.track.name, unit] = listeners, groups
        written = [page for page, _ in _menu(results)]
        written += [f"{TRACKS[track].cluster}s/{file_name(unit)}" for track, unit in heard]
        made.expect(written)
        sounds = Sounds(root, out, portable=portable)
        try:
            problems = sounds.measure([group for _, groups in heard.values() for group in groups])
        finally:
            made.note()  # what an interrupted run has measured is not measured again
        missing = _missing(heard)
        if others.absent and results.against is not None:
            missing += (f"{results.against.label}: sounds that DVC's cache here lacks: {others.absent}",)
        _Writer(results, out, heard, sounds, [*problems, *missing]).write()
        made.drop_pages(written)
        others.sweep()
        made.note()
    return Site(out / "index.html", len(heard), sounds.measured, (*results.notes, *problems), missing)


def _missing(heard: Heard) -> tuple[str, ...]:
    """How many sounds are not here, one line for each track."""
    lines = []
    for track in TRACKS.values():
        gone = {
            (unit, version)
            for (name, unit), (_, groups) in heard.items()
            if name == track.name
            for group in groups
            for version in group.missing
        }
        if gone:
            units = few(sorted({unit for unit, _ in gone}), NAMED)
            are, them = ("s are", "them") if len(gone) > 1 else (" is", "it")
            advice = "dvc pull or dvc repro brings"
            lines.append(f"{track.name}: {len(gone)} sound{are} not here ({track.cluster}s: {units}); {advice} {them}")
    return tuple(lines)


def _claim(out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise InputError(out, "is no folder", advice="choose another with --out")
    if out.is_dir() and any(out.iterdir()) and not (out / MARK).exists():
        wanted = "a new folder or an older site"
        raise InputError(out, "holds other files", wanted=wanted, advice="choose another with --out")
    out.mkdir(parents=True, exist_ok=True)
    (out / MARK).touch()


def _units(results: TrackResults, pages: int | None, only: Sequence[str]) -> list[str]:
    """Scenes or songs that get a page: all of a few, else those that gain and lose most, and a regular sample."""
    units = list(results.units)
    if only:
        return [unit for unit in units if unit in only]
    most = PAGES if pages is None else pages
    if len(units) <= most:
        return units
    comparison = results.headline.comparison
    pairs = [*comparison.winners, *comparison.losers] if comparison else []
    chosen = dict.fromkeys([one.pair[0] for one in pairs][:most])
    rest = [unit for unit in units if unit not in chosen]
    wanted = most - len(chosen)
    chosen |= dict.fromkeys(rest[place * len(rest) // wanted] for place in range(wanted))
    return [unit for unit in units if unit in chosen]


def _check_names(only: Sequence[str], results: Results) -> None:
    known = [unit for track in results.tracks for unit in track.units]
    for name in only:
        if name not in known:
            problem = "no scene or song of that name was scored"
            raise InputError("--only", problem, found=name, wanted=f"such as {known[0]}")


def _listeners(results: TrackResults, unit: str) -> list[str]:
    """The listeners whose versions a page has: all if they are few, else from the lowest score to the highest."""
    names, scores = results.units[unit], results.headline
    if len(names) <= LISTENERS:
        return names
    names = sorted(names, key=lambda name: scores.score(scores.enhanced, (unit, name)) or 0.0)
    return [names[place * (len(names) - 1) // (LISTENERS - 1)] for place in range(LISTENERS)]


def _assets(out: Path) -> None:
    found = importlib.util.find_spec("plotly")
    if found is None or found.origin is None:
        raise InputError("plotly", "is not installed", advice="pip install 'hearlab[pipeline]'")
    source = Path(found.origin).parent / "package_data" / "plotly.min.js"
    target = out / "assets" / "plotly.min.js"
    if not target.exists() or not filecmp.cmp(source, target, shallow=False):
        with atomic_path(target) as temporary:
            shutil.copyfile(source, temporary)
    for name in ASSETS:
        content = resources.files("hearlab.report.site").joinpath("assets", name).read_text(encoding="utf-8")
        _write_changed(out / "assets" / name, content)


def _write_changed(path: Path, text: str) -> None:
    """Write a file unless it has that content: to replace one takes longer than to make a page."""
    try:
        same = not path.is_symlink() and path.read_bytes() == text.encode("utf-8")
    except OSError:
        same = False
    if not same:
        write_text(path, text)


def _shown(value: Any) -> Any:
    """What a template writes: texts come from files and from git; markup is the templates' own."""
    if type(value) is not str or (value.isascii() and value.isprintable()):  # nearly all, and much quicker asked
        return value
    return printable_lines(value)


def _menu(results: Results) -> list[tuple[str, str]]:
    """The pages in a site's own folder, and what the menu calls them."""
    tracks = [(f"{one.track.name}.html", one.track.name.capitalize()) for one in results.tracks]
    return [
        ("index.html", "Results"),
        *tracks,
        ("leaderboard.html", "Leaderboard"),
        ("experiments.html", "Experiments"),
    ]


class _Writer:
    """Renders the pages of one site."""

    def __init__(self, results: Results, out: Path, heard: Heard, sounds: Sounds, problems: Sequence[str]) -> None:
        self.results, self.out, self.heard, self.sounds, self.problems = results, out, heard, sounds, problems
        self.experiments = experiments(results.root)
        entries, self.faults = load_entries(results.root / LEADERBOARD)
        self.boards = boards(entries, results)
        self.environment = Environment(
            loader=PackageLoader("hearlab.report.site"),
            autoescape=True,
            finalize=_shown,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self.common = {"pages": _menu(results), "shown": shown_result(results, self.experiments[0])}

    def write(self) -> None:
        tracks = []
        self.drawn: list[Listener] = []  # whose audiograms pages show
        for one in self.results.tracks:
            self._track(one)
            address = partial(self._address, one)
            tracks.append((one, featured(one, address), charts(one, address)[:1]))
            self._listening(one)
        write_audiograms(self.out, self.drawn)
        notes = [*self.results.notes, *self.problems]
        figures = [figure for _, _, own in tracks for figure in own]
        self._render("index.html", "index.html", tracks=tracks, notes=notes, all_figures=figures)
        self._experiments()
        self._render("leaderboard.html", "leaderboard.html", boards=self.boards, faults=map(str, self.faults))

    def _address(self, results: TrackResults, unit: str) -> str | None:
        """Address of a listening page from a page in the site's own folder."""
        track = results.track
        return f"{track.cluster}s/{file_name(unit)}" if (track.name, unit) in self.heard else None

    def _track(self, results: TrackResults) -> None:
        address = partial(self._address, results)
        columns, details, rows = track_rows(results, address)
        self._render(
            f"{results.track.name}.html",
            "track.html",
            results=results,
            charts=charts(results, address),
            columns=columns,
            details=details,
            rows=rows,
            address=address,
            unheard=sum(address(unit) is None for unit in results.units),
        )

    def _listening(self, results: TrackResults) -> None:
        track = results.track
        folder = self.out / f"{track.cluster}s"
        scored = ScoredFiles(self.results.root, track)
        drawn: set[str] = set()
        for (name, unit), (shown, groups) in self.heard.items():
            if name != track.name:
                continue
            page = folder / file_name(unit)
            values = listening_values(results, unit, groups, shown, self.sounds, page, scored)
            self._render(str(page.relative_to(self.out)), "listen.html", here=f"{track.name}.html", **values)
            drawn |= {name for name in shown if name in results.listeners}
        self.drawn += [results.listeners[name] for name in sorted(drawn)]

    def _experiments(self) -> None:
        found, differing = self.experiments
        parameters = shown_parameters(found, differing)
        scores = [name for name in AVERAGES if any(name in one.scores for one in found)]
        self._render(
            "experiments.html",
            "experiments.html",
            experiments=found,
            parameters=parameters,
            scores=scores,
            charts=sweep_charts(found, parameters, scores),
        )

    def _render(self, page: str, template: str, *, here: str | None = None, **values: Any) -> None:
        up = "../" * page.count("/")
        text = self.environment.get_template(template).render(**self.common, here=here or page, up=up, **values)
        _write_changed(self.out / page, text)
