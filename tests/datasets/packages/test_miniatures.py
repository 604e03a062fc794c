"""The demo world packed like the real packages: from a server on loopback to unpacked data roots."""

from __future__ import annotations

from pathlib import Path

import pytest
from archives_made import folders_in, some_bytes, tree_content
from package_miniatures import CONTENTS, make_miniatures, pack_miniatures

from file_server import Site, serving
from hearlab.datasets.packages import Connection, check, fetch, load_catalogue, unpack
from hearlab.errors import InputError

SPEECH = [
    *("metadata/listeners.json", "metadata/scenes_listeners.dev.json", "hrir/HRIRs_MAT/A-ED.mat"),
    *(
        f"{split}/{name}"
        for split in ("train", "dev")
        for name in (
            *("rooms/ac/R00001.ac", "rooms/rpf/R00001_t.rpf", "rooms/HOA_IRs/HOA_R00001_t.wav"),
            *("interferers/music/1.mp3", "interferers/noise/2.wav", "interferers/speech/3.wav", "targets/T.wav"),
        )
    ),
]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data roots in the challenges' layout, with files of a few bytes."""
    folder = tmp_path_factory.mktemp("world")
    for number, name in enumerate(SPEECH):
        path = folder / "clarity_data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(some_bytes(20_000, number))
    for split, song in (("train", "Artist - We'll Go (With Feeling)"), ("test", "Trio feat. M.E. - Über")):
        for stem in ("mixture", "drums", "bass", "other", "vocals"):
            path = folder / "cadenza_data" / "task1" / "audio" / "musdb18hq" / split / song / f"{stem}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(f"{song} {stem}".encode())
    metadata = folder / "cadenza_data" / "task1" / "metadata" / "musdb18hq"
    metadata.mkdir(parents=True)
    for name in ("musdb18.train", "musdb18.valid", "musdb18.test", "listeners.train", "listeners.valid"):
        (metadata / f"{name}.json").write_text("[]")
    scenes = folder / "rendered"
    scenes.mkdir()
    (scenes / "S06001_mix_CH1.wav").write_bytes(b"scene")
    return folder


@pytest.fixture(scope="module")
def packed(world: Path) -> Path:
    out = world / "packages"
    pack_miniatures(out, world / "clarity_data", world / "cadenza_data", scenes={"dev": world / "rendered"})
    return out


def test_the_same_world_gives_the_same_bytes(world: Path, packed: Path, tmp_path: Path) -> None:
    pack_miniatures(tmp_path, world / "clarity_data", world / "cadenza_data", scenes={"dev": world / "rendered"})
    assert tree_content(tmp_path) == tree_content(packed)
    assert sorted(path.name for path in packed.iterdir()) == [
        "cadenza_cad1_task1_core_metadata.tar.gz",
        "clarity_CEC2_core.v1_0.tgz",
        "clarity_CEC2_hoairs.v1_0.tgz",
        "clarity_CEC2_train.v1_0.tgz",
        "musdb18hq.zip",
        "packages.toml",
    ]


def test_from_a_server_to_the_data_roots(
    world: Path, packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    catalogue = load_catalogue(packed / "packages.toml")
    folders = folders_in(tmp_path)
    files = {f"/{path.name}": path.read_bytes() for path in packed.iterdir()}
    with serving(Site(files, content_type="application/octet-stream")) as site:
        for name in CONTENTS:
            package = catalogue[name]
            done = fetch(package, folders, f"{site.address}/", connection=Connection(range_size=1 << 20))
            assert done.verified
            assert done.path.name == package.file
            unpacked = unpack(package, folders)
            assert unpacked.notes == []
            manifest = [f"clarity_CEC2_data/manifest/{name}.txt"] if name.startswith("cec2") else []
            assert unpacked.left_out == manifest
    for name in CONTENTS:
        found = check(catalogue[name], folders, deep=True)
        assert (found.state, found.problems, found.usable) == ("complete", [], True)
    clarity = tree_content(world / "clarity_data")
    assert tree_content(folders.roots["clarity_data"]) == {**clarity, "dev/scenes/S06001_mix_CH1.wav": b"scene"}
    assert tree_content(folders.roots["cadenza_data"]) == tree_content(world / "cadenza_data")


def test_a_world_without_a_package(world: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has no files of the package musdb18hq"):
        pack_miniatures(tmp_path, None, world / "clarity_data")


@pytest.mark.slow
def test_the_demo_with_its_music(tmp_path: Path) -> None:
    table = make_miniatures(tmp_path / "out", dev_scenes=1, train_scenes=1)
    catalogue = load_catalogue(table)
    folders = folders_in(tmp_path)
    for name in CONTENTS:
        fetch(catalogue[name], folders, f"{tmp_path / 'out'}/")
        unpack(catalogue[name], folders)
        assert check(catalogue[name], folders).usable
    songs = list((folders.roots["cadenza_data"] / "task1" / "audio" / "musdb18hq").glob("*/*/vocals.wav"))
    assert songs
