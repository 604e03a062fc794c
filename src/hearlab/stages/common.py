"""What several stages need: the folder of the chosen data set, its scenes, songs and pairs, and writing tables."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hearlab.audio import opened
from hearlab.compute.units import GIBIBYTE
from hearlab.datasets.layout import DATA, SAMPLE_RATE, CadenzaData, ClarityData, Workspace
from hearlab.datasets.scene_lists import scenes_by_name
from hearlab.datasets.song_lists import Segments, Song, read_segments, read_songs
from hearlab.errors import InputError
from hearlab.files import read_json, write_text
from hearlab.listeners import Listener, find_listener, load_listeners
from hearlab.names import safe_name
from hearlab.params import PARAMS_FILE, Params, flat
from hearlab.params.subsets import selected, subset_text

# Scores are written with this many decimals: far below what can be heard or tested, and above the last bits, in
# which processors differ, so that the same experiment has the same hash on another machine.
DECIMALS = 8
SMALL_TEST = 15  # the published small test takes every 15th pair
FILES = "files"  # key of a scene of own recordings: which microphones and references there are
UNKNOWN_SONG = 300  # s, assumed of a song whose files are not here


def workspace(params: Params) -> Workspace:
    """Paths of the chosen data set, relative to the root of the repository."""
    return Workspace(Path(DATA) / params.dataset)


def file_state(path: Path) -> tuple[int, ...]:
    """What changes with every change of a file, for the keys of what a process keeps of it; empty without a file."""
    try:
        status = path.stat()
    except OSError:
        return ()
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def read_list(path: Path, key: str) -> list[dict[str, Any]]:
    """Read a rooms.*.json or scenes.*.json: a list of objects that each have `key`."""
    content = read_json(path)
    if not isinstance(content, list):
        raise InputError(path, "must hold a list", found=type(content).__name__)
    for index, entry in enumerate(content):
        if not isinstance(entry, dict):
            raise InputError(path, "must be an object", field=str(index), found=type(entry).__name__)
        safe_name(entry.get(key), path, f"{index}.{key}")
    if key == "scene":
        scenes_by_name(content, path)
    return content


def scene_files(scene: Mapping[str, Any]) -> list[str]:
    """Names of the files of a scene of own recordings, by its entry in the scene list; none of a rendered scene."""
    names = scene.get(FILES, [])
    return [safe_name(name, "scenes", f"{scene['scene']}.{FILES}") for name in names] if isinstance(names, list) else []


def files_of_scenes(params: Params) -> dict[str, list[str]]:
    """`scene_files` of the evaluated split, by the scenes' names."""
    return {
        scene["scene"]: scene_files(scene)
        for scene in read_list(workspace(params).scenes(params.evaluate.split), "scene")
    }


def scene_listener_pairs(params: Params) -> list[tuple[str, Listener]]:
    """The pairs to enhance and to score, in the order of scenes_listeners.{split}.json.

    Raises:
        InputError: the file is wrong, or names a scene or listener that does not exist.
    """
    files = workspace(params)
    split = params.evaluate.split
    path = files.clarity.scenes_listeners(split)
    content = read_json(path)
    if not isinstance(content, dict) or not all(
        isinstance(names, list) and all(isinstance(name, str) for name in names) for names in content.values()
    ):
        raise InputError(path, "must map each scene to a list of listeners", wanted='{"S06001": ["L0001", ...]}')
    own, listeners = chosen_listeners(params, files.clarity.listeners, files.cadenza)
    evaluated = selected(list(content), params.evaluate.scenes, "evaluate.scenes")
    known = {scene["scene"] for scene in read_list(files.scenes(split), "scene")}
    pairs = []
    for scene, names in content.items():
        if scene not in known:
            raise InputError(path, f"names a scene that {files.scenes(split)} lacks", field=scene)
        if len(set(names)) < len(names):
            raise InputError(path, "names a listener twice", field=scene, found=", ".join(names))
        if scene not in evaluated:
            continue
        if own:
            pairs += [(scene, listener) for listener in listeners.values()]
            continue
        everybody = listeners if params.evaluate.listeners is None else load_listeners(files.clarity.listeners)
        for name in names:
            find_listener(everybody, name, path)
            if name in listeners:
                pairs.append((scene, listeners[name]))
    return pairs


def chosen_listeners(params: Params, path: Path, other: CadenzaData | ClarityData) -> tuple[bool, dict[str, Listener]]:
    """The listeners of a track that are evaluated, by `evaluate.listeners`.

    Names count for both tracks, whose listeners differ: a track that knows none of them has nothing to do.

    Args:
        params: the parameters.
        path: the track's own listeners file.
        other: where the other track's are.

    Returns:
        whether they are those of a file of the user's, in which case each scene is heard by all of them; and they
        themselves.

    Raises:
        InputError: a file is wrong, or neither track knows a name.
    """
    chosen = params.evaluate.listeners
    if isinstance(chosen, str):
        return True, load_listeners(chosen)
    listeners = load_listeners(path)
    if chosen is None:
        return False, listeners
    files = other.listeners(params.evaluate.song_listeners) if isinstance(other, CadenzaData) else other.listeners
    elsewhere: dict[str, Listener] | None = None
    for name in chosen:
        if name not in listeners:
            if elsewhere is None:
                elsewhere = load_listeners(files) if files.exists() else {}
            find_listener({**elsewhere, **listeners}, name, f"{PARAMS_FILE}: evaluate.listeners")
    return False, {name: listener for name, listener in listeners.items() if name in chosen}


def evaluated_subset(params: Params, cluster: str) -> str | None:
    """What of the data is evaluated, in words; None if all of it is. `cluster` is 'scene' or 'song'."""
    return subset_text(flat(params.model_dump(mode="json")), cluster)


def songs_to_evaluate(params: Params) -> list[Song]:
    """The songs of `evaluate.song_split` that `evaluate.songs` chooses, in the order of the list.

    Raises:
        InputError: the list is wrong, or empty where it is not that of an own data set without songs.
    """
    data = workspace(params).cadenza
    path = data.songs(params.evaluate.song_split)
    songs = read_songs(path)
    if not songs and params.source != "own":
        raise InputError(path, "lists no song")
    evaluated = selected([song.name for song in songs], params.evaluate.songs, "evaluate.songs") if songs else set()
    return [song for song in songs if song.name in evaluated]


def song_listener_pairs(params: Params) -> list[tuple[Song, Listener]]:
    """Every song with every listener, songs first, as published; every 15th of them with `evaluate.small_test`."""
    data = workspace(params)
    path = data.cadenza.listeners(params.evaluate.song_listeners)
    _, listeners = chosen_listeners(params, path, data.clarity)
    pairs = [(song, listener) for song in songs_to_evaluate(params) for listener in listeners.values()]
    return pairs[::SMALL_TEST] if params.evaluate.small_test else pairs


def song_segments(params: Params) -> dict[str, Segments]:
    """The segments of test songs by their names; songs of other splits are enhanced and scored whole."""
    if params.evaluate.song_split != "test":
        return {}
    return read_segments(workspace(params).cadenza.segments, list(dict(song_listener_pairs(params))))


def song_memory(params: Params, bytes_per_frame: int) -> dict[str, int]:
    """Bytes of memory of a unit that holds a whole song, by the song's name."""
    memory = {}
    for song in songs_to_evaluate(params):
        try:
            with opened(workspace(params).cadenza.stem(song.split, song.name, "mixture")) as sound:
                frames = sound.frames
        except InputError:
            frames = UNKNOWN_SONG * SAMPLE_RATE  # units can be listed before their songs are here
        memory[song.name] = GIBIBYTE + bytes_per_frame * frames
    return memory


def submission_pairs(params: Params) -> tuple[list[tuple[str, str]], dict[str, Segments]]:
    """Names of every test song with every listener, and the segments of the songs."""
    data = workspace(params).cadenza
    songs = read_songs(data.songs("test"))
    listeners = load_listeners(data.listeners(params.evaluate.song_listeners))
    return [(song.name, listener) for song in songs for listener in listeners], read_segments(data.segments, songs)


def write_table(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write a CSV file with an atomic rename."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    write_text(path, text.getvalue())
