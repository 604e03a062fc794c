"""The time axis in headless Chromium and Firefox: a burst is drawn at its time, and a click on it goes there."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from site_support import make_workspace, wav

from hearlab.audio import write_wav
from hearlab.datasets.layout import Workspace, enhanced_file, scene_file
from hearlab.report.site.build import build_site
from hearlab.report.site.sound.spectrogram import frequency_position

pytest.importorskip("selenium", reason="selenium is not installed: make test installs it")
from selenium.webdriver.common.action_chains import ActionChains
from site_browser import BROWSERS, Browser, started

pytestmark = pytest.mark.slow
AT, HERTZ, SECONDS, LONGER = 9.385, 2500.0, 12.0, 13.5  # of a burst, and of the versions
PIXELS = 2.0  # a column of the picture is as wide as a pixel of the page, or a little wider
SCENE = "S06001"


def sound(seconds: float, rate: int = 44100) -> np.ndarray:
    """A burst of 30 ms over faint noise, shape (n, 2)."""
    times = np.arange(round(rate * seconds)) / rate
    noise = 1e-4 * np.random.default_rng(3).standard_normal(times.size)
    burst = np.where(np.abs(times - AT) < 0.015, 0.5 * np.sin(2 * np.pi * HERTZ * times), 0.0)
    return np.stack([burst + noise] * 2, axis=1)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = make_workspace(tmp_path_factory.mktemp("bursts"))
    files = Workspace(root / "data" / "demo")
    wav(scene_file(files.rendered("dev"), SCENE, "mix", 1), sound(SECONDS))
    wav(enhanced_file(files.enhanced, SCENE, "L0001"), sound(LONGER))
    other = enhanced_file(files.enhanced, SCENE, "L0002")
    write_wav(other, sound(SECONDS, 32000).astype(np.float32), 32000)
    return build_site(root, root / "report", only=[SCENE]).index.parent / "scenes" / f"{SCENE}.html"


@pytest.fixture(scope="module", params=BROWSERS)
def browser(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    opened = started(request.param, tmp_path_factory.mktemp("profile"))
    yield opened
    opened.quit()


def brightest(png: bytes) -> tuple[float, float]:
    """Middle of the brightest pixels, as parts of width and height."""
    pixels = np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).sum(axis=2).astype(float)
    edge = 6  # the playhead stands at the beginning, and through round corners one sees the page
    pixels[:, :edge] = pixels[:, -edge:] = pixels[:edge] = pixels[-edge:] = 0
    bright = pixels > 0.9 * pixels.max()
    rows, columns = np.flatnonzero(bright.any(axis=1)), np.flatnonzero(bright.any(axis=0))
    return (columns.mean() + 0.5) / pixels.shape[1], (rows.mean() + 0.5) / pixels.shape[0]


@pytest.mark.parametrize("width", [360, 800, 1400])
def test_a_burst_is_drawn_heard_and_clicked_at_its_time(browser: Browser, page: Path, width: int) -> None:
    browser.screen(width, 900)
    browser.open(page)
    shown = ["Unprocessed", "Enhanced, L0001", "Enhanced, L0002"]
    for label in shown:
        item = next(
            one for one in browser.all("[data-version]") if label in one.find_element("tag name", "button").text
        )
        picture = item.find_element("css selector", ".picture")
        browser.driver.execute_script(
            "arguments[0].scrollIntoView({block: 'center'}); const image = arguments[0].querySelector('img');"
            "image.loading = 'eager'; return image.decode()",
            picture,
        )
        browser.run("hearlab.seek(0)")
        x, y = brightest(picture.screenshot_as_png)
        box = picture.rect
        second = PIXELS * LONGER / box["width"]
        assert x * LONGER == pytest.approx(AT, abs=second), label
        assert y == pytest.approx(frequency_position(HERTZ), abs=PIXELS / box["height"])
        # A click on the burst goes to its time.
        offset = round(x * box["width"] - box["width"] / 2), round(y * box["height"] - box["height"] / 2)
        ActionChains(browser.driver).move_to_element_with_offset(picture, *offset).click().perform()
        assert float(browser.run("document.getElementById('seek').value")) == pytest.approx(AT, abs=second)
        # The playhead of the burst's time is on the burst.
        browser.run(f"hearlab.seek({AT})")
        head = item.find_element("css selector", ".head").rect
        assert head["x"] + head["width"] / 2 - box["x"] == pytest.approx(x * box["width"], abs=PIXELS)


def test_the_labels_of_the_axis_stand_at_their_times(browser: Browser, page: Path) -> None:
    browser.screen(1400, 900)
    browser.open(page)
    box = browser.all(".picture")[-1].rect
    labels = browser.all(".times span")
    assert [label.text for label in labels] == ["0 s", "2 s", "4 s", "6 s", "8 s", "10 s", "12 s"]
    for label in labels:
        middle = label.rect["x"] + label.rect["width"] / 2 - box["x"]
        assert middle / box["width"] * LONGER == pytest.approx(float(label.text.split()[0]), abs=0.03)


def test_a_click_behind_the_end_of_a_short_version_goes_to_its_end(browser: Browser, page: Path) -> None:
    browser.screen(1400, 900)
    browser.open(page)
    picture = browser.all(".picture")[0]
    right = round(0.49 * picture.rect["width"])
    ActionChains(browser.driver).move_to_element_with_offset(picture, right, 0).click().perform()
    assert float(browser.run("document.getElementById('seek').value")) == pytest.approx(SECONDS, abs=0.011)
