"""The separator that the demo trains: it separates songs that it has not heard."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
from song_arrays import SongArrays

from hearlab.audio import read_audio
from hearlab.datasets.demo import make_demo_music
from hearlab.datasets.layout import CadenzaData
from hearlab.files import md5_of
from hearlab.separation import load_separator
from hearlab.separation.openunmix import TARGETS
from hearlab.separation.training import TrainingSettings, mixture_statistics, separator_description, train_network
from needs import need
from reference_material import REPOSITORY

torch = pytest.importorskip("torch", reason="needs hearlab[music]")
need("torchmetrics")

RATE = 44100
# Required of the demo's separator; measured 9.2 dB (SDR as in the Music Demixing Challenge) and 8.7 dB (BSSEval).
LEAST_GAIN = 6.0
# Stems of few tones leave the equations for the filter of BSSEval without a unique solution.
REGULARISATION = 1e-6

pytestmark = pytest.mark.slow


def demo_networks():
    """The folder of the networks that `make demo` has trained here; None without the committed ones."""
    lines = (line.split(maxsplit=2) for line in (REPOSITORY / "tools" / "demo_files.txt").read_text().splitlines())
    networks = {REPOSITORY / name: md5 for md5, stage, name in lines if stage == "train_separator"}
    folder = REPOSITORY / "data" / "demo" / "separator"
    names = {f"{name}{suffix}" for name in TARGETS for suffix in (".pth", ".json")} | {"separator.json"}
    assert names <= {path.name for path in networks if path.parent == folder}
    return folder if all(path.is_file() and md5_of(path) == md5 for path, md5 in networks.items()) else None


def read_songs(data, split):
    names = [song["Track Name"] for song in json.loads(data.songs(split).read_text(encoding="utf-8"))]
    return SongArrays({name: {stem: read_audio(data.stem(split, name, stem))[0] for stem in TARGETS} for name in names})


def ratios(estimate, reference):
    """Signal-to-distortion ratios in dB over a whole song, the mean of both channels: plain and of BSSEval.

    The plain one is that of the Music Demixing Challenge 2021: all that differs from the reference is distortion.
    BSSEval forgives what a filter of 512 samples does to the reference.
    """
    from torchmetrics.functional import audio as audio_metrics

    plain, filtered = [], []
    # Channel by channel: on two threads torch 2.13 solves several large systems at once wrongly.
    for pair in zip(estimate.T, reference.T, strict=True):
        found, wanted = (torch.from_numpy(np.ascontiguousarray(channel, np.float32)) for channel in pair)
        plain.append(audio_metrics.signal_noise_ratio(found, wanted))
        filtered.append(audio_metrics.signal_distortion_ratio(found, wanted, load_diag=REGULARISATION))
    return float(np.mean(plain)), float(np.mean(filtered))


def train(training, validation, folder):
    """The demo's training, by the functions behind the stage."""
    settings = TrainingSettings()
    statistics = mixture_statistics(training, settings.shape)
    for target in TARGETS:
        trained = train_network(target, training, validation, settings, statistics=statistics, device="cpu", threads=1)
        (folder / f"{target}.pth").write_bytes(trained.weights)
        (folder / f"{target}.json").write_text(json.dumps(trained.description))
    (folder / "separator.json").write_text(json.dumps(separator_description(settings.shape)))
    return folder


def test_the_trained_separator_gains_more_than_six_decibels(tmp_path, capsys):
    make_demo_music(tmp_path / "cadenza_data", seed=2)
    data = CadenzaData(tmp_path / "cadenza_data")
    validation = read_songs(data, "valid")
    folder = demo_networks() or train(read_songs(data, "train"), validation, tmp_path)
    separator = load_separator("openunmix", folder, "cpu", threads=1)
    names, before, after = [], [], []
    for name, stems in validation.stems.items():
        mixture = sum(stems.values())
        estimates = separator.separate_array(mixture, RATE)
        for target in TARGETS:
            if np.any(stems[target]):  # a silent stem has no SDR
                names.append((name, target))
                before.append(ratios(mixture, stems[target]))
                after.append(ratios(estimates[target], stems[target]))
    assert len(names) == 3 * len(TARGETS) - 1
    gain = np.median(after, axis=0) - np.median(before, axis=0)
    with capsys.disabled():
        for row in zip(names, before, after, strict=True):
            sys.stdout.write("\n{0[0]}, {0[1]}: SDR {1[0]:.1f} -> {2[0]:.1f} dB".format(*row))
        sys.stdout.write(f"\nmedian gain {gain[0]:.2f} dB (BSSEval {gain[1]:.2f} dB); networks in {folder}\n")
    assert np.all(gain >= LEAST_GAIN)
    # No stem is given up for the others.
    for target in TARGETS:
        gains = [b[0] - a[0] for (_, stem), a, b in zip(names, before, after, strict=True) if stem == target]
        assert np.median(gains) >= LEAST_GAIN / 2
