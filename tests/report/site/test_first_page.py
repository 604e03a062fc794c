"""The first page tells in one glance what came out; this result stands in the leaderboard; sweeps have a figure."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from site_support import REPOSITORY, make_workspace

from hearlab.report.experiments.listing import Experiment, differing_only
from hearlab.report.site.charts import fitting_range
from hearlab.report.site.sweep_charts import shown_parameters, sweep_charts

pytest.importorskip("plotly", reason="plotly is not installed: make test installs it")


def figures(page: Path) -> dict[str, dict]:
    found = re.search(r'id="chart-data">(.*?)</script>', page.read_text(encoding="utf-8"), re.S)
    assert found
    return {chart["name"]: chart for chart in json.loads(found[1])}


def entry(name: str, score: float, **parameters: object) -> Experiment:
    values = {key.replace("__", "."): value for key, value in parameters.items()}
    return Experiment(name, "experiment", "", None, {"HASPI enhanced": score, "HASPI unprocessed": 0.1}, values)


def test_the_first_page_has_verdict_interval_and_figures(site: Path) -> None:
    text = (site / "index.html").read_text(encoding="utf-8")
    assert re.search(r'class="verdict"><strong>\w[^<]* unprocessed</strong>: HASPI changes by', text)
    assert "HAAQI 0.450 (95 % interval" in text
    found = figures(site / "index.html")
    assert set(found) == {"snr", "stems"}
    pairs = found["snr"]["data"][0]
    assert pairs["mode"] == "lines"
    assert len(pairs["x"]) == 3 * 6  # both scores of each of six pairs, and a gap
    assert pairs["y"][:2] == [0.25, 0.3]
    low, high = found["stems"]["layout"]["yaxis"]["range"]
    assert 0.3 < low < 0.4
    assert 0.5 < high < 0.6


def test_curves_and_their_bands_are_drawn_where_scenes_tell_them(tmp_path: Path) -> None:
    from hearlab.report.site.build import build_site

    root = make_workspace(tmp_path / "w")
    scenes = [{"scene": f"S{k}", "SNR": k - 6.0, "interferers": []} for k in range(12)]
    (root / "data/demo/scene_lists").mkdir(exist_ok=True)
    (root / "data/demo/scene_lists/scenes.dev.json").write_text(json.dumps(scenes))
    for name, gain in (("speech.csv", 0.3), ("speech_unprocessed.csv", 0.2)):
        rows = [f"S{k},L000{ear},{gain + 0.04 * k + 0.02 * (k % 3)}" for k in range(12) for ear in (1, 2)]
        (root / "metrics" / name).write_text("\n".join(["scene,listener,haspi", *rows, ""]))
    build_site(root, root / "report", pages=0)
    lines = [trace for trace in figures(root / "report/index.html")["snr"]["data"] if trace["mode"] == "lines"]
    assert len(lines) == 1 + 2 * 2
    band, curve = lines[3:5]
    assert band["fill"] == "toself"
    half = len(curve["x"])
    assert all(
        low <= mean <= high for low, mean, high in zip(band["y"][half:][::-1], curve["y"], band["y"], strict=False)
    )
    assert curve["y"] == sorted(curve["y"])


def test_songs_are_points_on_an_axis_that_fits_with_their_conditions_joined(workspace: Path, tmp_path: Path) -> None:
    from hearlab.report.site.build import build_site

    root, other = tmp_path / "w", tmp_path / "before"
    shutil.copytree(workspace, root, ignore=shutil.ignore_patterns("report"))
    other.mkdir()
    header = (root / "metrics/music.csv").read_text(encoding="utf-8").splitlines()[0]
    for folder, scores in ((other, (0.2, 0.22, 0.3)), (root / "metrics", (0.24, 0.28, 0.27))):
        songs = zip(("Low, L5041", "Low, L5042", "High, L5041"), scores, strict=True)
        rows = [f"{song.replace(', ', ',')},{score}{',0.3' * 8}" for song, score in songs]
        (folder / "music.csv").write_text("\n".join([header, *rows, ""]), encoding="utf-8")
    chart = figures(build_site(root, root / "report", against=str(other), pages=0).index.parent / "music.html")["songs"]
    joined, before, now = chart["data"]
    assert now["x"] == [0.26, 0.27]  # means of the listeners, the lowest first
    assert before["x"] == [0.21, 0.3]
    assert now["error_x"]["array"] == [0.02, 0]
    assert now["error_x"]["arrayminus"] == [0.02, 0]
    assert now["text"][0] == "Low<br>listeners 0.240 to 0.280"
    assert joined["x"] == [0.21, 0.26, None, 0.3, 0.27, None]
    assert joined["y"] == [before["y"][0], now["y"][0], None, before["y"][1], now["y"][1], None]
    assert chart["layout"]["yaxis"]["ticktext"] == ["Low", "High"]
    assert [round(place) for place in now["y"]] == chart["layout"]["yaxis"]["tickvals"]
    low, high = chart["layout"]["xaxis"]["range"]
    assert 0.15 < low < 0.2  # of the lowest listener
    assert 0.3 < high < 0.35
    assert chart["layout"]["xaxis"]["title"]["text"] == f"HAAQI (axis: {low:.2f} to {high:.2f})"


def test_this_result_stands_in_the_leaderboard(tmp_path: Path) -> None:
    from hearlab.report.site.build import build_site

    root = make_workspace(tmp_path / "w")
    shutil.copytree(REPOSITORY / "leaderboard", root / "leaderboard")
    build_site(root, root / "report", pages=0)
    text = (root / "report/leaderboard.html").read_text(encoding="utf-8")
    rows = re.findall(r"<tr[^>]*>.*?</tr>", text, re.S)
    own = [row for row in rows if 'class="own"' in row]
    assert len(own) == 2
    for part in ("0.4250", "this result", "Baseline", "demo, dev", ">6<"):
        assert part in own[0], part
    for section in text.split("<section")[1:]:
        scores = [float(found) for found in re.findall(r'<tr[^>]*><td class="number" data-value="([\d.]+)"', section)]
        assert len(scores) >= 3
        assert scores == sorted(scores, reverse=True)


def test_an_axis_fits_its_scores() -> None:
    assert fitting_range([]) == [0, 1]
    assert fitting_range([0.0, 1.0]) == [-0.02, 1.02]
    low, high = fitting_range([0.2, 0.25])
    assert 0.15 < low < 0.2
    assert 0.25 < high < 0.3


def test_only_parameters_that_differ_among_those_that_have_them() -> None:
    found, differing = differing_only(
        [
            entry("a", 0.3, enhance__gain=0, enhance__params__depth=3),
            entry("b", 0.4, enhance__gain=3),
            entry("old", 0.2, enhance__gain=0, render__old=1, enhance__x=4),
        ]
    )
    assert "enhance.x" in differing
    assert shown_parameters(found, differing) == ["enhance.gain", "enhance.params.depth"]


def test_a_sweep_has_a_figure() -> None:
    one = [entry(str(gain), 0.3 + gain / 50, enhance__gain=gain) for gain in range(4)]
    (chart,) = sweep_charts(one, ["enhance.gain"], ["HASPI enhanced", "HASPI unprocessed"])
    assert chart["data"][0]["type"] == "scatter"
    assert chart["data"][0]["x"] == [0, 1, 2, 3]
    two = [entry(str(k), 0.3 + k / 50, enhance__gain=k, enhance__soft_clip=k > 1) for k in range(4)]
    (chart,) = sweep_charts(two, ["enhance.gain", "enhance.soft_clip"], ["HASPI enhanced"])
    gain, clip, score = chart["data"][0]["dimensions"]
    assert gain["values"] == [0, 1, 2, 3]
    assert [clip["ticktext"][value] for value in clip["values"]] == ["false", "false", "true", "true"]
    assert score["values"] == [0.3, 0.32, 0.34, 0.36]
    systems = ["hearlab.systems.baseline:Baseline", "hearlab.systems.learned:Learned", "my_lab.net:Mine"]
    three = [entry(name, 0.3 + k / 50, enhance__system=name) for k, name in enumerate(systems)]
    (chart,) = sweep_charts(three, ["enhance.system"], ["HASPI enhanced"])
    assert chart["data"][0]["x"] == ["Baseline", "Learned", "my_lab.net:Mine"]
    left, right = chart["layout"]["xaxis"]["range"]
    assert left < -0.5  # the outer words are not cut off
    assert right > 2.5
    assert sweep_charts(one[:2], ["enhance.gain"], ["HASPI enhanced"]) == []
    assert sweep_charts(one, [], ["HASPI enhanced"]) == []


@pytest.mark.slow
def test_numbers_that_json_lacks_are_words_on_an_axis() -> None:
    found, differing = differing_only(
        [entry(str(k), 0.1 * k, enhance__params__gain=gain) for k, gain in enumerate([1.0, float("inf"), float("nan")])]
    )
    (chart,) = sweep_charts(found, shown_parameters(found, differing), ["HASPI enhanced"])
    assert json.loads(json.dumps(chart, allow_nan=False))["data"][0]["x"] == ["1.0", "inf", "nan"]


@pytest.mark.slow
def test_parallel_coordinates_are_drawn_from_disk(tmp_path: Path) -> None:
    pytest.importorskip("selenium", reason="selenium is not installed: make test installs it")
    from site_browser import NO_BROWSER, Browser

    from hearlab.report.site.build import build_site

    if NO_BROWSER:
        pytest.skip(NO_BROWSER)
    root = make_workspace(tmp_path / "w")
    who = ("-c", "user.name=T", "-c", "user.email=t@example.org")
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    params = (root / "params.yaml").read_text(encoding="utf-8")
    for k in range(4):
        changed = re.sub(r"(?m)^  gain: 0", f"  gain: {k}", params)
        changed = re.sub(r"(?m)^  soft_clip: \w+", f"  soft_clip: {str(k < 2).lower()}", changed)
        (root / "params.yaml").write_text(changed, encoding="utf-8")
        (root / "metrics/speech.json").write_text(json.dumps({"haspi": {"enhanced": 0.3 + k / 20}}))
        subprocess.run(["git", "add", "params.yaml", "metrics"], cwd=root, check=True)
        subprocess.run(["git", *who, "commit", "-qm", f"Point {k}"], cwd=root, check=True)
    site = build_site(root, root / "report", pages=0).index.parent
    browser = Browser(tmp_path / "profile")
    try:
        browser.open(site / "experiments.html")
        browser.until(lambda: browser.run("document.querySelectorAll('#chart-sweep-0 .axis-title').length === 3"))
        titles = [title.text for title in browser.all("#chart-sweep-0 .axis-title")]
        assert titles == ["enhance.gain", "enhance.soft_clip", "HASPI enhanced"]
        heading = next(one for one in browser.all("#experiments thead button") if one.text == "enhance.gain")
        heading.click()
        assert browser.find("#experiments tbody td:nth-last-child(2)").text == "3"
        browser.screen(360, 800)
        assert browser.run("document.documentElement.scrollWidth <= innerWidth")
    finally:
        browser.driver.quit()
