"""The site in Chromium and Firefox, opened from disk: it loads, plays, switches, sorts, filters, tests blindly."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from site_support import HOSTILE_SCENE, HOSTILE_SONG

from hearlab.report.site.build import build_site
from hearlab.report.site.pages import file_name

pytest.importorskip("selenium", reason="selenium is not installed: make test installs it")
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from site_browser import BROWSERS, DESKTOP, NO_FIREFOX, PHONE, TABLET, WIDE, Browser, Firefox, started

pytestmark = pytest.mark.slow
IN_STEP = 0.05  # s: two buffers of Chromium's audio output on a busy machine; 0.000 where rates are equal, in quiet
ROW = 60.0  # pixels: two lines of text
HEARD_STILL = 0.08  # s: the same, and the time of the call itself


@pytest.fixture(scope="module", params=BROWSERS)
def opened(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    browser = started(request.param, tmp_path_factory.mktemp("profile"))
    yield browser
    browser.quit()


@pytest.fixture
def browser(opened: Browser) -> Iterator[Browser]:
    opened.screen(*DESKTOP)
    opened.driver.get("about:blank")
    opened.errors()
    opened.requests()
    yield opened
    assert opened.errors() == []
    for address in opened.requests():
        assert address.startswith(("file:", "data:", "blob:", "about:")), address


@pytest.fixture(scope="module")
def screenshots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    named = os.environ.get("HEARLAB_SCREENSHOTS")
    folder = Path(named) if named else tmp_path_factory.mktemp("screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def test_errors_and_requests_would_be_seen(opened: Browser, tmp_path: Path) -> None:
    with socket.socket() as nobody:  # answers: it does not listen
        nobody.bind(("127.0.0.1", 0))
        away = f"http://127.0.0.1:{nobody.getsockname()[1]}/away"
        scripts = f"console.error('told'); fetch('{away}'); throw new Error('thrown')"
        (tmp_path / "page.html").write_text(f"<script>{scripts}</script>")
        opened.open(tmp_path / "page.html")
        errors: list[str] = []
        opened.until(lambda: errors.extend(opened.errors()) or all(x in " ".join(errors) for x in ("told", "thrown")))
        requests: list[str] = []
        opened.until(lambda: requests.extend(opened.requests()) or away in requests)


def test_two_clicks_from_the_first_page_to_sound(browser: Browser, site: Path) -> None:
    browser.open(site / "index.html")
    browser.find(".links a").click()
    assert "Unprocessed" in browser.find("[data-version] button").text
    browser.play()
    browser.until(lambda: browser.run("hearlab.state.engine.position()") > 0.3)
    assert browser.find("#play").text == "Pause"
    browser.find("#play").click()
    assert browser.find("#play").text == "Play"


def test_versions_play_in_step_and_switch_at_the_same_instant(browser: Browser, site: Path) -> None:
    browser.open(site / "scenes/S06001.html")
    browser.find("#loop").click()
    browser.play()
    # How soon is a matter of the machine's load, and a single look may be wrong by a buffer.
    browser.until(lambda: max(abs(offset) for offset in browser.run("hearlab.state.engine.offsets()")) < IN_STEP)
    for number in (1, 2, 3, 0):
        browser.until(
            lambda number=number: browser.run(
                "(() => { const engine = hearlab.state.engine; const [at, was] = [engine.position(), engine.active];"
                "hearlab.select(arguments[0]); const still = Math.abs(engine.position() - at) < arguments[1];"
                "if (!still) hearlab.select(was); return still; })()",
                number,
                HEARD_STILL,
            )
        )
        volumes: list[float] = []

        def alone(number: int = number, volumes: list[float] = volumes) -> bool:
            volumes[:] = browser.run("hearlab.state.engine.parts.map(({audio}) => audio.muted ? 0 : audio.volume)")
            return [place for place, volume in enumerate(volumes) if volume > 1e-4] == [number]

        browser.until(alone)  # after the fade
        data = browser.run("hearlab.page.groups[0].versions[arguments[0]].files[0].matched", number)
        assert volumes[number] == pytest.approx(data, rel=1e-3)
        pressed = [item.get_attribute("aria-pressed") for item in browser.all("[data-version] button")]
        assert pressed.index("true") == number
        assert pressed.count("true") == 1
    # As they are: the quietest and the loudest are no longer brought together.
    browser.find("#matched").click()
    assert browser.run("hearlab.state.engine.parts[0].file.volume") == 1


@pytest.mark.skipif(bool(NO_FIREFOX), reason=NO_FIREFOX)
@pytest.mark.parametrize("portable", [False, True])
def test_without_a_sound_output_a_page_says_so(workspace: Path, tmp_path: Path, portable: bool) -> None:
    made = build_site(workspace, tmp_path / "site", portable=portable, only=["S06001"]).index.parent
    firefox = Firefox(tmp_path, audible=False)
    try:
        firefox.open(made / "scenes/S06001.html")
        for _ in range(2):
            firefox.find("#play").click()
            firefox.until(lambda: "Cannot play: is there a sound output?" in firefox.find("#status").text)
            assert firefox.find("#play").text == "Play"
            firefox.driver.execute_script("document.getElementById('status').textContent = ''")
        assert firefox.errors() == []
    finally:
        firefox.quit()


def test_playing_ends_and_repeats(browser: Browser, site: Path) -> None:
    browser.open(site / "scenes/S06002.html")
    browser.play()
    browser.run("hearlab.seek(1.7)")
    browser.until(lambda: not browser.run("hearlab.state.engine.playing"))
    assert browser.find("#play").text == "Play"
    browser.find("#loop").click()
    browser.play()
    browser.run("hearlab.seek(1.7)")
    browser.until(lambda: 0 < browser.run("hearlab.state.engine.position()") < 1)
    assert browser.run("hearlab.state.engine.playing")


def test_keys(browser: Browser, site: Path) -> None:
    browser.open(site / "scenes/S06001.html")
    browser.press(" ")
    browser.until(lambda: browser.run("Boolean(hearlab.state.engine?.playing)"))
    browser.press("2")
    browser.until(lambda: browser.run("hearlab.state.engine.active") == 1)
    browser.press(" ")
    browser.until(lambda: not browser.run("hearlab.state.engine.playing"))
    browser.press(Keys.HOME)
    browser.until(lambda: browser.run("hearlab.state.engine.position()") == 0)
    browser.press(Keys.ARROW_RIGHT)
    browser.until(lambda: browser.run("hearlab.state.engine.position()") == pytest.approx(2, abs=0.01))
    browser.press(Keys.ARROW_LEFT)
    browser.until(lambda: browser.run("hearlab.state.engine.position()") == pytest.approx(0, abs=0.01))
    browser.press("m")
    assert not browser.find("#matched").is_selected()
    browser.press("l")
    assert browser.find("#loop").is_selected()
    browser.press("b")
    assert browser.find("#blind").get_attribute("open")
    assert browser.run("document.activeElement.id") == "blind-a"


def test_a_spectrogram_seeks(browser: Browser, site: Path) -> None:
    browser.open(site / "scenes/S06001.html")
    picture = browser.all(".picture")[1]
    ActionChains(browser.driver).move_to_element(picture).click().perform()
    browser.until(lambda: browser.run("Number(document.getElementById('seek').value)") == pytest.approx(1.0, abs=0.05))
    assert browser.all("[data-version]")[1].get_attribute("class").endswith("chosen")


def test_stems_of_a_hostile_song(browser: Browser, site: Path, screenshots: Path) -> None:
    browser.open(site / "songs" / file_name(HOSTILE_SONG))
    assert browser.find("h1").text == HOSTILE_SONG
    browser.play()
    next(button for button in browser.all("[data-show-group]") if button.text == "Bass").click()
    browser.until(lambda: browser.run("hearlab.state.engine?.playing && hearlab.group().name === 'Bass'"))
    browser.press("3")
    # Both ears of an enhanced stem sound.
    browser.until(
        lambda: browser.run("hearlab.state.engine.parts.filter(({audio}) => audio.volume > 1e-4).length") == 2
    )
    shown = [item for item in browser.all("[data-version]") if item.is_displayed()]
    assert len(shown) == 4
    browser.picture("song-hostile", screenshots)


def test_tables_sort_and_filter(browser: Browser, site: Path) -> None:
    browser.open(site / "speech.html")

    def names() -> list[str]:
        return [row.text for row in browser.all("#units tbody tr:not([hidden]) th")]

    assert HOSTILE_SCENE in names()
    heading = next(button for button in browser.all("#units thead button") if button.text == "SNR (dB)")
    heading.click()
    assert names()[0] == "S06002"
    heading.click()
    assert names()[0] == "S06001"
    assert heading.find_element(By.XPATH, "..").get_attribute("aria-sort") == "ascending"
    browser.find("#units-filter").send_keys("s06002")
    browser.until(lambda: names() == ["S06002"])
    assert browser.find("#units-count").text == "1 of 3"


def test_a_point_of_a_figure_leads_to_its_scene(browser: Browser, site: Path) -> None:
    browser.open(site / "speech.html")
    browser.until(lambda: browser.run("Boolean(document.getElementById('chart-snr').dataset.ready)"))

    def there() -> bool:
        """The figure hears a click once it has seen that the pointer is over the point, which it looks for at times."""
        with contextlib.suppress(StaleElementReferenceException):  # of the page that was left
            for point in browser.all("#chart-snr .scatterlayer .point")[:1]:
                ActionChains(browser.driver).move_to_element(point).pause(0.3).click().pause(0.3).perform()
        return "/scenes/S0600" in browser.driver.current_url

    browser.until(there)


def test_blind_test(browser: Browser, site: Path, screenshots: Path) -> None:
    browser.open(site / "scenes/S06001.html")
    browser.find("#blind summary").click()
    browser.find("#blind-count").send_keys("4")
    browser.find("#blind-start").click()
    assert "Enhanced" not in browser.find("main").text
    assert not any(item.is_displayed() for item in browser.all("[data-version], .unblind"))
    browser.picture("blind-trial", screenshots)
    enhanced = 1
    for trial in range(4):
        browser.until(lambda: browser.run("Boolean(hearlab.state.engine)"))
        browser.find("#prefer-first").click()  # both must be heard before
        assert "both" in browser.find("#blind-said").text
        browser.press("1", "2")
        browser.until(lambda: browser.find("#blind-second").get_attribute("aria-pressed") == "true")
        second = browser.run("hearlab.state.engine.active")
        browser.find("#prefer-second" if second == enhanced else "#prefer-first").click()
        if trial < 3:
            assert browser.find("#blind-said").text == f"Trial {trial + 2} of 4"
    result = browser.run("hearlab.blindResult")
    assert result["preferred"] == {"a": 0, "b": 4, "none": 0}
    assert result["versions"] == {"a": "Unprocessed", "b": "Enhanced, L0001"}
    assert result["sign_test_p"] == pytest.approx(2 * 0.5**4)
    assert sorted(trial["first"] for trial in result["trials"]) == ["a", "a", "b", "b"]
    saved = browser.driver.execute_async_script(
        "const done = arguments[0]; fetch(document.getElementById('blind-save').href)"
        ".then((answer) => answer.json()).then(done)"
    )
    assert saved == result
    assert browser.find("#blind-save").get_attribute("download").startswith("blind-S06001-")
    assert any(item.is_displayed() for item in browser.all("[data-version]"))
    browser.picture("blind-result", screenshots)


def test_every_control_has_a_name(browser: Browser, site: Path) -> None:
    if isinstance(browser, Firefox):
        pytest.skip("Firefox does not tell its tree of names")
    roles = {"button", "slider", "checkbox", "combobox", "searchbox", "link", "image", "heading"}
    for page in ("index.html", "speech.html", "music.html", "experiments.html", "scenes/S06001.html"):
        browser.open(site / page)
        for chart in browser.all(".chart"):
            browser.until(lambda chart=chart: chart.get_attribute("data-ready"))
        for panel in browser.all("details"):
            browser.driver.execute_script("arguments[0].open = true", panel)
        tree = browser.driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
        found = [node for node in tree if node.get("role", {}).get("value") in roles and not node["ignored"]]
        assert len(found) > 5
        for node in found:
            assert node.get("name", {}).get("value", "").strip(), (page, node["role"], node.get("backendDOMNodeId"))


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, TABLET, PHONE], ids=["wide", "tablet", "phone"])
def test_pages_fit_the_screen(
    browser: Browser, site: Path, screenshots: Path, size: tuple[int, int], dark: bool
) -> None:
    browser.screen(*size, dark=dark)
    name = f"{size[0]}-{'dark' if dark else 'light'}"
    song = f"songs/{file_name(HOSTILE_SONG)}"
    tables = ("index.html", "speech.html", "music.html", "leaderboard.html", "experiments.html")
    for page in (*tables, "scenes/S06001.html", song):
        browser.open(site / page)
        for chart in browser.all(".chart"):
            browser.until(lambda chart=chart: chart.get_attribute("data-ready"))
        if page == "leaderboard.html":
            heights = [row.rect["height"] for row in browser.all(".board tbody tr")]
            assert max(heights) <= ROW
        assert browser.run("document.documentElement.scrollWidth <= innerWidth"), page
        browser.picture(f"{name}-{Path(page).stem[:12]}", screenshots)


def test_a_portable_site_switches_at_the_very_sample(browser: Browser, workspace: Path, tmp_path: Path) -> None:
    made = build_site(workspace, tmp_path / "portable", portable=True, only=["S06001"]).index.parent
    moved = Path(shutil.move(made, tmp_path / "moved & 100% #1"))
    browser.open(moved / "scenes/S06001.html")
    browser.play()
    assert browser.run("hearlab.state.engine.kind") == "buffers"
    browser.press("2")
    browser.until(lambda: browser.run("hearlab.state.engine.active") == 1)
    # What the browser decoded is the file, version by version, from its first sample.
    for place, name in enumerate(("rendered/dev/S06001_mix_CH1.wav", "enhanced/S06001_L0001_HA-output.wav")):
        source, rate = soundfile.read(workspace / "data/demo" / name)
        if browser.run("hearlab.state.engine.context.sampleRate") != rate:
            pytest.skip(f"the browser's audio runs at another rate than {rate} Hz, so it resamples")
        decoded = browser.run(
            "Array.from(hearlab.state.engine.buffers[arguments[0]][0].getChannelData(0).slice(0, 30000))", place
        )
        np.testing.assert_allclose(decoded, source[:30000, 0], atol=1 / 32768)
    # The fade from one to the other leaves no gap: both gains always sum to 1.
    sums = browser.driver.execute_async_script(
        "const done = arguments[0]; const list = []; const engine = hearlab.state.engine;"
        "const read = () => engine.gains.map((gain) => gain.gain.value);"
        # The sound's own thread may change them between two readings: those of one moment are the same twice.
        "const look = () => { let one = read(), two = read();"
        "while (String(one) !== String(two)) { one = two; two = read(); }"
        "list.push(two.reduce((sum, gain) => sum + gain, 0));"
        "list.length < 15 ? setTimeout(look, 2) : done(list); };"
        "engine.play(0).then(() => { hearlab.select(0); look(); });"
    )
    # On a busy machine it may stop between the two: one has gone on by a block, 128 samples of the fade's 12 ms. A
    # fade with a gap, or one after the other, would be far from 1 in the middle.
    block = 128 / browser.run("hearlab.state.engine.context.sampleRate") / 0.012
    np.testing.assert_allclose(sums, 1, atol=block + 0.02)
    assert np.count_nonzero(np.abs(np.subtract(sums, 1)) > 0.02) <= 2, sums
