"""Files as people have them: byte-order marks, blanks, names in two Unicode forms, conflicts of merges, and terminals.

tests/test_audio.py has the sounds: of encoders that write into a pipe, and of recorders that were stopped.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest
import soundfile

from audio_files import SPOKEN, never_closed, piped_flac, piped_wav
from hearlab.audio import read_audio, write_wav
from hearlab.cli import hidden_output, main
from hearlab.datasets.layout import CadenzaData
from hearlab.datasets.song_lists import Segments, Song, check_song
from hearlab.datasets.stem_files import read_factor
from hearlab.datasets.submission import check_submission
from hearlab.errors import InputError
from hearlab.files import read_json, read_text, read_yaml
from hearlab.listeners import find_listener, load_listeners
from hearlab.metrics.files import score_files
from hearlab.report.site.sounds import Sounds
from hearlab.report.site.versions import Group, Part, Version
from hearlab.scoring.table import parse_scores
from hearlab.scoring.tracks import TRACKS
from hearlab.stages.enhance_music import outputs
from reference_material import REFERENCE

BOM = b"\xef\xbb\xbf"
COMPOSED = "Zo\N{LATIN SMALL LETTER E WITH DIAERESIS}"
DECOMPOSED = unicodedata.normalize("NFD", COMPOSED)
CONFLICT = "<<<<<<< HEAD\n  gain: 0\n=======\n  gain: 3\n>>>>>>> louder\n"
LISTENER = {
    "audiogram_cfs": [250, 500, 1000, 2000, 4000, 6000],
    "audiogram_levels_l": [10, 10, 20, 30, 40, 50],
    "audiogram_levels_r": [10, 10, 20, 30, 40, 50],
}


def test_a_byte_order_mark_is_no_part_of_a_text(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(BOM + json.dumps({"L1": LISTENER}).encode())
    assert list(load_listeners(path)) == ["L1"]
    path.write_bytes(BOM + b"a: 1\n")
    assert read_yaml(path) == {"a": 1}
    assert read_text(path) == "a: 1\n"
    (tmp_path / "stem.txt").write_bytes(BOM + b"0.25")
    assert read_factor(tmp_path / "stem.flac") == 0.25
    table = parse_scores(BOM + b"scene,listener,haspi\nS1,L1,0.5\n", "x.csv")["haspi"]
    assert table.rows == {("S1", "L1"): 0}


def test_blanks_after_the_commas_of_a_table() -> None:
    table = parse_scores(b'scene, listener, haspi\nS1, L1, 0.25\nS1, "L2", 0.5\n', "x.csv")["haspi"]
    assert table.rows == {("S1", "L1"): 0, ("S1", "L2"): 1}
    assert table.scores.tolist() == [0.25, 0.5]


@pytest.mark.parametrize("name", ["x.json", "x.yaml", "x.csv"])
def test_a_conflict_of_a_merge_is_named_by_its_line(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text("a: 1\r\n" + CONFLICT, newline="")
    read = {"x.json": read_json, "x.yaml": read_yaml, "x.csv": lambda file: parse_scores(file.read_bytes(), name)}
    with pytest.raises(InputError, match=rf"{name}: line 2: holds a conflict of a merge \(found <<<<<<< HEAD\)"):
        read[name](path)
    path.write_text('{"a": ">>>>>>> b"}')
    assert read_yaml(path) == {"a": ">>>>>>> b"}


COMMANDS = [
    "blind",
    "check-baseline speech",
    "compare a.csv b.csv",
    "completion bash",
    "data status",
    "doctor",
    "experiments",
    "leaderboard",
    "memo status",
    "plan",
    "report",
    "score haspi --reference r.wav --processed p.wav --listener L1 --listeners l.json",
    "scores",
    "serve",
    "show S1",
    "stage check_params",
    "submission check x.zip",
    "sweep -S enhance.gain=3",
    "track",
    "try S1 L1",
    "weights fetch",
]


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("name", ["params.yaml", "dvc.lock"])
def test_every_command_names_the_conflict_of_a_merge(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_text("enhance:\n" + CONFLICT)
    assert main(command.split()) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"hearlab: {name}: line 2: holds a conflict of a merge (found <<<<<<< HEAD)")
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_these_are_all_commands() -> None:
    folder = Path(sys.modules["hearlab.commands"].__file__ or "").parent
    known = {path.stem.replace("_", "-") for path in folder.glob("*/[!_]*.py")}
    assert {command.split()[0] for command in COMMANDS} == known | {"blind"}  # in the module of serve


def test_sounds_of_the_site(tmp_path: Path) -> None:
    write_wav(tmp_path / "whole.wav", SPOKEN, 44100)
    paths = [tmp_path / "whole.wav", piped_flac(tmp_path / "piped.flac"), piped_wav(tmp_path / "piped.wav", 0x7FFFF000)]
    paths.append(never_closed(tmp_path / "killed.wav"))
    versions = [Version(path.name, "", "enhanced", (Part(path),)) for path in paths]
    cut = Version("cut", "", "enhanced", (Part(paths[1], 0.05, 0.1),))
    sounds = Sounds(tmp_path, tmp_path / "site", portable=True)
    (problem,) = sounds.measure([Group("x", (*versions, cut))])
    assert "killed.wav: data chunk: was never finished" in problem
    whole, *piped, killed = map(sounds.of, versions)
    assert whole is not None
    assert killed is None
    for sound in piped:
        assert sound is not None
        assert (sound.seconds, sound.loudness, sound.peak) == (9000 / 44100, whole.loudness, whole.peak)
    cut_sound = sounds.of(cut)
    assert cut_sound is not None
    assert cut_sound.seconds == 2205 / 44100
    for copy in (tmp_path / "site" / "sounds").glob("*.flac"):
        assert soundfile.info(copy).frames in (9000, 2205)


def test_a_submission_from_a_pipe_and_from_a_mac(tmp_path: Path) -> None:
    pairs, segments = [(COMPOSED, "L1")], {COMPOSED: Segments((0, 0.375), (0, 0.28125))}
    for name in outputs(COMPOSED, "L1"):
        path = tmp_path / "evaluation" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        rate = 32000 if "remix" in name.name else 24000
        if path.suffix == ".txt":
            path.write_bytes(BOM + b"0.25")
        else:
            piped_flac(path, rate, SPOKEN if rate == 32000 else SPOKEN[:, 0])
    assert check_submission(tmp_path, pairs, segments) == (9, [])
    folder = tmp_path / "evaluation" / "L1" / COMPOSED
    folder.rename(folder.with_name(DECOMPOSED))
    for path in folder.with_name(DECOMPOSED).iterdir():
        path.rename(path.with_name(unicodedata.normalize("NFD", path.name)))
    right, faults = check_submission(tmp_path, pairs, segments)
    assert right == 0
    assert len(faults) == 17
    assert all("its name is not in Unicode's form NFC" in fault for fault in faults)


def test_a_name_in_another_form_of_unicode(tmp_path: Path) -> None:
    write_wav(tmp_path / f"{DECOMPOSED}.wav", SPOKEN, 44100)
    line = rf"{COMPOSED}\.wav: no such file .*; 'Zoe\\u0308\.wav' beside it is the same name in another form"
    with pytest.raises(InputError, match=line):
        read_audio(tmp_path / f"{COMPOSED}.wav")
    data = CadenzaData(tmp_path)
    data.song("test", DECOMPOSED).mkdir(parents=True)
    with pytest.raises(InputError, match=r"no such song .*'Zoe\\u0308' beside it is the same name"):
        check_song(data, Song(COMPOSED, "test"))
    (tmp_path / "listeners.json").write_text(json.dumps({COMPOSED: LISTENER}))
    listeners = load_listeners(tmp_path / "listeners.json")
    assert find_listener(listeners, DECOMPOSED, "listeners.json") is listeners[COMPOSED]


def test_a_terminal_that_knows_ascii_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="ascii", write_through=True))
    with hidden_output():
        sys.stdout.write(f"{COMPOSED} \N{HORIZONTAL ELLIPSIS} \N{CJK UNIFIED IDEOGRAPH-591C}\n")
    assert written.getvalue() == b"Zo\\xeb ... \\u591c\n"


@pytest.mark.parametrize(
    "variables",
    [{"PYTHONIOENCODING": "ascii:strict"}, {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}],
)
def test_the_command_on_such_a_terminal(tmp_path: Path, variables: dict[str, str]) -> None:
    (tmp_path / "a.csv").write_text(f"song,listener,score\n{COMPOSED},L1,0.5\nb,L1,0.5\n", encoding="utf-8")
    (tmp_path / "b.csv").write_text(f"song,listener,score\n{COMPOSED},L1,0.5\n{COMPOSED},L1,0.5\n", encoding="utf-8")
    done = command(tmp_path, variables, "compare", "a.csv", "b.csv")
    assert done.returncode == 1
    (line,) = done.stderr.decode("ascii").splitlines()
    assert line == "hearlab: b.csv: line 3: names a pair twice (line 2) (found ('Zo\\xeb', 'L1'))"
    entry = {"team": COMPOSED, "system": "x", "track": "music", "dataset": "clarity", "split": "valid", "score": 0.3}
    (tmp_path / "leaderboard").mkdir()
    (tmp_path / "leaderboard" / "x.yaml").write_text(json.dumps({**entry, "origin": {"published": "a README"}}))
    done = command(tmp_path, variables, "leaderboard")
    assert done.returncode == 0, done.stderr
    assert b"Zo\\xeb" in done.stdout


def command(folder: Path, variables: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[bytes]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG"))}
    line = [sys.executable, "-m", "hearlab.cli", *arguments]
    return subprocess.run(line, cwd=folder, env={**environment, **variables}, capture_output=True, check=False)


def test_numba_that_is_told_not_to_compile(tmp_path: Path) -> None:
    write_wav(tmp_path / "x.wav", SPOKEN, 44100)
    (tmp_path / "l.json").write_text(json.dumps({"L1": LISTENER}))
    both = ("--reference", "x.wav", "--processed", "x.wav", "--listener", "L1", "--listeners", "l.json")
    done = command(tmp_path, {"NUMBA_DISABLE_JIT": "1"}, "score", "haspi", *both)
    assert done.returncode == 1
    (line,) = done.stderr.decode().splitlines()
    assert line.startswith(
        "hearlab: NUMBA_DISABLE_JIT: is set, and the loops cannot run without being compiled; unset it"
    )


CASES = REFERENCE / "cases"


@pytest.mark.slow
@pytest.mark.skipif(not CASES.is_dir(), reason="the reference material is not here")
def test_the_cases_of_the_reference_material(tmp_path: Path) -> None:
    def score(processed: str, listeners: str = "listeners.json") -> float:
        people = load_listeners(CASES / listeners)
        found = score_files(
            "haspi",
            CASES / "ref.wav",
            CASES / processed,
            next(iter(people.values())),
            level=TRACKS["speech"].level,
            seed_name="a",
        )
        return round(found["score"], 4)

    right = [("proc.wav",), ("proc_known.flac",), ("proc_piped.flac",), ("proc_sox_pipe.wav",)]
    for case in (*right, ("proc.wav", "listeners_bom.json")):
        assert score(*case) == 0.8699, case
    assert read_audio(CASES / "proc_piped.flac")[0].shape[0] == 32000
    with pytest.raises(
        InputError, match=r"proc_zero_sizes\.wav: data chunk: was never finished.* 64000 bytes behind it"
    ):
        score("proc_zero_sizes.wav")
    with pytest.raises(
        InputError, match=r"L0001\.audiogram_levels_l: .*, left ear \(found 999 at 6000 Hz, 999 at 8000"
    ):
        score("proc.wav", "lis_999.json")
    with pytest.raises(InputError, match="gives a key twice: 'L0001'"):
        score("proc.wav", "lis_dup.json")
    for name in ("sc_ok.csv", "sc_space.csv"):
        shutil.copy(CASES / name, tmp_path)
    done = command(tmp_path, {}, "compare", "sc_ok.csv", "sc_space.csv")
    assert done.returncode == 0, done.stderr
