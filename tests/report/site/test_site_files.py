"""The site's files: names, addresses, what is measured again, portable copies."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import numpy as np
import pytest
import soundfile
from site_support import HOSTILE_SCENE, HOSTILE_SONG, REPOSITORY, SCENES, SONGS, git, make_workspace

from damaged_files import damage
from hearlab.cli import main
from hearlab.errors import InputError
from hearlab.progress import UnitProgress
from hearlab.report.experiments.listing import Experiment, differing_only, experiments
from hearlab.report.site import made_files
from hearlab.report.site.build import build_site
from hearlab.report.site.charts import text
from hearlab.report.site.pages import file_name
from hearlab.report.site.picture import draw

pytest.importorskip("plotly", reason="plotly is not installed: make test installs it")
SIXTEEN_BITS = 1 / 32768


class Links(HTMLParser):
    """Addresses and texts of a page; fails on handlers in attributes."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.scripts: list[dict[str, str | None]] = []
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        for name, value in attributes:
            assert not name.startswith("on"), f"{tag} has {name}"
            if name in ("href", "src") and value:
                self.addresses.append(value)
        if tag == "script":
            self.scripts.append(dict(attributes))


def pages(site: Path) -> list[Path]:
    return sorted(site.rglob("*.html"))


def page_data(page: Path) -> dict:
    found = re.search(r'id="page-data">(.*?)</script>', page.read_text(encoding="utf-8"), re.S)
    assert found
    return json.loads(found[1])


def test_every_page_bears_the_mark_and_has_a_name_of_one(site: Path) -> None:
    for page in pages(site):
        assert made_files.PAGE.fullmatch(page.relative_to(site).as_posix())
        assert made_files.MARK.search(page.read_bytes()[: made_files.HEAD])


def test_every_address_leads_to_a_file_and_none_to_the_network(site: Path) -> None:
    for page in pages(site):
        addresses = Links(page).addresses
        if (found := re.search('id="page-data"', page.read_text(encoding="utf-8"))) is not None:
            assert found
            addresses += [
                file["url"]
                for group in page_data(page)["groups"]
                for version in group["versions"]
                for file in version["files"]
            ]
        for address in addresses:
            parts = urlsplit(address)
            assert parts.scheme in ("", "data"), address
            if parts.path and not parts.scheme:
                assert (page.parent / unquote(parts.path)).exists(), f"{page.name}: {address}"


def test_hostile_names_are_text(site: Path) -> None:
    for page in pages(site):
        source = page.read_text(encoding="utf-8")
        assert "<script>alert" not in source
        assert "<img src=x" not in source
        for script in Links(page).scripts:
            assert script.get("src") or script.get("type") == "application/json"
    song = site / "songs" / file_name(HOSTILE_SONG)
    assert page_data(song)["name"] == HOSTILE_SONG
    assert "{{ 7 * 7 }}" in song.read_text(encoding="utf-8")


def test_file_names_are_safe_short_and_different() -> None:
    names = [
        "S06001",
        HOSTILE_SONG,
        HOSTILE_SONG.replace("é", "e"),
        HOSTILE_SCENE,
        "...",
        "音楽",
        "A b",
        "a B",
        "x" * 200,
    ]
    made = [file_name(name) for name in names]
    assert made[0] == "S06001.html"
    assert len({name.lower() for name in made}) == len(names)
    for name in made:
        assert re.fullmatch(r"[A-Za-z0-9_-]{1,60}\.html", name), name


def test_texts_of_figures_have_no_tags() -> None:
    assert text("<b>&lt;", 100) == "&lt;b&gt;&amp;lt;"
    assert text("x" * 50, 10) == "x" * 9 + "…"
    assert text("曲" * 50, 10) == "曲" * 4 + "…"  # its letters are twice as wide
    assert text("\x1b" * 50, 10) == "\N{REPLACEMENT CHARACTER}" * 9 + "…"


def test_versions_are_matched_in_loudness(site: Path) -> None:
    for page in sorted(site.glob("s*s/*.html")):
        source = page.read_text(encoding="utf-8")
        if "page-data" not in source:
            continue
        for group in page_data(page)["groups"]:
            volumes = [file["matched"] for version in group["versions"] for file in version["files"]]
            assert max(volumes) <= 1
    scene = page_data(site / "scenes" / "S06001.html")["groups"][0]["versions"]
    # The anechoic target is four times the target in the room: 12 dB louder.
    matched = {version["label"]: version["files"][0]["matched"] for version in scene}
    assert matched["Target in the room"] / matched["Target, anechoic"] == pytest.approx(4, rel=0.01)


def test_ears_of_a_stem_keep_their_factors(site: Path) -> None:
    groups = page_data(site / "songs" / file_name(SONGS[1]))["groups"]
    drums = next(group for group in groups if group["name"] == "Drums")
    files = next(version for version in drums["versions"] if version["label"].startswith("Enhanced"))["files"]
    assert [file["ear"] for file in files] == ["left", "right"]
    assert files[1]["plain"] / files[0]["plain"] == pytest.approx(2, rel=1e-3)


def test_a_second_site_measures_what_changed(tmp_path: Path) -> None:
    root = make_workspace(tmp_path / "w")
    first = build_site(root, root / "report", only=["S06001"])
    assert first.measured > 0
    assert build_site(root, root / "report", only=["S06001"]).measured == 0
    path = root / "data/demo/enhanced/S06001_L0001_HA-output.wav"
    before = page_data(root / "report/scenes/S06001.html")
    samples, rate = soundfile.read(path)
    soundfile.write(path, samples / 2, rate, subtype="PCM_16")
    os.utime(path, (1, 1))
    assert build_site(root, root / "report", only=["S06001"]).measured == 1
    after = page_data(root / "report/scenes/S06001.html")
    assert before != after
    pictures = {path.stem for path in (root / "report/pictures").glob("*.png")}
    assert len(pictures) == first.measured  # the old one is gone


def test_an_interrupted_run_keeps_what_it_has_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = make_workspace(tmp_path / "w")
    whole = build_site(root, root / "whole", only=["S06001"]).measured
    advance, done = UnitProgress.advance, []

    def interrupted(progress: UnitProgress, *, failed: bool = False) -> None:
        advance(progress, failed=failed)
        done.append(failed)
        if len(done) == 3:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(UnitProgress, "advance", interrupted)
        with pytest.raises(KeyboardInterrupt):
            build_site(root, root / "report", only=["S06001"])
    assert len(done) == 3
    assert build_site(root, root / "report", only=["S06001"]).measured == whole - 3
    assert build_site(root, root / "report", only=["S06001"]).measured == 0


def test_an_audiogram_is_drawn_once_until_it_changes(tmp_path: Path) -> None:
    root = make_workspace(tmp_path / "w")

    def drawn() -> dict[str, tuple[str, int]]:
        """Address in the page -> drawing, and when it was made."""
        page = build_site(root, root / "report", only=["S06001"]).index.parent / "scenes/S06001.html"
        paths = [address for address in Links(page).addresses if address.startswith("../audiograms/")]
        files = {path: page.parent / path for path in paths}
        assert {path.resolve() for path in files.values()} == set((root / "report/audiograms").glob("*.svg"))
        return {path: (file.read_text(encoding="utf-8"), file.stat().st_mtime_ns) for path, file in files.items()}

    first = drawn()
    assert len(first) == 1  # both listeners of this workspace have the same
    assert drawn() == first
    (listeners,) = (root / "data/demo").rglob("clarity_data/**/listeners.json")
    people = json.loads(listeners.read_text(encoding="utf-8"))
    people["L0002"]["audiogram_levels_l"][3] += 15
    listeners.write_text(json.dumps(people), encoding="utf-8")
    second = drawn()
    assert len(second) == 2
    assert {path: made for path, made in second.items() if path in first} == first
    assert len({drawing for drawing, _ in second.values()}) == 2


def test_portable_copies_are_the_signals(workspace: Path, tmp_path: Path) -> None:
    site = build_site(workspace, tmp_path / "p", portable=True, only=["S06001", SONGS[1]]).index.parent
    moved = shutil.move(site, tmp_path / "elsewhere")
    versions = page_data(Path(moved) / "scenes/S06001.html")["groups"][0]["versions"]
    copy, rate = soundfile.read(Path(moved) / "scenes" / versions[0]["files"][0]["url"])
    source, wanted = soundfile.read(workspace / "data/demo/rendered/dev/S06001_mix_CH1.wav")
    assert rate == wanted
    np.testing.assert_allclose(copy, source, atol=SIXTEEN_BITS)
    groups = page_data(Path(moved) / "songs" / file_name(SONGS[1]))["groups"]
    drums = next(group for group in groups if group["name"] == "Drums")["versions"][2]["files"]
    stereo, rate = soundfile.read(Path(moved) / "songs" / drums[0]["url"])
    assert (rate, stereo.shape[1]) == (24000, 2)
    np.testing.assert_allclose(stereo[:, 1], 2 * stereo[:, 0], atol=3 * SIXTEEN_BITS)
    for page in pages(Path(moved)):
        assert not any("data/demo" in address for address in Links(page).addresses)


@pytest.mark.slow
def test_pages_are_bounded_and_chosen(workspace: Path, tmp_path: Path) -> None:
    site = build_site(workspace, tmp_path / "few", pages=1)
    assert site.pages == 2  # one of each track
    assert "have no listening page" in (tmp_path / "few/speech.html").read_text(encoding="utf-8")
    build_site(workspace, tmp_path / "few", only=["S06002"])
    assert [path.name for path in (tmp_path / "few/scenes").glob("*.html")] == ["S06002.html"]
    assert not list((tmp_path / "few/songs").glob("*.html"))
    with pytest.raises(InputError, match=r"--only: .*S7.*such as"):
        build_site(workspace, tmp_path / "few", only=["S7"])


@pytest.mark.slow
def test_what_is_of_another_result_goes_and_what_is_not_the_site_s_stays(workspace: Path, tmp_path: Path) -> None:
    """After the demo an own data set without songs: the folder may be sent, with all that is in it."""
    root = shutil.copytree(workspace, tmp_path / "w", ignore=shutil.ignore_patterns("report"))
    site = build_site(root, root / "report", portable=True).index.parent
    mine = [site / name for name in ("notes.html", "scenes/kept.html", "songs/kept.html", "pictures/logo.png")]
    for path in mine:
        shutil.copy(site / "music.html", path)
    for path in (root / "metrics").glob("music*"):
        path.unlink()
    table = root / "metrics/speech.csv"
    table.write_text("".join(line for line in table.open(encoding="utf-8") if "S06002" not in line), encoding="utf-8")
    assert build_site(root, site, portable=True).measured == 0
    fresh = build_site(root, root / "fresh", portable=True).index.parent
    wanted = {path.relative_to(fresh) for path in fresh.rglob("*")}
    assert not {Path("music.html"), Path("scenes/S06002.html"), Path("songs")} & wanted
    assert {path.relative_to(site) for path in site.rglob("*")} - wanted == {
        Path("songs"),
        *(path.relative_to(site) for path in mine),
    }


def test_without_sounds_the_scores_are_shown(tmp_path: Path) -> None:
    root = make_workspace(tmp_path / "w")
    shutil.rmtree(root / "data")
    site = build_site(root, root / "report")
    assert site.measured == 0
    assert "dvc pull" in (root / "report/scenes/S06001.html").read_text(encoding="utf-8")
    assert "scenes.dev.json: no such file" in site.index.read_text(encoding="utf-8")


def test_a_damaged_sound_is_left_out_and_told(tmp_path: Path) -> None:
    root = make_workspace(tmp_path / "w")
    (root / "data/demo/rendered/dev/S06001_mix_CH1.wav").write_bytes(b"RIFF")
    site = build_site(root, root / "report", only=["S06001"])
    assert len(site.problems) == 1
    assert "S06001_mix_CH1.wav" in site.index.read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_command(
    workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(workspace)
    assert main(["report", "--out", str(tmp_path / "site"), "--only", "S06001"]) == 0
    assert str(tmp_path / "site" / "index.html") in capsys.readouterr().out
    assert (tmp_path / "site" / "scenes" / "S06001.html").exists()
    assert main(["show", "S06001", "--listener", "L0002", "--out", str(tmp_path / "one.png")]) == 0
    assert (tmp_path / "one.png").exists()
    before = sorted(path.name for path in workspace.iterdir() if path.name != ".hearlab")
    capsys.readouterr()
    assert main(["show", "S06001", "--listener", "L0002"]) == 0
    shown = Path(capsys.readouterr().out.strip())
    assert shown.parts[0] == ".hearlab"  # which git ignores
    assert shown.read_bytes() == (tmp_path / "one.png").read_bytes()
    assert sorted(path.name for path in workspace.iterdir() if path.name != ".hearlab") == before
    assert main(["report", "--out", str(tmp_path / "site"), "--scenes", "-1"]) == 1
    monkeypatch.chdir(tmp_path)
    assert main(["report"]) != 0  # no workspace
    assert not (tmp_path / "report").exists()


def test_the_leaderboard(tmp_path: Path) -> None:
    pytest.importorskip("hearlab.report.leaderboard.entries", reason="this version of HearLab has no leaderboard")
    root = make_workspace(tmp_path / "w")
    shutil.copytree(REPOSITORY / "leaderboard", root / "leaderboard")
    build_site(root, root / "report", pages=0)
    source = (root / "report/leaderboard.html").read_text(encoding="utf-8")
    assert source.index("0.2492") < source.index("0.1615")  # best first
    assert "published: CEC2 recipe" in source
    assert 'href="leaderboard.html"' in (root / "report/index.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_a_further_metric_is_on_every_page(workspace: Path, tmp_path: Path) -> None:
    root = tmp_path / "w"
    shutil.copytree(workspace, root, ignore=shutil.ignore_patterns("report"))
    for name in ("speech.csv", "speech_unprocessed.csv"):
        header, *rows = (root / "metrics" / name).read_text(encoding="utf-8").splitlines()
        lines = [f"{header},hasqi", *(f"{row},0.25" for row in rows), ""]
        (root / "metrics" / name).write_text("\n".join(lines), encoding="utf-8")
    site = build_site(root, root / "report").index.parent
    pages = {name: (site / name).read_text(encoding="utf-8") for name in ("index.html", "speech.html")}
    listening = (site / "scenes/S06001.html").read_text(encoding="utf-8")
    assert "HASQI, mean of" in pages["index.html"]
    for part in ("HASQI enhanced", 'id="chart-hasqi-scores"', 'id="hasqi-compared"', "1: like the original."):
        assert part in pages["speech.html"]
    assert "<strong>HASQI 0.250</strong>" in listening
    assert "HASQI" not in (site / "music.html").read_text(encoding="utf-8")


def test_other_folders_are_left_alone(workspace: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").touch()
    with pytest.raises(InputError, match="holds other files"):
        build_site(workspace, tmp_path / "mine")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.tex"]


def test_against_another_result(workspace: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.csv"
    lines = (workspace / "metrics/speech.csv").read_text(encoding="utf-8").splitlines()
    other.write_text("\n".join([lines[0], *(re.sub(r"[\d.]+$", "0.1", line) for line in lines[1:])]), encoding="utf-8")
    build_site(workspace, tmp_path / "site", against=str(other), pages=0)
    source = (tmp_path / "site/speech.html").read_text(encoding="utf-8")
    assert "Enhanced against" in source
    assert "other.csv" in source
    assert "+0.325" in source  # the mean of 0.3 to 0.55 is 0.425


def test_against_a_result_of_which_one_track_is_not_here(workspace: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    shutil.copy(workspace / "metrics/speech.csv", other)
    (other / "music.csv").write_text("nonsense\n", encoding="utf-8")
    site = build_site(workspace, tmp_path / "site", against=str(other), pages=0)
    assert any("music.csv" in problem for problem in site.problems)
    assert "Enhanced against" in (tmp_path / "site/speech.html").read_text(encoding="utf-8")
    (other / "speech.csv").write_text("nonsense\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"speech\.csv"):
        build_site(workspace, tmp_path / "site", against=str(other), pages=0)


def test_experiments_show_the_parameters_that_differ(tmp_path: Path) -> None:
    root = make_workspace(tmp_path / "w")
    git(root, "init", "--quiet")
    git(root, "add", "params.yaml", "metrics")
    git(root, "commit", "--quiet", "--message", "First <b>run</b>")
    params = (root / "params.yaml").read_text(encoding="utf-8")
    (root / "params.yaml").write_text(re.sub(r"(?m)^  gain: 0", "  gain: 6", params), encoding="utf-8")
    (root / "metrics/speech.json").write_text('{"haspi": {"enhanced": 0.5}}', encoding="utf-8")
    found, parameters = experiments(root)
    assert parameters == ["enhance.gain"]
    assert [(one.kind, one.parameters["enhance.gain"], one.scores["HASPI enhanced"]) for one in found] == [
        ("workspace", 6, 0.5),
        ("commit", 0, 0.475),
    ]
    build_site(root, root / "report", pages=0)
    assert "First &lt;b&gt;run&lt;/b&gt;" in (root / "report/experiments.html").read_text(encoding="utf-8")


def test_absent_parameters_differ_unless_their_section_is_absent() -> None:
    def one(**parameters: object) -> Experiment:
        return Experiment("x", "commit", "", None, {}, {name.replace("_", "."): v for name, v in parameters.items()})

    found, names = differing_only([one(a_b=1, c_d=1, e_f=2), one(a_b=1, a_new=3, e_f=3)])
    assert names == ["e.f", "a.new"]
    assert [experiment.parameters for experiment in found] == [{"e.f": 2, "a.new": None}, {"e.f": 3, "a.new": 3}]


@pytest.mark.parametrize("name", [next(iter(SCENES)), HOSTILE_SONG])
def test_show_draws_a_picture(workspace: Path, tmp_path: Path, name: str) -> None:
    draw(workspace, name, tmp_path / "one.png")
    assert (tmp_path / "one.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(InputError, match="was not scored for this listener"):
        draw(workspace, name, tmp_path / "two.png", listener="L9")
    assert [path.name for path in tmp_path.iterdir()] == ["one.png"]


def built(root: Path) -> dict[str, bytes]:
    """A portable site: its files without the record of their times."""
    site = build_site(root, root / "report", portable=True, only=["S06001"]).index.parent
    paths = (path for path in site.rglob("*") if path.is_file() and path.name != made_files.RECORD)
    return {path.relative_to(site).as_posix(): path.read_bytes() for path in sorted(paths)}


@pytest.mark.slow
def test_damaged_files_of_a_site_are_made_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    seed = 20261132
    rng = random.Random(seed)
    root = make_workspace(tmp_path / "w")
    wanted = built(root)
    assert built(root) == wanted
    assert not caplog.messages
    kept = [name for name in wanted if name.startswith(made_files.FOLDERS)]
    assert {Path(name).suffix for name in kept} == {".png", ".svg", ".flac", ".js", ".json"}
    for turn, how in enumerate(("cut", "empty", "a folder", "other bytes")):
        few = [made_files.RECORD] if turn % 2 else ["pictures/sounds.json", *rng.sample(kept, 3)]
        for name in set(few):
            damage(root / "report" / name, how, rng)
        caplog.clear()
        assert built(root) == wanted, f"{seed}, {how}, {few}"
        assert len(caplog.messages) == 1, f"{seed}, {how}, {few}"
    (root / "report/assets/plotly.min.js").write_bytes(bytes(len(wanted["assets/plotly.min.js"])))
    caplog.clear()
    assert built(root) == wanted
    assert not caplog.messages
    assert build_site(root, root / "report", portable=True, only=["S06001"]).measured == 0
