"""`hearlab score haaqi`: stems, their factors, and what is refused; tests/test_cli.py has the rest."""

from __future__ import annotations

import json

import numpy as np
import pytest
import soundfile

from hearlab.cli import main
from hearlab.datasets.stem_files import read_factor
from hearlab.errors import InputError
from hearlab.listeners import Audiogram, Listener
from hearlab.metrics import haaqi_stem, unit_seed
from hearlab.metrics.files import score_files

FREQUENCIES = [250, 500, 1000, 2000, 4000, 6000]
LISTENER = Listener(
    "L1", Audiogram([10, 15, 20, 40, 50, 60], FREQUENCIES), Audiogram([0, 0, 10, 20, 20, 30], FREQUENCIES)
)


def score(reference, processed, *, level: float | None = None, seed_name: str | None = None) -> dict:
    return score_files("haaqi", reference, processed, LISTENER, level=level, seed_name=seed_name)


def notes(rate: int, seconds: float = 0.6) -> np.ndarray:
    time = np.arange(round(seconds * rate)) / rate
    left = np.exp(-5 * time) * sum(np.sin(2 * np.pi * 220 * k * time) / k for k in range(1, 12))
    right = np.exp(-3 * time) * sum(np.sin(2 * np.pi * 150 * k * time) / k for k in range(1, 12))
    return 0.2 * np.stack([left, right], axis=1)


@pytest.fixture
def files(tmp_path):
    reference, processed = tmp_path / "reference.wav", tmp_path / "L1 & song.v2_left_drums.flac"
    soundfile.write(reference, notes(44100), 44100, subtype="PCM_16")
    soundfile.write(processed, np.tanh(3 * notes(24000)), 24000, subtype="PCM_16")
    return reference, processed


def test_both_ears_as_the_challenge_scores_them(files):
    found = score(*files, seed_name="song")
    random = np.random.RandomState(unit_seed("song"))
    (reference, _), (processed, _) = (soundfile.read(path) for path in files)
    for channel, ear in enumerate(("left", "right")):
        expected = haaqi_stem(
            reference[:, channel], 44100, processed[:, channel], 24000, getattr(LISTENER, ear), rng=random
        )
        assert found[ear]["score"] == expected.score
        assert found[ear]["nonlinear"] == expected.nonlinear
        assert found[ear]["linear"] == expected.linear
        assert found[ear]["features"] == expected.features.tolist()
    assert found["score"] == (found["left"]["score"] + found["right"]["score"]) / 2
    assert (found["listener"], found["level"], found["music_level"]) == ("L1", None, "challenge")


def test_the_level_of_later_versions(files, tmp_path, capsys):
    listeners = tmp_path / "listeners.json"
    listeners.write_text(json.dumps({"L1": LISTENER.as_entry()}))
    command = ["score", "haaqi", "--reference", str(files[0]), "--processed", str(files[1]), "--listener", "L1"]
    command += ["--listeners", str(listeners), "--seed-name", "song", "--json"]
    found = {}
    for rule in ("challenge", "current"):
        assert main([*command, "--music-level", rule]) == 0
        found[rule] = json.loads(capsys.readouterr().out)
        assert found[rule]["music_level"] == rule
    (reference, _), (processed, _) = (soundfile.read(path) for path in files)
    signals = reference[:, 0], 44100, processed[:, 0], 24000, LISTENER.left
    wanted = haaqi_stem(*signals, music_level="current", rng=unit_seed("song"))
    assert found["current"]["left"]["score"] == wanted.score != found["challenge"]["left"]["score"]
    with pytest.raises(SystemExit):
        main([*command, "--music-level", "current", "--level", "65"])
    assert "--level: not allowed with argument --music-level" in capsys.readouterr().err


def test_a_factor_beside_the_stem_is_applied(files):
    reference, processed = files
    plain = score(reference, processed, seed_name="song")
    processed.with_suffix(".txt").write_text("0.25\n")
    scaled = score(reference, processed, seed_name="song")
    samples, _ = soundfile.read(processed)
    soundfile.write(processed.with_suffix(".wav"), samples * 0.25, 24000, subtype="DOUBLE")
    # Beside a WAV file a .txt file means nothing.
    by_hand = score(reference, processed.with_suffix(".wav"), seed_name="song")
    assert scaled["score"] == by_hand["score"] != plain["score"]


def test_a_silent_stem_with_factor_zero(files):
    reference, processed = files
    soundfile.write(reference, np.zeros((44100, 2)), 44100, subtype="PCM_16")
    assert score(reference, processed)["score"] == 0
    soundfile.write(processed, np.zeros((24000, 2)), 24000, subtype="PCM_16")
    processed.with_suffix(".txt").write_text("0")
    assert score(reference, processed)["score"] == 1


def test_a_mono_file_is_heard_with_both_ears(files):
    reference, processed = files
    samples, _ = soundfile.read(processed)
    soundfile.write(processed, samples[:, 0], 24000, subtype="PCM_16")
    mono = score(reference, processed, seed_name="song")
    soundfile.write(processed, samples[:, [0, 0]], 24000, subtype="PCM_16")
    assert mono == score(reference, processed, seed_name="song")


def test_files_of_any_rate_keep_step(files):
    reference, processed = files
    expected = score(reference, processed, seed_name="song")
    soundfile.write(processed, np.tanh(3 * notes(44100)), 44100, subtype="PCM_16")
    found = score(reference, processed, seed_name="song")
    assert found["score"] == pytest.approx(expected["score"], abs=0.02)


def test_a_level_may_be_given(files):
    soft = score(*files, level=70.0, seed_name="song")
    loud = score(*files, level=100.0, seed_name="song")
    assert soft["level"] == 70.0
    assert soft["score"] != loud["score"]


@pytest.mark.parametrize("text", ["", "one", "nan", "inf", "-0.5", "1 2"])
def test_bad_factor(files, text):
    files[1].with_suffix(".txt").write_text(text)
    with pytest.raises(InputError, match=r"song\.v2_left_drums\.txt: is not a factor"):
        read_factor(files[1])


@pytest.mark.parametrize("level", [999, -999, float("nan")])
def test_a_level_that_means_no_answer(files, level):
    with pytest.raises(InputError, match=r"level: is no level \(found .*, wanted dB SPL"):
        score(*files, level=level)


def test_bad_files_are_named(files, tmp_path):
    reference, processed = files
    with pytest.raises(InputError, match=r"absent\.wav: no such file"):
        score(tmp_path / "absent.wav", processed)
    soundfile.write(processed, np.ones((24000, 3)) * 0.1, 24000)
    with pytest.raises(InputError, match=r"channels: wrong number of channels .*found 3, wanted 1 or 2"):
        score(reference, processed)
    soundfile.write(processed, notes(24000)[:100], 24000)
    with pytest.raises(InputError, match=r"drums\.flac: cannot be scored against .*left ear: .*too short"):
        score(reference, processed)
