"""Sounds heard through a hearing loss: as much quieter as the audiogram says, at the same instant, ear by ear."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from site_support import make_workspace, wav

from hearlab.datasets.layout import Workspace, enhanced_file, scene_file
from hearlab.report.site.build import build_site
from hearlab.report.site.sound.hearing_loss import attenuation, heard_through

RATE = 44100
LEFT = ((250.0, 20.0), (1000.0, 40.0), (4000.0, 60.0))
RIGHT = ((250.0, 0.0), (1000.0, -10.0), (4000.0, 30.0))
DECIBEL = 1.0  # the window blurs the curve where it is steep, at 250 Hz most


@pytest.mark.parametrize("rate", [24000, 32000, 44100])
@pytest.mark.parametrize("hertz", [300.0, 1000.0, 2000.0, 4000.0, 8000.0])
def test_a_tone_is_quieter_by_the_threshold(hertz: float, rate: int) -> None:
    times = np.arange(rate) / rate
    tone = np.stack([np.sin(2 * np.pi * hertz * times)] * 2, axis=1)
    heard = heard_through(tone, rate, (LEFT, RIGHT))
    assert heard.shape == tone.shape
    middle = slice(rate // 4, -rate // 4)
    for ear, thresholds in enumerate((LEFT, RIGHT)):
        level = 20 * np.log10(np.std(heard[middle, ear]) / np.std(tone[middle, ear]))
        assert -level == pytest.approx(attenuation(thresholds, np.array([hertz]))[0], abs=DECIBEL)


def test_the_curve_is_the_audiogram() -> None:
    found = attenuation(LEFT, np.array([0.0, 100.0, 250.0, 500.0, 1000.0, 2000.0, 4000.0, 16000.0]))
    np.testing.assert_allclose(found, [20, 20, 20, 30, 40, 50, 60, 60])
    np.testing.assert_allclose(attenuation(RIGHT, np.array([1000.0])), 0)  # better than normal: no gain


def test_a_click_stays_at_its_time() -> None:
    click = np.zeros((5000, 2))
    click[3000] = 1
    heard = heard_through(click, RATE, (LEFT, RIGHT))
    assert np.abs(heard).argmax(axis=0).tolist() == [3000, 3000]
    assert heard_through(np.zeros((0, 2)), RATE, (LEFT, RIGHT)).shape == (0, 2)


@pytest.mark.slow
def test_the_pages_have_them_by_listener_with_keys_and_the_aids_gain(tmp_path: Path) -> None:
    pytest.importorskip("plotly", reason="plotly is not installed: make test installs it")
    from test_site_files import page_data

    root = make_workspace(tmp_path / "w")
    files = Workspace(root / "data" / "demo")
    noise = 0.01 * np.random.default_rng(3).standard_normal((2 * RATE, 2))
    wav(scene_file(files.rendered("dev"), "S06001", "mix", 1), noise)
    wav(enhanced_file(files.enhanced, "S06001", "L0001"), 10 * noise)  # an aid of 20 dB
    site = build_site(root, root / "report", only=["S06001"], hearing_loss=True).index.parent
    page = site / "scenes/S06001.html"
    versions = page_data(page)["groups"][0]["versions"]
    own = ["Enhanced, {}", "Unprocessed, heard with the loss", "Enhanced, heard with the loss"]
    labels = ["Unprocessed", *(label.format("L0001") for label in own), *(label.format("L0002") for label in own)]
    assert [version["label"] for version in versions][:7] == labels
    assert "".join(version["key"] for version in versions) == "1234567890"
    heard = []
    for place in (2, 3):
        assert versions[place]["files"][0]["matched"] == versions[0]["files"][0]["matched"]
        samples, rate = soundfile.read(page.parent / versions[place]["files"][0]["url"])
        assert rate == RATE
        heard.append(samples.std(axis=0))
    np.testing.assert_allclose(heard[1] / heard[0], 10, rtol=0.01)  # the aid's gain is left
    text = page.read_text(encoding="utf-8")
    assert "WHO grade moderate (4-frequency average 38 dB, better ear)" in text
    assert "no hearing loss" not in text
    # A second site reads nothing again, and one without the option has none of them.
    assert build_site(root, root / "report", only=["S06001"], hearing_loss=True).measured == 0
    build_site(root, root / "report", only=["S06001"])
    assert not list((site / "sounds").glob("*"))


def test_without_the_unprocessed_sound_its_level_is_not_known(tmp_path: Path) -> None:
    pytest.importorskip("plotly", reason="plotly is not installed: make test installs it")
    from test_site_files import page_data

    root = make_workspace(tmp_path / "w")
    scene_file(root / "data/demo/rendered/dev", "S06001", "mix", 1).unlink()
    site = build_site(root, root / "report", only=["S06001"], hearing_loss=True)
    versions = page_data(site.index.parent / "scenes/S06001.html")["groups"][0]["versions"]
    assert "loss" not in {version["kind"] for version in versions}
    assert "Enhanced, L0001" in {version["label"] for version in versions}
    assert site.missing
