"""The site of the documentation, built with links checked and notebooks run, and read in Chromium from disk."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from waits import until

REPOSITORY = Path(__file__).resolve().parents[2]
CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
LARGEST = 12_000_000  # bytes of the whole site; 7 MB now, most of it the theme's
pytestmark = pytest.mark.slow


def needs_mkdocs() -> None:
    for module in ("mkdocs", "mkdocstrings", "material", "jupytext", "nbconvert"):
        pytest.importorskip(module, reason=f"{module} is not installed: make docs installs it")


def needs_demo() -> None:
    needs_mkdocs()
    if not (REPOSITORY / "data/demo/enhanced").is_dir() or not (REPOSITORY / "metrics/speech.csv").is_file():
        pytest.skip("the notebooks run on the demo's results: make demo")


def mkdocs(root: Path, out: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(root / "src")}
    command = (sys.executable, "-m", "mkdocs", "build", "--site-dir", str(out))
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site; HEARLAB_DOCS names one that `make docs` has just built."""
    if named := os.environ.get("HEARLAB_DOCS"):
        return Path(named)
    needs_demo()
    out = tmp_path_factory.mktemp("docs") / "site"
    done = mkdocs(REPOSITORY, out)
    assert done.returncode == 0, done.stdout + done.stderr
    return out


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed: make test installs it")
    if CHROMIUM is None or DRIVER is None:
        pytest.skip("no chromium or chromedriver: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    profile = f"--user-data-dir={tmp_path_factory.mktemp('profile')}"
    quiet = ("--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run")
    sound = "--autoplay-policy=no-user-gesture-required"
    for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", *quiet, sound, profile):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    driver.set_window_size(1280, 900)
    yield driver
    driver.quit()


def requested(browser: Any) -> set[str]:
    """Schemes of all addresses that pages have asked for."""
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    sent = [one["params"]["request"]["url"] for one in messages if one["method"] == "Network.requestWillBeSent"]
    return {address.partition(":")[0] for address in sent if not address.startswith("chrome")}


def test_the_notebooks_ran_and_the_site_is_small(site: Path) -> None:
    page = (site / "notebooks/first-look.html").read_text(encoding="utf-8")
    assert "0.23841168" in page  # a score of the demo's lock
    assert page.count("<audio") == 3
    assert "data:audio" not in page
    assert (site / "notebooks/first-look-1.flac").stat().st_size > 10_000
    assert "95 % interval" in (site / "notebooks/own-enhancer.html").read_text(encoding="utf-8")
    assert "<table" in (site / "notebooks/reading-results.html").read_text(encoding="utf-8")
    assert sum(path.stat().st_size for path in site.rglob("*") if path.is_file()) < LARGEST


def test_from_disk_the_search_finds_and_nothing_is_fetched(site: Path, browser: Any) -> None:
    browser.get((site / "index.html").absolute().as_uri())
    box = until(lambda: browser.find_element("css selector", ".md-search__input"))
    box.click()
    box.send_keys("audiogram")
    found = "document.querySelector('.md-search-result__link{}')?.href"
    until(lambda: browser.execute_script(f"return {found.format('[href*=hearing-aids]')}"))
    # The list is made anew with each letter: what was found in it may be gone.
    address = browser.execute_script(f"return {found.format('')}")
    assert address.startswith("file:")
    browser.get(address)
    assert "Audiogram" in browser.find_element("css selector", "article").text
    assert browser.get_log("browser") == []
    assert requested(browser) <= {"file", "data", "about", "blob"}


def test_a_sound_of_a_notebook_plays(site: Path, browser: Any) -> None:
    browser.get((site / "notebooks/first-look.html").absolute().as_uri())
    browser.execute_script("document.querySelector('audio').play()")
    until(lambda: browser.execute_script("return document.querySelector('audio').currentTime > 0.1"))
    assert browser.execute_script("return document.querySelector('audio').duration") == pytest.approx(3.24, abs=0.02)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ("[gone](gone.md)", "gone.md"),
        ("::: hearlab.metrics.no_such_metric", "no_such_metric"),
    ],
)
def test_a_broken_link_or_name_fails_the_build(tmp_path: Path, change: str, line: str) -> None:
    needs_demo()
    root = small_copy(tmp_path)
    page = root / "docs/reference/metrics.md"
    page.write_text(f"{page.read_text()}\n{change}\n")
    done = mkdocs(root, tmp_path / "site")
    assert done.returncode != 0
    assert line in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("dataset", "line"),
    [
        ("demo", "there is no metrics/speech.csv: make demo, then make docs"),
        (
            "clinic",
            "dataset is clinic: dvc exp run -S dataset=demo, then make docs; dvc exp run -S dataset=clinic goes back",
        ),
    ],
)
def test_without_the_demo_the_build_says_so_and_leaves_the_site(tmp_path: Path, dataset: str, line: str) -> None:
    needs_mkdocs()
    root = small_copy(tmp_path)
    (root / "docs/notebooks").mkdir()
    shutil.copy(REPOSITORY / "docs/notebooks/first-look.md", root / "docs/notebooks")
    (root / "params.yaml").write_text(f"dataset: {dataset}\n")
    before = tmp_path / "site" / "index.html"
    before.parent.mkdir()
    before.write_text("of the last build")
    done = mkdocs(root, tmp_path / "site")
    assert done.returncode != 0
    assert f"docs/notebooks/: run on the demo's results, and {line}" in done.stderr
    assert "Traceback" not in done.stderr
    assert before.read_text() == "of the last build"


def small_copy(folder: Path) -> Path:
    """What a site without notebooks is made from, with a menu of one page."""
    root = folder / "repository"
    for name in ("src", "tools", "examples"):
        shutil.copytree(REPOSITORY / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    (root / "docs/reference").mkdir(parents=True)
    shutil.copytree(REPOSITORY / "docs/assets", root / "docs/assets")
    (root / "docs/reference/metrics.md").write_text("# Metrics\n\n::: hearlab.metrics.unit_seed\n")
    for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "examples/my_lab/README.md"):
        (root / name).write_text("# A page\n")
    settings = (REPOSITORY / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:\n")[0]
    settings = settings.replace("omitted_files: warn", "omitted_files: ignore")
    (root / "mkdocs.yml").write_text(settings, encoding="utf-8")
    return root
