"""Stage prepare_music: composes the demo's songs, or links to the real ones and checks them."""

from __future__ import annotations

from hearlab.datasets.clarity import MUSIC_FOLDERS
from hearlab.datasets.layout import CadenzaData
from hearlab.datasets.required_packages import require
from hearlab.datasets.song_lists import check_segments, check_song, read_segments, read_songs
from hearlab.errors import InputError
from hearlab.listeners import load_listeners
from hearlab.params import Params
from hearlab.stages.common import workspace
from hearlab.stages.prepare import link_home, made_beside


def run(params: Params) -> None:
    files = workspace(params)
    counts = params.data.songs
    if params.dataset == "demo":
        from hearlab.datasets.demo import make_demo_music

        if counts is None:
            raise InputError("params.yaml", "key is missing", field="datasets.demo.songs")
        with made_beside(files.cadenza.root) as staging:
            make_demo_music(staging, params.data_seed, **counts.model_dump())
    else:
        require(params, "prepare_music")
        link_home(files.cadenza.root, MUSIC_FOLDERS, params)
    check(files.cadenza, params)


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
