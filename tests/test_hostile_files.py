"""Every reader of files of others: whatever their fields hold, it gives a result or one line that can be printed."""

from __future__ import annotations

import copy
import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from hearlab.datasets.download.journal import read_journal
from hearlab.datasets.own.description import HEADER, read_files
from hearlab.datasets.packages.receipt import note_path, read_archive_note, read_receipt
from hearlab.datasets.song_lists import Song, read_segments, read_songs
from hearlab.datasets.stem_files import read_factor
from hearlab.datasets.submission import check_submission
from hearlab.errors import InputError
from hearlab.files import read_bytes, read_json, read_yaml
from hearlab.lab.pair_lists import list_columns, score_list, scores_of_list
from hearlab.listeners import load_listeners
from hearlab.names import LONGEST_NAME, safe_name
from hearlab.params import load_params
from hearlab.report.leaderboard.entries import load_entries, load_entry
from hearlab.report.leaderboard.text import leaderboard_text
from hearlab.scenes import build_rooms, render_scene
from hearlab.scenes.builder import build_scenes
from hearlab.scenes.hrirs import _loudspeakers
from hearlab.scenes.renderer import scene_inputs
from hearlab.scenes.source_lists import read_recordings
from hearlab.scoring.metadata import find_metadata
from hearlab.scoring.summary_text import score_tables
from hearlab.scoring.table import parse_scores
from hearlab.scoring.tracks import METRICS, TRACKS
from hearlab.stages.common import read_list
from hearlab.tracking.records import waiting
from hearlab.tracking.result import current_result
from hearlab.versions.lock import all_outs, deps, listing, lock_stages, stages_behind
from scene_configuration import scene_configuration

REPOSITORY = Path(__file__).resolve().parent.parent
HOSTILE = [
    "../../EV",
    "/etc/x",
    "a\\b",
    "..",
    ".",
    "",
    ".hidden",
    "-rf",
    "a\nok       b",
    "a\rb",
    "\x1b[2J\x1b]0;title\x07",
    "a\0b",
    "\ud800",
    "\N{RIGHT-TO-LEFT OVERRIDE}cba",
    "a\N{ZERO WIDTH SPACE}b",
    "a\N{LINE SEPARATOR}b",
    "a\N{HANGUL FILLER}b",
    "a\N{VARIATION SELECTOR-16}",
    "a.",
    "a ",
    " a",
    "e\N{COMBINING ACUTE ACCENT}",
    "x" * (LONGEST_NAME + 1),
    "\N{GRINNING FACE}" * 51,
]
FINE = ["S06001", "L0064", "Mötley - Über Alles?", "夜 - 歌", "a'b & c, (d): é!", "CIN_fan_014.wav", "x" * LONGEST_NAME]

# The smallest example takes minutes to find, and the first one tells enough.
FOUND = (Phase.explicit, Phase.reuse, Phase.generate)
NUMBERS = st.integers() | st.floats() | st.sampled_from([2**63, -(10**4000), 1e308, -1, 0, float("nan")])
LEAVES = st.none() | st.booleans() | NUMBERS | st.text(max_size=12) | st.sampled_from(HOSTILE)
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
)

LISTENER = {"name": "L1", "audiogram_cfs": [250, 500, 1000], "audiogram_levels_l": [1, 2, 3]}
LISTENER |= {"audiogram_levels_r": [1, 2, 3]}
SCENE: dict[str, Any] = {
    "dataset": "dev",
    "room": "R00001",
    "scene": "S00001",
    "target": {"name": "T1", "time_start": 1000, "time_end": 3000},
    "duration": 4000,
    "interferers": [
        {"position": 1, "time_start": 0, "time_end": 4000, "type": "noise", "name": "N.wav", "offset": 5},
        {"position": 2, "time_start": 0, "time_end": 4000, "type": "music", "name": "48/948.low.mp3", "offset": 5},
    ],
    "SNR": -3.0,
    "listener": {
        "rotation": [{"sample": 10, "angle": 5.0}, {"sample": 900, "angle": 30.0}],
        "hrir_filename": ["A-ED", "A-BTE_fr", "A-BTE_mid", "A-BTE_rear"],
    },
}
ROOM: dict[str, Any] = {
    "name": "R00001",
    "dimensions": "6x4x3",
    "target": {"position": [0.3, 2.0, 1.2], "view_vector": [0.0, 1.0, 0.0]},
    "listener": {"position": [-0.1, 3.5, 1.2], "view_vector": [0.0, -1.0, 0.0]},
    "interferers": [{"position": [0.5, 1.0, 1.2]} for _ in range(3)],
}
TARGETS = [{"wavfile": "T1", "nsamples": 90000, "dataset": "train"}]
NOISES = [{"ID": "N1", "class": "Fan", "nsamples": 400000, "dataset": "train"}]
MUSIC = [{"file": "48/948.low.mp3", "nsamples": 400000, "dataset": "train"}]
SPEECH = [{"speaker": "s1", "nsamples": 400000, "dataset": "train"}]
SEGMENT = {"objective_evaluation": {"start": 1, "end": 31}, "subjective_evaluation": {"start": 2, "end": 17}}
ENTRY = {
    "team": "Läb",
    "system": "mine",
    "track": "music",
    "dataset": "clarity",
    "split": "valid",
    "score": 0.3,
    "songs": {"A - B": 0.4},
    "origin": {"published": "a README"},
}
OWN = {**{name: value for name, value in ENTRY.items() if name != "songs"}, "track": "speech", "interval": [0.2, 0.4]}
OWN |= {"units": 10, "scored": "2026-11-21", "averages": {"hasqi": 0.4}}
OWN["origin"] = {"commit": "0" * 40, "lock": "1" * 32, "params": "2" * 32, "scores": "3" * 32}
OWN["origin"] |= {"data": {"data/x": "4" * 32}, "weights": {}}
LOCK = {
    "schema": "2.0",
    "stages": {
        "score_speech": {
            "cmd": "x",
            "deps": [{"path": "data/a", "md5": "1" * 32, "hash": "md5", "size": 1}],
            "params": {"params.yaml": {"evaluate.split": "dev", "seed": 1}},
            "outs": [{"path": "metrics/speech.csv", "md5": "1" * 32}],
        },
        "enhance_speech": {"cmd": "x", "deps": [{"path": "data/a"}], "outs": [{"path": "data/a", "md5": "2" * 32}]},
    },
}
RECORD = {"version": 1, "identity": "a" * 64, "name": "run", "created": 1, "params": {"a": 1}, "metrics": {"m": 0.5}}
RECORD |= {"tags": {"t": "x"}}
RECEIPT = [{"package": "p", "archive": "a", "archive_size": 1, "archive_md5": None}]
RECEIPT += [{"path": "a/b", "size": 1, "md5": "1" * 32}, {"files": 1, "bytes": 1, "complete": True}]
AVERAGES = {"haspi": {"pairs": 2, "enhanced": 0.5, "unprocessed": 0.4, "improvement": 0.1}}
UNCHECKED = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]


def rooms(path: Path) -> Any:
    return build_scenes(scene_configuration(**CONFIGURATION), read_list(path, "name"), path.parent)


CONFIGURATION = {
    "random_seed": 3,
    "dataset": "train",
    "target__target_speakers": "targets.json",
    "interferer__speech_interferers": "speech.json",
    "interferer__noise_interferers": "noise.json",
    "interferer__music_interferers": "music.json",
}


def inputs_of(path: Path) -> Any:
    scene = read_json(path)
    return scene_inputs(scene, path.parent)


def rendered(path: Path) -> Any:
    """Without sounds: the check of the scene, and the first file that is not there."""
    both = read_json(path)
    scene, room = both if isinstance(both, list) and len(both) == 2 else (both, both)
    return render_scene(scene, room, path.parent, path.parent / "out")


def lock(path: Path) -> Any:
    stages = lock_stages(path.parent)
    names = [stages_behind(stages, name) for name in stages]
    return all_outs(stages), [deps(stage) for stage in stages.values()], names, current_result(path.parent)


def lines(path: Path) -> list[Any]:
    """A file of one JSON value becomes one of a line for each."""
    values = json.loads(path.read_text(encoding="utf-8"))
    values = values if isinstance(values, list) else [values]
    path.write_text("".join(json.dumps(value) + "\n" for value in values), encoding="utf-8")
    return [read_journal(path), read_receipt(path)]


def record(path: Path) -> Any:
    folder = path.parent / ".hearlab" / "tracking" / "one"
    folder.mkdir(parents=True, exist_ok=True)
    os.replace(path, folder / "record.json")
    return waiting(path.parent)


def averages(path: Path) -> Any:
    folder = path.parent / "metrics"
    folder.mkdir(exist_ok=True)
    (folder / "speech.json").write_bytes(path.read_bytes())
    return score_tables(folder)


def metadata(path: Path) -> Any:
    (path.parent / "scenes.dev.json").write_bytes(path.read_bytes())
    (path.parent / "listeners.json").write_bytes(path.read_bytes())
    return find_metadata(path.parent, TRACKS["speech"], ["S00001"], ["L1"], folder=path.parent)


def archive_note(path: Path) -> Any:
    note_path(path).write_bytes(path.read_bytes())
    return read_archive_note(path)


def audiograms(path: Path) -> Any:
    """Rows of a table, written as they are."""
    rows = json.loads(path.read_text(encoding="utf-8"))
    table = [row if isinstance(row, list) else [row] for row in (rows if isinstance(rows, list) else [rows])]
    text = "\n".join(";".join(str(cell) for cell in row) for row in table)
    path.with_suffix(".csv").write_text(text, encoding="utf-8", errors="replace")
    return load_listeners(path.with_suffix(".csv"))


OWN_FILES = [list(HEADER), ["speech", "A", "mix_CH1", "/a/A.wav", "1", "2", "44100", "100", "1" * 32]]


def own_files(path: Path) -> Any:
    """The table of an own data set, of rows as they are."""
    rows = json.loads(path.read_text(encoding="utf-8"))
    table = [row if isinstance(row, list) else [row] for row in (rows if isinstance(rows, list) else [rows])]
    text = "\n".join(",".join(str(cell) for cell in row) for row in table)
    (path.parent / "files.csv").write_text(text, encoding="utf-8", errors="replace")
    return read_files(path.parent)


NOTE = {"size": 1, "modified": 1, "address": "x", "checksum": {"md5": "1" * 32}, "verified": True}
PARAMS = read_yaml(REPOSITORY / "params.yaml")
SONGS = [Song("A - B", "test")]
READERS: dict[str, tuple[Any, Callable[[Path], Any]]] = {
    "listeners": ({"L1": LISTENER}, load_listeners),
    "table of listeners": ([["listener", "ear", "250"], ["A", "left", "10"], ["A", "right", "20"]], audiograms),
    "files of own data": (OWN_FILES, own_files),
    "songs": ([{"Track Name": "A - B", "Split": "test"}], read_songs),
    "segments": ({"A - B": SEGMENT}, lambda path: read_segments(path, SONGS)),
    "targets": (TARGETS, lambda path: read_recordings(path, "target")),
    "speech": (SPEECH, lambda path: read_recordings(path, "speech")),
    "noise": (NOISES, lambda path: read_recordings(path, "noise")),
    "music": (MUSIC, lambda path: read_recordings(path, "music")),
    "scene list": ([SCENE], lambda path: read_list(path, "scene")),
    "room list": ([ROOM], lambda path: read_list(path, "name")),
    "rooms": ([ROOM], rooms),
    "scene": (SCENE, inputs_of),
    "scene and room": ([SCENE, ROOM], rendered),
    "directions": (
        {"selected_channels": [True, False], "matrix": [[0.5, 1]]},
        lambda path: _loudspeakers((str(path), os.stat(path).st_mtime_ns)),
    ),
    "scenes of a comparison": ([SCENE], metadata),
    "listeners of a comparison": ({"L1": LISTENER}, metadata),
    "published entry": (ENTRY, load_entry),
    "own entry": (OWN, load_entry),
    "parameters": (PARAMS, load_params),
    "dvc.lock": (LOCK, lock),
    "listing": ([{"relpath": "a", "md5": "1" * 32}], lambda path: listing(read_bytes(path))),
    "record": (RECORD, record),
    "lines": (RECEIPT, lines),
    "archive note": (NOTE, archive_note),
    "averages": (AVERAGES, averages),
}
FILE_NAMES = {"dvc.lock": "dvc.lock"}


def beside(folder: Path) -> None:
    """The files that some readers need beside theirs."""
    if not (folder / "params.yaml").exists():
        (folder / "params.yaml").write_text(json.dumps(PARAMS))
        for name, own in (("targets", TARGETS), ("speech", SPEECH), ("noise", NOISES), ("music", MUSIC)):
            (folder / f"{name}.json").write_text(json.dumps(own))


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """All places in a value, itself included."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, one in inner for place in places(one, (*path, key)))]


def changed(value: Any, place: tuple[Any, ...], new: Any, rename: bool) -> Any:
    """With another value at a place, or (of a key) another name."""
    if not place:
        return new
    whole = copy.deepcopy(value)
    holder = whole
    for key in place[:-1]:
        holder = holder[key]
    if rename and isinstance(holder, dict) and isinstance(new, str):
        holder[new] = holder.pop(place[-1])
    else:
        holder[place[-1]] = new
    return whole


def check_error(error: InputError) -> None:
    assert str(error)
    for line in str(error).split("\n"):  # of params.yaml, one for each fault
        assert line.isprintable(), ascii(line)


@pytest.mark.parametrize("reader", READERS)
@settings(
    max_examples=40,
    phases=FOUND,
    deadline=None,
    suppress_health_check=UNCHECKED,
)
@given(data=st.data())
def test_a_reader_gives_a_result_or_one_line(tmp_path: Path, reader: str, data: st.DataObject) -> None:
    valid, read = READERS[reader]
    place = data.draw(st.sampled_from(places(valid)))
    content = changed(valid, place, data.draw(VALUES), data.draw(st.booleans()))
    folder = tmp_path / "folder"
    folder.mkdir(exist_ok=True)
    beside(folder)
    path = folder / FILE_NAMES.get(reader, "file.json")
    try:
        path.write_text(json.dumps(content), encoding="utf-8")
    except ValueError:  # Python writes no numbers of more than 4300 digits
        return
    try:
        read(path)
    except InputError as error:
        check_error(error)
    assert list(tmp_path.iterdir()) == [folder]


@pytest.mark.parametrize("reader", READERS)
def test_the_files_of_these_tests_are_right(tmp_path: Path, reader: str) -> None:
    valid, read = READERS[reader]
    beside(tmp_path)
    path = tmp_path / FILE_NAMES.get(reader, "file.json")
    path.write_text(json.dumps(valid), encoding="utf-8")
    if reader in ("scene and room", "dvc.lock"):
        with pytest.raises(InputError, match=r"no such file|holds no finished result"):
            read(path)
    else:
        assert read(path) or reader == "archive note"


# Each place where a number enters, and which codes for "no answer" cannot stand there.
NO_ANSWER = [999, 888, 666, -999, 9999, True]
SOME = [-999, True]  # the others can be numbers of samples
CODES: dict[str, list[tuple[tuple[Any, ...], list[Any]]]] = {
    "listeners": [(("L1", f"audiogram_levels_{ear}", 1), NO_ANSWER) for ear in "lr"],
    "segments": [(("A - B", "objective_evaluation", "start"), NO_ANSWER)],
    "targets": [((0, "nsamples"), SOME)],
    "scene list": [((0, "SNR"), NO_ANSWER)],
    "rooms": [((0, place, "position", 1), NO_ANSWER) for place in ("listener", "target")],
    "scene": [(("interferers", 0, "position"), NO_ANSWER)],
    "scene and room": [
        ((0, "SNR"), NO_ANSWER),
        ((0, "duration"), SOME),
        ((0, "target", "time_start"), [True]),
        ((0, "interferers", 1, "offset"), SOME),
        ((0, "interferers", 1, "time_start"), SOME),
        ((0, "interferers", 0, "time_end"), [*SOME, 9999]),
        ((0, "listener", "rotation", 0, "angle"), NO_ANSWER),
        ((0, "listener", "rotation", 1, "sample"), [*SOME, 9999]),
        ((1, "listener", "view_vector", 0), NO_ANSWER),
        ((1, "listener", "view_vector"), [[0.0, 0.0, 1.0]]),
    ],
    "own entry": [(("score",), NO_ANSWER), (("interval", 1), NO_ANSWER), (("units",), SOME)],
    "published entry": [(("songs", "A - B"), NO_ANSWER)],
}


@pytest.mark.parametrize("reader", CODES)
def test_a_value_that_means_no_answer_is_refused(tmp_path: Path, reader: str) -> None:
    valid, read = READERS[reader]
    beside(tmp_path)
    path = tmp_path / "file.json"
    for place, codes in CODES[reader]:
        field = [key for key in place if isinstance(key, str)][-1]
        field = {"sample": "rotation", "start": "objective_evaluation"}.get(field, field)
        for code in codes:
            path.write_text(json.dumps(changed(valid, place, code, False)))
            with pytest.raises(InputError, match=field) as caught:
                read(path)
            check_error(caught.value)


# Each place where a name enters.
NAMED = {
    "listeners": [("L1",)],
    "songs": [(0, "Track Name")],
    "targets": [(0, "wavfile"), (0, "dataset")],
    "speech": [(0, "speaker")],
    "noise": [(0, "ID"), (0, "class")],
    "music": [(0, "file")],
    "scene list": [(0, "scene")],
    "room list": [(0, "name")],
    "rooms": [(0, "name")],
    "scene": [
        ("scene",),
        ("room",),
        ("dataset",),
        ("target", "name"),
        ("interferers", 0, "type"),
        ("interferers", 1, "name"),
        ("listener", "hrir_filename", 0),
    ],
    "published entry": [("dataset",), ("split",), ("songs", "A - B")],
}


@pytest.mark.parametrize("reader", NAMED)
def test_no_hostile_name_enters(tmp_path: Path, reader: str) -> None:
    valid, read = READERS[reader]
    beside(tmp_path)
    path = tmp_path / "file.json"
    for place in NAMED[reader]:
        for name in HOSTILE:
            path.write_text(json.dumps(changed(valid, place, name, place[-1] in ("L1", "A - B"))))
            with pytest.raises(InputError) as caught:
                read(path)
            check_error(caught.value)


def test_a_scene_is_not_written_elsewhere(tmp_path: Path) -> None:
    for name in HOSTILE:
        with pytest.raises(InputError):
            render_scene({**SCENE, "scene": name}, ROOM, tmp_path, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_is_shown_escaped(name: str) -> None:
    with pytest.raises(InputError, match=r"songs\.json: 0\.Track Name: is not a name: it ") as caught:
        safe_name(name, "songs.json", "0.Track Name")
    assert str(caught.value).isascii()
    check_error(caught.value)


def test_ordinary_names_are_taken() -> None:
    assert [safe_name(name, "x") for name in FINE] == FINE
    assert safe_name("48/948.low.mp3", "x", folders=True) == "48/948.low.mp3"
    for name in ("48//x", "/48/x", "48/../x", "48/"):
        with pytest.raises(InputError):
            safe_name(name, "x", folders=True)


@settings(max_examples=150, deadline=None)
@given(
    cells=st.lists(st.text(max_size=8) | st.sampled_from([*HOSTILE, "S1", "0.5", "nan", "1e999"]), max_size=8),
    header=st.sampled_from(["scene,listener,haspi", "song,listener,score", "scene,listener,haspi,hasqi", ""]),
    raw=st.binary(max_size=20),
)
def test_a_table_of_scores_is_read_or_refused(cells: list[str], header: str, raw: bytes) -> None:
    text = header + "\n" + "".join(cell + ("\n" if k % 3 == 2 else ",") for k, cell in enumerate(cells))
    for content in (text.encode(errors="surrogatepass"), header.encode() + b"\n" + raw):
        try:
            tables = parse_scores(content, "scores.csv")
        except InputError as error:
            check_error(error)
        else:
            assert all(part.isprintable() for table in tables.values() for pair in table.rows for part in pair)


def test_no_hostile_name_enters_with_a_table() -> None:
    for name in HOSTILE:
        cell = '"' + name + '"'
        for row in (f"{cell},L1,0.5", f"S1,{cell},0.5"):
            with pytest.raises(InputError) as caught:
                parse_scores(f"scene,listener,haspi\n{row}\n".encode(errors="surrogatepass"), "scores.csv")
            check_error(caught.value)


@settings(max_examples=100, deadline=None, suppress_health_check=UNCHECKED)
@given(
    cells=st.lists(st.text(max_size=8) | st.sampled_from([*HOSTILE, "L1", "1 2 3 4 5 6", "/dev/zero"]), max_size=8),
    header=st.sampled_from(["reference,processed,listener", "reference,processed,audiogram_left,audiogram_right", ""]),
)
def test_a_list_of_pairs_is_read_or_refused(tmp_path: Path, cells: list[str], header: str) -> None:
    """No row of it can be scored: each is told by its line, or the whole list is refused."""
    text = header + "\n" + "".join(cell + ("\n" if k % 3 == 2 else ",") for k, cell in enumerate(cells))
    (tmp_path / "pairs.csv").write_bytes(text.encode(errors="surrogatepass"))
    people = {"L1": load_listeners(put_listeners(tmp_path))["L1"]}
    try:
        report = score_list("haspi", tmp_path / "pairs.csv", tmp_path / "s.csv", lambda: (people, tmp_path), level=90.0)
    except InputError as error:
        check_error(error)
    else:
        assert report.scored == 0
        assert report.failed


def put_listeners(folder: Path) -> Path:
    path = folder / "listeners.json"
    path.write_text(json.dumps({"L1": LISTENER}))
    return path


@settings(max_examples=100, deadline=None)
@given(
    cells=st.lists(st.text(max_size=8) | st.sampled_from([*HOSTILE, "0.5", "nan", "1e999"]), max_size=12),
    raw=st.binary(max_size=20),
)
def test_scores_of_a_list_are_read_or_refused(cells: list[str], raw: bytes) -> None:
    header = ",".join(list_columns(METRICS["haspi"]))
    for content in (f"{header}\n{','.join(cells)}\n".encode(errors="surrogatepass"), header.encode() + b"\n" + raw):
        try:
            known = scores_of_list(content, "scores.csv", METRICS["haspi"])
        except InputError as error:
            check_error(error)
        else:
            assert all(math.isfinite(score) for scores in known.values() for score in scores)


@settings(max_examples=100, deadline=None, suppress_health_check=UNCHECKED)
@given(content=st.text(max_size=60) | st.sampled_from(["Model = R00001", "sourcePositions = 1,2,3\n" * 3]))
def test_a_room_project_is_read_or_refused(tmp_path: Path, content: str) -> None:
    for name in ("R00001_t.rpf", "R00001_i1.rpf"):
        (tmp_path / name).write_text(content, encoding="utf-8", errors="replace")
    with pytest.raises(InputError) as caught:
        build_rooms(tmp_path, 1, 1, 1)
    check_error(caught.value)


@settings(max_examples=100, deadline=None, suppress_health_check=UNCHECKED)
@given(content=st.binary(max_size=80))
def test_a_factor_is_read_or_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "stem.txt").write_bytes(content)
    try:
        assert 0 <= read_factor(tmp_path / "stem.flac") < float("inf")
    except InputError as error:
        check_error(error)


@pytest.mark.parametrize("code", ["999", "888.0", "666", "-999", "9999", "true", "nan", ""])
def test_a_factor_that_means_no_answer_is_refused(tmp_path: Path, code: str) -> None:
    (tmp_path / "stem.txt").write_text(code)
    with pytest.raises(InputError, match=r"stem\.txt: is not a factor"):
        read_factor(tmp_path / "stem.flac")


@settings(max_examples=150, deadline=None, suppress_health_check=UNCHECKED)
@given(text=st.text(alphabet="ab:-[]{}&*!?|>'\"#%@, \n\t\\0x19e.~<", max_size=60))
def test_any_yaml_is_read_or_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(text, encoding="utf-8")
    try:
        json.dumps(read_yaml(path), default=str)
    except InputError as error:
        check_error(error)


@pytest.mark.parametrize("name", [name for name in HOSTILE if name not in ("", "../../EV", "/etc/x", "..", "a\0b")])
def test_a_file_name_of_an_entry(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "leaderboard"
    folder.mkdir()
    (folder / "good.yaml").write_text(json.dumps(ENTRY))
    try:
        (folder / f"{name}.yaml").write_text(json.dumps(ENTRY))
    except (OSError, UnicodeError):
        return  # this file system takes no such name
    board = load_entries(folder)
    assert "good" in [entry.name for entry in board.entries]
    for fault in board.faults:
        check_error(fault)
    assert all(line.isprintable() for line in leaderboard_text(board.entries).split("\n"))


def test_a_submission_that_is_a_bomb(tmp_path: Path) -> None:
    import zipfile

    from hearlab.datasets.song_lists import Segments

    path = tmp_path / "submission_x.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("L1/A - B/L1_A - B_remix.flac", "L1/A - B/L1_A - B_left_bass.txt", "\x1b[2J\nok"):
            archive.writestr(f"evaluation/{name}", b"0" * 30_000_000)
    right, faults = check_submission(path, [("A - B", "L1")], {"A - B": Segments((0, 10), (0, 10))})
    assert right == 0
    assert "L1/A - B/L1_A - B_remix.flac: is larger than 10.000 s of samples" in faults
    assert path.stat().st_size < 200_000
