"""hearlab data import: what is found in folders of recordings, and what cannot be used."""

from __future__ import annotations

import json
import os
import shutil
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import yaml

from hearlab.cli import main
from hearlab.datasets.own.description import read_files, scene_list, song_list
from hearlab.datasets.own.importing import import_data
from hearlab.errors import InputError, ParameterError
from hearlab.files import md5_of
from hearlab.params import load_params
from own_recordings import RATE, TABLE, recordings, songs, speech, workspace, write


def test_what_is_written(tmp_path: Path) -> None:
    root, own = workspace(tmp_path / "work"), recordings(tmp_path / "own")
    before = {path: path.read_bytes() for path in (tmp_path / "own").rglob("*") if path.is_file()}
    text = (root / "params.yaml").read_text()
    done = import_data(root, "clinic", **own, songs=songs(tmp_path / "songs"))
    assert done.folder == root / "datasets" / "clinic"
    # In params.yaml two lines are new, and the comments are still there.
    assert (root / "params.yaml").read_text() == text + "  clinic:\n    source: own\n"
    about = yaml.safe_load((done.folder / "dataset.yaml").read_text())
    assert about["speech"]["recordings"] == 3
    assert about["speech"]["reference"] == "as it is"
    assert about["speech"]["microphones"] == ["CH1"]
    assert about["speech"]["converted"].startswith("4 of 6 files")
    assert about["music"]["mixture"] == "the sum of the stems in 1 of the songs"
    files = read_files(done.folder)
    assert files == list(done.files)
    assert scene_list("clinic", files)[0] == {
        "dataset": "clinic",
        "scene": "Café one",
        "files": ["Café one_mix_CH1.wav", "Café one_target_anechoic_CH1.wav"],
    }
    assert [song["Track Name"] for song in song_list(files)] == ["plain", "Ñandú"]
    assert {file.md5 for file in files if file.source.endswith("two.flac")} == {md5_of(own["mixtures"] / "two.flac")}
    assert list(json.loads((done.folder / "listeners.json").read_text())) == ["A B", "Zoë"]
    # Nothing of the user's has changed, and nothing of it was copied.
    assert {path: path.read_bytes() for path in before} == before
    assert not (root / "data").exists()


def test_a_name_that_is_taken_needs_replace(tmp_path: Path) -> None:
    root, own = workspace(tmp_path / "work"), recordings(tmp_path / "own")
    first = import_data(root, "clinic", **own)
    assert not first.replaced
    description = {path: path.read_bytes() for path in first.folder.iterdir()}
    with pytest.raises(InputError, match=r"there is such a data set; --replace describes it anew"):
        import_data(root, "clinic", **own)
    assert {path: path.read_bytes() for path in first.folder.iterdir()} == description
    (own["mixtures"] / "two.flac").unlink()
    (own["references"] / "two.wav").unlink()
    again = import_data(root, "clinic", **own, replace=True)
    assert again.replaced
    assert len(again.files) == 4
    assert (root / "params.yaml").read_text().count("  clinic:\n") == 1


@pytest.mark.parametrize("name", ["demo", "Clarity", "weights", "null", "True", "nan", "../x", "a.b", "", "2nd"])
def test_names_that_are_none(tmp_path: Path, name: str) -> None:
    root, own = workspace(tmp_path / "work"), recordings(tmp_path / "own")
    with pytest.raises(InputError, match=r"is the name of something else|is no name of a data set"):
        import_data(root, name, **own)
    assert not (root / "datasets").exists()


def test_params_yaml_as_others_write_it(tmp_path: Path) -> None:
    """More spaces before the names are kept; a section in braces is told, and nothing is written."""
    root, own = workspace(tmp_path / "work"), recordings(tmp_path / "own")
    before, _, section = (root / "params.yaml").read_text().partition("\ndatasets:")
    first, *lines = section.splitlines()
    deeper = [f"  {line}" if line.startswith("  ") else line for line in lines]
    (root / "params.yaml").write_text("\n".join([f"{before}\ndatasets:{first}", *deeper]) + "\n")
    import_data(root, "clinic", **own)
    assert load_params(root / "params.yaml").datasets.__pydantic_extra__.keys() == {"clinic"}
    braces = f"{before}\ndatasets: {json.dumps(yaml.safe_load('datasets:' + section)['datasets'])}\n"
    (root / "params.yaml").write_text(braces)
    with pytest.raises(ParameterError, match=r"datasets: is not in the form that DVC writes; write it as lines"):
        import_data(root, "other", **own)
    assert (root / "params.yaml").read_text() == braces
    assert not (root / "datasets" / "other").exists()


@pytest.mark.parametrize(
    ("without", "message"),
    [(("mixtures", "references"), "nothing to import"), (("references",), "speech is not complete")],
)
def test_arguments_that_do_not_go_together(tmp_path: Path, without: tuple[str, ...], message: str) -> None:
    own = {name: path for name, path in recordings(tmp_path / "own").items() if name not in without}
    with pytest.raises(ParameterError, match=message):
        import_data(workspace(tmp_path / "work"), "clinic", **own)


def nothing(own: dict[str, Path]) -> None:
    for path in own["mixtures"].iterdir():
        path.unlink()


def rate(own: dict[str, Path]) -> None:
    write(own["mixtures"] / "two.flac", speech(2)[0], 4000)


Change = Callable[[dict[str, Path]], Any]


def kilohertz(own: dict[str, Path]) -> None:
    own["listeners"].write_text(TABLE.replace(";250;500;1000;2000;4000;6000", ";0.25;0.5;1000;2000;4000;6000"))


FAULTS: list[tuple[Change, list[str]]] = [
    (kilohertz, ["clinic.csv: has headings that are no frequency in Hz (found 0.25, 0.5); write Hz in all headings"]),
    (lambda own: (own["references"] / "two.wav").unlink(), ["my references: has no partner of the mixture two"]),
    (lambda own: (own["mixtures"] / "two.flac").unlink(), ["two.wav: has no mixture of its name"]),
    (
        lambda own: write(own["references"] / "two.wav", speech(2)[1][:-7]),
        ["two.wav: is 7 frames shorter than its mixture"],
    ),
    (
        lambda own: [
            (own["mixtures"] / "two.flac").unlink(),
            write(own["mixtures"] / "two.wav", speech(2, rate=8000)[0][:-2], 8000),
        ],
        [
            "two.wav: is 11 frames longer than its mixture at 44100 Hz "
            "(found 66150 frames at 44100 Hz, mixture 11998 frames at 8000 Hz)"
        ],
    ),
    (
        lambda own: write(own["references"] / "two.wav", np.zeros((100, 2))),
        ["two.wav: is silent (found 100 samples, all zero)"],
    ),
    (
        lambda own: write(own["mixtures"] / "Café one.wav", speech(1)[0] * [1, 0]),
        ["Café one.wav: channel 2: is silent"],
    ),
    (lambda own: write(own["mixtures"] / "Café one.wav", np.zeros((0, 2))), ["Café one.wav: is empty"]),
    (rate, ["two.flac: wrong sample rate (found 4000 Hz, wanted from 8000 to 384000 Hz)"]),
    (
        lambda own: write(own["mixtures"] / "two.flac", np.tile(speech(2)[0], 2)),
        ["two.flac: wrong number of channels (found 4"],
    ),
    (
        lambda own: write(own["references"] / "two.wav", np.tile(speech(2)[1], 2)),
        ["two.wav: wrong number of channels (found 4, wanted 1 or 2)"],
    ),
    (lambda own: (own["mixtures"] / "two.flac").write_bytes(b"no sound"), ["two.flac: cannot be read as audio"]),
    (
        lambda own: write(own["mixtures"] / "two_CH1.wav", speech(2)[0]),
        ["two_CH1.wav: is the same recording as two.flac"],
    ),
    (
        lambda own: [(own["mixtures"] / "two.flac").unlink(), write(own["mixtures"] / "two_CH3.wav", speech(2)[0])],
        ["two_CH3.wav: has no front microphones (CH1)"],
    ),
    (lambda own: own["listeners"].write_text(TABLE + TABLE.split("\n")[1]), ["gives A B, left ear, a second time"]),
    (lambda own: own["listeners"].unlink(), ["clinic.csv: no such file"]),
    (
        lambda own: [(own["references"] / "two.wav").unlink(), rate(own)],  # all faults are told together
        ["two.flac: wrong sample rate", "has no partner of the mixture two"],
    ),
]


@pytest.mark.parametrize("case", range(len(FAULTS)))
def test_a_line_for_each_fault_and_nothing_is_written(tmp_path: Path, case: int) -> None:
    change, wanted = FAULTS[case]
    root, own = workspace(tmp_path / "work"), recordings(tmp_path / "own")
    change(own)
    with pytest.raises(InputError) as error:
        import_data(root, "clinic", **own)
    lines = str(error.value).splitlines()
    assert len(lines) == len(wanted), lines
    assert all(part in line for part, line in zip(wanted, lines, strict=True)), lines
    assert [path.name for path in root.iterdir()] == ["params.yaml"]
    assert "clinic" not in (root / "params.yaml").read_text()


def test_folders_that_are_none(tmp_path: Path) -> None:
    root, own = workspace(tmp_path / "work"), recordings(tmp_path / "own")
    with pytest.raises(InputError, match="nowhere: is no folder"):
        import_data(root, "clinic", **{**own, "mixtures": tmp_path / "nowhere"})
    nothing(own)
    with pytest.raises(InputError) as error:
        import_data(root, "clinic", **own)
    assert "holds no recording" in str(error.value)


def test_microphones_in_files_of_their_own_and_in_one_file(tmp_path: Path) -> None:
    root, own = workspace(tmp_path / "work"), recordings(tmp_path / "own")
    nothing(own)
    for number, name in enumerate(("Café one", "two", "three"), 1):
        noisy, _ = speech(number)
        if name == "two":
            write(own["mixtures"] / "two.wav", np.hstack([noisy, 0.5 * noisy]))
        else:
            write(own["mixtures"] / f"{name}_CH1.wav", noisy)
            write(own["mixtures"] / f"{name}_CH3.wav", noisy)
    with pytest.raises(InputError, match=r"two.wav: wrong number of channels"):
        import_data(root, "clinic", **own)
    done = import_data(root, "clinic", **own, microphones=["CH1", "CH3"])
    signals = {(file.name, file.signal): file.first for file in done.files if file.signal.startswith("mix")}
    assert signals["two", "mix_CH1"] == 1
    assert signals["two", "mix_CH3"] == 3
    assert signals["three", "mix_CH3"] == 1


def test_names_in_another_form_of_unicode_are_the_same(tmp_path: Path) -> None:
    """macOS writes letters and their marks apart."""
    root, own = workspace(tmp_path / "work"), recordings(tmp_path / "own")
    path = own["references"] / "Café one.wav"
    path.rename(path.with_name(unicodedata.normalize("NFD", path.name)))
    done = import_data(root, "clinic", **own)
    assert {file.name for file in done.files} == {"Café one", "two", "three"}


def test_a_song_in_two_forms_of_unicode_is_there_twice(tmp_path: Path) -> None:
    root, own = workspace(tmp_path / "work"), recordings(tmp_path / "own")
    folder = songs(tmp_path / "songs")
    other = folder / unicodedata.normalize("NFD", "Ñandú")
    if other.exists():
        pytest.skip("this file system takes both forms as one name")
    shutil.copytree(folder / "Ñandú", other)
    with pytest.raises(InputError, match=r"is there twice \(found Ñandú\)"):
        import_data(root, "band", songs=folder, listeners=own["listeners"])


def test_listeners_of_a_folder(tmp_path: Path) -> None:
    root, own = workspace(tmp_path / "work"), recordings(tmp_path / "own")
    people = tmp_path / "people"
    people.mkdir()
    (people / "a.csv").write_text("\n".join(TABLE.split("\n")[:3]))
    (people / "b.csv").write_text("\n".join([TABLE.split("\n")[0], *TABLE.split("\n")[3:]]))
    done = import_data(root, "clinic", **{**own, "listeners": people})
    assert list(done.listeners) == ["A B", "Zoë"]
    (people / "c.csv").write_text(TABLE)
    with pytest.raises(InputError) as error:
        import_data(root, "more", **{**own, "listeners": people})
    assert [line.partition(": ")[2] for line in str(error.value).splitlines()] == [
        "holds a listener of a.csv, too (found A B)",
        "holds a listener of b.csv, too (found Zoë)",
    ]


def test_listeners_of_the_command_line(tmp_path: Path) -> None:
    root, own = workspace(tmp_path / "work"), recordings(tmp_path / "own")
    own.pop("listeners")
    typed = ["Zoë=10,15,20,25,30,35", "B=0,0,0,0,0,0/20,20,30,40,50,60"]
    done = import_data(root, "clinic", **own, audiograms=typed)
    assert list(json.loads((done.folder / "listeners.json").read_text())) == ["Zoë", "B"]
    assert done.about["listeners"] == {"from": "the command line", "number": 2}
    ears = [(done.listeners[name].left, done.listeners[name].right) for name in ("Zoë", "B")]
    assert [[ear.levels.tolist() for ear in both] for both in ears] == [
        [[10, 15, 20, 25, 30, 35], [10, 15, 20, 25, 30, 35]],
        [[0] * 6, [20, 20, 30, 40, 50, 60]],
    ]
    assert ears[0][0].frequencies.tolist() == [250, 500, 1000, 2000, 4000, 6000]


def test_typed_listeners_that_are_none(tmp_path: Path) -> None:
    root, own = workspace(tmp_path / "work"), recordings(tmp_path / "own")
    listeners = own.pop("listeners")
    wrong = ["20,20,30,40,50,60", "A=1,2,3", "A=1,2,3,4,5,x", "B=0,0,0,0,0,0", "B=0,0,0,0,0,0", "../C=0,0,0,0,0,0"]
    with pytest.raises(InputError) as caught:
        import_data(root, "clinic", **own, audiograms=wrong)
    lines = str(caught.value).splitlines()
    told = ["names no listener (found 20,20,30", "1,2,3", "1,2,3,4,5,x", "is there twice", "is not a name"]
    assert [part for part, line in zip(told, lines, strict=True) if part not in line] == []
    for both in ({}, {"audiograms": ["A=0,0,0,0,0,0"], "listeners": listeners}):
        with pytest.raises(ParameterError, match="in one way"):
            import_data(root, "clinic", **own, **both)
    assert not (root / "datasets").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda song: (song / "bass.wav").unlink(), "Ñandú: lacks a stem (wanted bass.wav or bass.flac)"),
        (
            lambda song: write(song / "bass.wav", np.full((500, 2), 0.1)),
            "bass.wav: is not as long as drums.wav beside it (found 500 frames, wanted 44100 frames)",
        ),
        (lambda song: write(song / "bass.flac", np.full((500, 2), 0.1)), "bass.flac: is there beside bass.wav"),
        (lambda song: write(song / "bass.wav", np.full((RATE, 3), 0.1)), "bass.wav: wrong number of channels (found 3"),
    ],
)
def test_songs_that_cannot_be_used(tmp_path: Path, change: Callable[[Path], Any], message: str) -> None:
    folder = songs(tmp_path / "songs")
    change(folder / "Ñandú")
    (tmp_path / "clinic.csv").write_text(TABLE)
    with pytest.raises(InputError) as error:
        import_data(workspace(tmp_path / "work"), "clinic", songs=folder, listeners=tmp_path / "clinic.csv")
    assert message in str(error.value)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    root, own = workspace(tmp_path / "work"), recordings(tmp_path / "own")
    monkeypatch.chdir(root)
    arguments = [part for name, path in own.items() for part in (f"--{name}", str(path))]
    assert main(["data", "import", "clinic", *arguments]) == 0
    told = capsys.readouterr().out
    assert "datasets/clinic: 3 recordings, 2 listeners; 4 of 6 files will be converted" in told
    assert "dvc exp run -S dataset=clinic" in told
    people = ["--listeners", str(own["listeners"])]
    assert main(["data", "import", "band", "--songs", str(songs(tmp_path / "songs")), *people]) == 0
    told = capsys.readouterr().out  # four stems in mono FLAC; a mixture that is made is not converted
    assert "2 songs, 2 listeners; 4 of 9 files will be converted to stereo WAV at 44.1 kHz; the mixture of 1" in told
    assert load_params().datasets.__pydantic_extra__["clinic"].source == "own"  # type: ignore[index]
    assert main(["data", "import", "clinic", *arguments]) == 1
    assert main(["data", "import", "other", *arguments, "--microphones", "CH1,CH9"]) == 2
    (own["references"] / "two.wav").unlink()
    (own["references"] / "three_clean.wav").unlink()
    capsys.readouterr()
    assert main(["data", "import", "other", *arguments]) == 1
    assert len(capsys.readouterr().err.splitlines()) == 2


def test_data_sets_of_ones_own_are_in_the_status(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    root, own = workspace(tmp_path / "work"), recordings(tmp_path / "own")
    monkeypatch.chdir(root)
    import_data(root, "clinic", **own)
    import_data(root, "odd", **own)
    (own["mixtures"] / "two.flac").unlink()
    (root / "datasets" / "odd" / "files.csv").write_text("name\n")
    (root / "datasets" / "demo").mkdir()
    assert main(["data", "status"]) == 0
    clinic, odd = (line for line in capsys.readouterr().out.splitlines() if line.startswith("your own"))
    assert clinic.startswith("your own: datasets/clinic: 3 recordings, 2 listeners; 4 of 6 files will be converted")
    assert clinic.endswith("; 1 of 6 recordings is not where it was imported from")
    assert odd.startswith("your own: datasets/odd/files.csv: wrong columns")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("track,name", "trakc,name", "wrong columns"),
        (",mix_CH1,", ",mix_CH9,", "unknown signal"),
        ("speech,two", "speech,../two", "is not a name"),
        (",44100,", ",many,", "rate: is no number"),
        (",mix_CH1,/", ",mix_CH1,", "is no absolute path"),
        (",1,2,", ",7,2,", "is no channel of the file"),
        ("two.flac,1,2,", "two.flac,", "row is incomplete"),
        ("target_anechoic_CH1", "mix_CH1", "names a signal twice"),
    ],
)
def test_a_description_that_was_edited_wrongly(tmp_path: Path, old: str, new: str, message: str) -> None:
    root, own = workspace(tmp_path / "work"), recordings(tmp_path / "own")
    folder = import_data(root, "clinic", **own).folder
    (folder / "files.csv").write_text((folder / "files.csv").read_text().replace(old, new))
    with pytest.raises(InputError, match=message):
        read_files(folder)


def test_links_to_recordings_are_followed(tmp_path: Path) -> None:
    root, own = workspace(tmp_path / "work"), recordings(tmp_path / "own")
    path = own["mixtures"] / "two.flac"
    os.replace(path, tmp_path / "elsewhere.flac")
    path.symlink_to(tmp_path / "elsewhere.flac")
    files = import_data(root, "clinic", **own).files
    assert soundfile.info(next(file.source for file in files if file.source.endswith("two.flac"))).frames == 66150
