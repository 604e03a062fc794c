"""Training a tiny network: it learns, and a run that was stopped ends with the same bytes."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from song_arrays import SongArrays

from hearlab.errors import InputError, ParameterError
from hearlab.separation import load_separator, training, weights_files
from hearlab.separation.openunmix import TARGETS, UnmixShape
from hearlab.separation.spectra import Statistics, mixture_statistics
from hearlab.separation.training import TrainingSettings, separator_description, train_network
from hearlab.separation.training_data import Mixing

torch = pytest.importorskip("torch", reason="needs hearlab[music]")

# Two layers, so that there is dropout.
SHAPE = UnmixShape(sample_rate=8000, nfft=256, nhop=128, bandwidth=3000, hidden_size=8, nb_layers=2)
SETTINGS = TrainingSettings(shape=SHAPE, mixing=Mixing(excerpt=0.3), batch_size=4, steps=24, validate_every=6)


def make_songs(seed, count=2, seconds=1.5):
    """Low and high tones, clicks and noise that come and go, under the names of the stems."""
    rng = np.random.default_rng(seed)
    time = np.arange(int(8000 * seconds)) / 8000

    def song():
        swell = 0.5 + 0.5 * np.sin(2 * np.pi * rng.uniform(1, 3) * time)
        stems = {
            "vocals": swell * np.sin(2 * np.pi * rng.uniform(900, 1100) * time),
            "drums": (time % 0.25 < 0.02) * rng.standard_normal(time.size),
            "bass": np.sin(2 * np.pi * rng.uniform(90, 110) * time),
            "other": (1 - swell) * np.sin(2 * np.pi * rng.uniform(2200, 2600) * time),
        }
        return {name: 0.1 * np.stack([mono, mono], axis=1).astype(np.float32) for name, mono in stems.items()}

    return SongArrays({f"song {k}": song() for k in range(count)})


TRAIN, VALID = make_songs(1, count=6), make_songs(2)


def train(settings=SETTINGS, **options):
    return train_network("vocals", TRAIN, VALID, settings, device="cpu", **options)


@pytest.fixture(scope="module")
def whole():
    """An undisturbed run, with all its checkpoints."""
    checkpoints, states = [], []
    trained = train(checkpoint=checkpoints.append, progress=states.append)
    return trained, checkpoints, states


@pytest.mark.slow
def test_a_network_learns_what_songs_it_has_not_heard_have_in_common():
    shape = dataclasses.replace(SHAPE, hidden_size=32, nb_layers=1)
    settings = dataclasses.replace(SETTINGS, shape=shape, steps=80, validate_every=20)
    untrained = train(dataclasses.replace(settings, learning_rate=1e-12, steps=1)).description["best_loss"]
    # Measured: 0.59 of it.
    assert train(settings).description["best_loss"] < 0.75 * untrained


def test_the_best_weights_are_kept(whole):
    trained, _, states = whole
    history = trained.description["history"]
    assert [entry["step"] for entry in history] == [6, 12, 18, 24] == [state.step for state in states]
    best = min(history, key=lambda entry: entry["valid_loss"])
    assert (trained.description["best_step"], trained.description["best_loss"]) == (best["step"], best["valid_loss"])
    assert states[-1].best_loss == best["valid_loss"]
    assert states[-1].target == "vocals"


def test_the_description_is_json_and_carries_the_hash(whole):
    trained, _, _ = whole
    description = json.loads(json.dumps(trained.description))
    assert description["sha256"] == hashlib.sha256(trained.weights).hexdigest()
    assert description["args"]["hidden_size"] == 8
    assert description["settings"]["steps"] == 24


def test_twice_the_same_bytes(whole):
    trained, checkpoints, _ = whole
    again = []
    assert train(checkpoint=again.append) == trained
    assert again == checkpoints
    assert train(statistics=mixture_statistics(TRAIN, SHAPE)) == trained


@pytest.mark.slow
def test_another_seed_rate_or_target_gives_other_weights(whole):
    trained, _, _ = whole
    assert train(dataclasses.replace(SETTINGS, learning_rate=2e-3)).weights != trained.weights
    assert train(dataclasses.replace(SETTINGS, seed=1)).weights != trained.weights
    assert train_network("bass", TRAIN, VALID, SETTINGS, device="cpu").weights != trained.weights


def test_global_random_states_are_left_alone():
    torch.manual_seed(5)
    before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()
    one = train(dataclasses.replace(SETTINGS, steps=6))
    assert torch.equal(before, torch.get_rng_state())
    assert np.array_equal(numpy_before, np.random.get_state()[1])
    torch.manual_seed(6)
    assert train(dataclasses.replace(SETTINGS, steps=6)) == one


class Killed(Exception):
    pass


@pytest.mark.parametrize("after", [1, 2, 3])
def test_a_killed_run_that_goes_on_gives_the_same_bytes(whole, after):
    trained, checkpoints, _ = whole
    kept = []

    def keep(checkpoint):
        kept.append(checkpoint)
        if len(kept) == after:
            raise Killed

    with pytest.raises(Killed):
        train(checkpoint=keep)
    assert kept == checkpoints[:after]
    assert train(resume=kept[-1]) == trained


@pytest.mark.slow
def test_a_killed_process_that_is_gone_on_with_here_gives_the_same_bytes(whole, tmp_path):
    trained, checkpoints, _ = whole
    script = (
        "import os, pathlib, signal, sys\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        f"from {Path(__file__).stem} import train\n"
        f"kept = pathlib.Path({str(tmp_path)!r}) / 'checkpoint'\n"
        "def keep(checkpoint):\n"
        "    if kept.exists():\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "    kept.write_bytes(checkpoint)\n"
        "train(checkpoint=keep)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=600)
    assert done.returncode == -signal.SIGKILL, done.stderr
    checkpoint = (tmp_path / "checkpoint").read_bytes()
    assert checkpoint == checkpoints[0]
    assert train(resume=checkpoint) == trained


def test_a_finished_run_is_not_trained_again(whole):
    trained, checkpoints, _ = whole
    states = []
    assert train(resume=checkpoints[-1], progress=states.append) == trained
    assert states == []


def warned(caplog):
    told = [record.getMessage() for record in caplog.records]
    caplog.clear()
    return told


@pytest.mark.slow
def test_a_checkpoint_of_another_run_is_discarded(whole, caplog):
    trained, checkpoints, _ = whole
    other = dataclasses.replace(SETTINGS, learning_rate=2e-3)
    # Songs of the same names and lengths that sound different.
    songs = make_songs(5)

    def bass(**options):
        return train_network("bass", TRAIN, VALID, SETTINGS, device="cpu", **options)

    def other_songs(**options):
        return train_network("vocals", songs, VALID, SETTINGS, device="cpu", **options)

    for run in (partial(train, other), bass, other_songs):
        assert run(resume=checkpoints[1]) == run()
        assert warned(caplog) == ["a checkpoint is of another training and is discarded; training begins anew"]
    # Of other code, which only the key knows.
    assert train(key="other", resume=checkpoints[1]) == trained
    assert len(warned(caplog)) == 1
    assert train(resume=checkpoints[1]) == trained
    assert warned(caplog) == []


@pytest.mark.slow
def test_a_damaged_checkpoint_is_discarded(whole, caplog):
    trained, checkpoints, _ = whole
    one = checkpoints[1]
    middle = bytearray(one)
    middle[len(one) // 2] ^= 1  # in some tensor: torch itself reads it without complaint
    version = one.replace(b"checkpoint 1", b"checkpoint 0", 1)
    for damaged in (b"", b"\n", b"nothing", one[:40], one[:-100], one + b"x", b"PK" + bytes(100), middle, version):
        states = []
        assert train(resume=bytes(damaged), progress=states.append) == trained
        assert len(states) == 4  # from the beginning
        assert warned(caplog) == [
            "a checkpoint is damaged or of another version and is discarded; training begins anew"
        ]


@pytest.mark.parametrize("change", ["threads", "dtype", "flags", "gradient"])
def test_what_the_process_did_before_does_not_matter(whole, change):
    trained, _, _ = whole
    threads = torch.get_num_threads()
    try:
        if change == "threads":
            torch.set_num_threads(3)
        elif change == "dtype":
            torch.set_default_dtype(torch.float64)
        elif change == "flags":
            torch.set_flush_denormal(True)
            torch.use_deterministic_algorithms(True)
            torch.set_autocast_enabled("cpu", True)
            np.seterr(all="raise")
        else:
            torch.set_grad_enabled(False)
        assert train() == trained
    finally:
        np.seterr(divide="warn", over="warn", under="ignore", invalid="warn")
        torch.set_num_threads(threads)
        torch.set_default_dtype(torch.float32)
        torch.set_flush_denormal(False)
        torch.use_deterministic_algorithms(False)
        torch.set_autocast_enabled("cpu", False)
        torch.set_grad_enabled(True)


@pytest.mark.slow
def test_the_learning_rate_falls_and_training_ends_early_when_nothing_gets_better():
    # At this rate nothing is learnt: the first validations differ, and the best is not reached again.
    settings = dataclasses.replace(
        SETTINGS, learning_rate=10.0, steps=600, validate_every=3, decay=0.5, decay_patience=1, stop_patience=3
    )
    trained = train(settings)
    history = trained.description["history"]
    assert history[-1]["step"] < 600
    losses = [entry["valid_loss"] for entry in history]
    assert losses.index(min(losses)) == len(losses) - 4
    # The weights are those of the best validation, not of the last.
    best = history[losses.index(min(losses))]["step"]
    assert trained.weights == train(dataclasses.replace(settings, steps=best)).weights
    rates = [entry["learning_rate"] for entry in history]
    assert rates[-1] == rates[-2] / 2 == rates[-3] / 4


def test_the_input_is_standardised_and_the_output_begins_at_an_equal_share():
    rng = np.random.default_rng(0)
    statistics = Statistics(rng.uniform(1, 2, SHAPE.bins), rng.uniform(1, 2, SHAPE.bins))
    settings = dataclasses.replace(SETTINGS, learning_rate=1e-9, steps=1)
    trained = train(settings, statistics=statistics)
    state = torch.load(io.BytesIO(trained.weights), weights_only=True)
    used = SHAPE.bins_used
    assert used == 97  # bins of 31.25 Hz up to 3 kHz
    assert -state["input_mean"].numpy() == pytest.approx(statistics.mean[:used], rel=1e-6)
    assert 1 / state["input_scale"].numpy() == pytest.approx(statistics.deviation[:used], rel=1e-6)
    assert state["output_mean"].numpy() == pytest.approx(np.full(SHAPE.bins, 0.25), abs=1e-6)


class Counted(SongArrays):
    """Songs that count how often they are read."""

    reads = 0

    def excerpt(self, song, stem, start, frames):
        Counted.reads += 1
        return super().excerpt(song, stem, start, frames)


@pytest.mark.parametrize("kept", [True, False])
def test_spectra_of_validation_songs_are_kept_if_they_are_small(whole, monkeypatch, kept):
    monkeypatch.setattr(Counted, "reads", 0)
    monkeypatch.setattr(training, "KEPT_BYTES", training.KEPT_BYTES if kept else 0)
    steps = []
    validation = Counted(make_songs(2).stems)
    found = train_network(
        "vocals", TRAIN, validation, SETTINGS, device="cpu", progress=lambda state: steps.append(Counted.reads)
    )
    assert found.weights == whole[0].weights
    again = np.diff(steps)
    assert len(again) == SETTINGS.steps // SETTINGS.validate_every - 1
    assert (again == 0).all() if kept else (again > 0).all()


def test_bad_settings_and_songs():
    with pytest.raises(ParameterError, match=r"target: is not a stem \(found flute, wanted vocals, drums"):
        train_network("flute", TRAIN, VALID, SETTINGS, device="cpu")
    with pytest.raises(ParameterError, match=r"training: steps: is too small \(found 0, wanted 1\)"):
        train(dataclasses.replace(SETTINGS, steps=0))
    with pytest.raises(ParameterError, match="device: is unknown"):
        train_network("vocals", TRAIN, VALID, SETTINGS, device="gpu0")
    short = make_songs(3, seconds=0.01)
    with pytest.raises(InputError, match=r"training songs: no song is long enough \(wanted one of 256 samples"):
        train_network("vocals", short, VALID, SETTINGS, device="cpu")
    with pytest.raises(InputError, match="validation songs: no song is long enough"):
        train_network("vocals", TRAIN, SongArrays({}), SETTINGS, device="cpu")


def test_songs_that_are_no_numbers_are_one_line():
    broken = SongArrays({"song": {stem: np.full((8000, 2), np.nan, np.float32) for stem in TARGETS}})
    with pytest.raises(InputError, match="training: loss at step 6: does not converge"):
        train_network("vocals", broken, VALID, SETTINGS, device="cpu")


def test_a_trained_folder_separates(tmp_path):
    settings = dataclasses.replace(SETTINGS, steps=6)
    (tmp_path / "separator.json").write_text(json.dumps(separator_description(SHAPE)))
    for target in TARGETS:
        trained = train_network(target, TRAIN, VALID, settings, device="cpu")
        (tmp_path / f"{target}.pth").write_bytes(trained.weights)
        (tmp_path / f"{target}.json").write_text(json.dumps(trained.description))
    assert len(weights_files("openunmix", tmp_path)) == 9
    separator = load_separator("openunmix", tmp_path, "cpu", threads=1)
    assert (separator.rate, separator.sources) == (8000, TARGETS)
    mixture = sum(VALID.stems["song 0"].values())
    stems = separator.separate_array(mixture, 8000)
    assert {name: stem.shape for name, stem in stems.items()} == dict.fromkeys(TARGETS, mixture.shape)
    assert all(np.array_equal(stems[name], again) for name, again in separator.separate_array(mixture, 8000).items())
    # A song of one sample, and silence.
    assert separator.separate_array(mixture[:1], 8000)["bass"].shape == (1, 2)
    assert not any(np.any(stem) for stem in separator.separate_array(0 * mixture, 8000).values())
