"""Headless browsers with what the tests of the site look at; both open pages from disk."""

from __future__ import annotations

import base64
import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
FIREFOX, GECKODRIVER = shutil.which("firefox-esr") or shutil.which("firefox"), shutil.which("geckodriver")
NO_BROWSER = "" if CHROMIUM and DRIVER else "no chromium or chromedriver: apt-get install chromium chromium-driver"
NO_FIREFOX = "" if FIREFOX and GECKODRIVER else "no firefox or geckodriver"
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
)
DESKTOP, WIDE, TABLET, PHONE = (1280, 900), (1400, 900), (800, 1000), (360, 780)
WAIT = 20.0  # s, on a busy machine


class Browser:
    """A Chromium with what the tests look at."""

    def __init__(self, profile: Path) -> None:
        options = webdriver.ChromeOptions()
        options.binary_location = CHROMIUM
        for flag in (*FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
        self.screen(*DESKTOP)

    def screen(self, width: int, height: int, *, dark: bool = False) -> None:
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})

    def open(self, page: Path) -> None:
        self.driver.get(page.absolute().as_uri())
        # Without the focus a page may lose a key that is pressed before anything is clicked.
        self.driver.execute_cdp_cmd("Page.bringToFront", {})
        self.driver.execute_cdp_cmd("Emulation.setFocusEmulationEnabled", {"enabled": True})
        self.until(lambda: self.run("document.hasFocus()"))

    def run(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(f"return {script}", *arguments)

    def find(self, selector: str) -> Any:
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector: str) -> list[Any]:
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def until(self, condition: Callable[[], Any]) -> Any:
        end = time.monotonic() + WAIT
        while not (found := condition()):
            assert time.monotonic() < end, "waited too long"
            time.sleep(0.02)
        return found

    def press(self, *keys: str) -> None:
        for key in keys:
            ActionChains(self.driver).send_keys(key).perform()

    def play(self) -> None:
        self.find("#play").click()
        self.until(lambda: self.run("Boolean(hearlab.state.engine?.playing && hearlab.state.engine.position() > 0.05)"))

    def errors(self) -> list[str]:
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def requests(self) -> list[str]:
        found = []
        for entry in self.driver.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                found.append(message["params"]["request"]["url"])
        return found

    def picture(self, name: str, folder: Path) -> None:
        size = self.run("[innerWidth, document.documentElement.scrollHeight]")
        clip = {"x": 0, "y": 0, "width": size[0], "height": min(size[1], 4000), "scale": 1}
        shot = self.driver.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True, "clip": clip})
        (folder / f"{name}.png").write_bytes(base64.b64decode(shot["data"]))


class Firefox(Browser):
    """The same with Firefox, which tells neither requests nor errors; its window is not narrower than 450 pixels."""

    def __init__(self, *, dark: bool = False) -> None:
        options = webdriver.FirefoxOptions()
        options.binary_location = FIREFOX
        options.add_argument("-headless")
        options.set_preference("media.autoplay.default", 0)
        options.set_preference("ui.systemUsesDarkTheme", int(dark))
        self.driver = webdriver.Firefox(options=options, service=webdriver.FirefoxService(GECKODRIVER))
        self.screen(*DESKTOP)

    def screen(self, width: int, height: int, *, dark: bool = False) -> None:
        self.driver.set_window_size(width, height + 85)  # the bars of the window

    def open(self, page: Path) -> None:
        self.driver.get(page.absolute().as_uri())

    def errors(self) -> list[str]:
        return []

    def requests(self) -> list[str]:
        return []

    def picture(self, name: str, folder: Path) -> None:
        (folder / f"firefox-{name}.png").write_bytes(self.driver.get_full_page_screenshot_as_png())
