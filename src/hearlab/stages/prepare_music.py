"""Stage prepare_music: composes the demo's songs, or links to the real ones and checks them."""

from __future__ import annotations

from pathlib import Path

from hearlab.compute.process import worker_count
from hearlab.datasets.clarity import MUSIC_FOLDERS
from hearlab.datasets.layout import CadenzaData
from hearlab.datasets.own.description import LISTENERS, MUSIC, description_folder, read_files, song_list
from hearlab.datasets.required_packages import require
from hearlab.datasets.song_lists import check_segments, check_song, read_segments, read_songs
from hearlab.errors import InputError
from hearlab.files import write_json
from hearlab.listeners import load_listeners
from hearlab.params import Params
from hearlab.stages.common import workspace
from hearlab.stages.prepare import link_home, link_own, made_beside, making


def run(params: Params) -> None:
    files = workspace(params)
    counts = params.data.songs
    with making("prepare_music", files.cadenza.metadata):
        if params.source == "demo":
            from hearlab.datasets.demo import make_demo_music

            if counts is None:
                raise InputError("params.yaml", "key is missing", field="datasets.demo.songs")
            with made_beside(files.cadenza.root) as staging:
                make_demo_music(staging, params.data_seed, **counts.model_dump(), threads=worker_count())
        elif params.source == "own":
            _link_songs(files.cadenza, params)
        else:
            require(params, "prepare_music")
            link_home(files.cadenza.root, MUSIC_FOLDERS, params)
        check(files.cadenza, params)


def _link_songs(data: CadenzaData, params: Params) -> None:
    """The user's songs as songs of the split valid, heard by each of the listeners."""
    description = description_folder(Path(), params.dataset)
    files = [file for file in read_files(description) if file.track == MUSIC]
    names = {file: data.stem("valid", file.name, file.signal).relative_to(data.root).as_posix() for file in files}
    link_own(data.root, MUSIC_FOLDERS, names, params)
    data.audio.mkdir(parents=True, exist_ok=True)
    listeners = load_listeners(description / LISTENERS)
    write_json(data.listeners("valid"), {name: listener.as_entry() for name, listener in listeners.items()})
    write_json(data.songs("valid"), song_list(files))


def check(data: CadenzaData, params: Params) -> None:
    """All that the later stages read of the songs to evaluate is there and as it should be.

    Raises:
        InputError: one line on the first file that is not.
    """
    split = params.evaluate.song_split
    songs = read_songs(data.songs(split))
    load_listeners(data.listeners(params.evaluate.song_listeners))
    segments = read_segments(data.segments, songs) if split == "test" else {}
    for song in songs:
        frames = check_song(data, song)
        if song.name in segments:
            check_segments(data.segments, song.name, segments[song.name], frames)
