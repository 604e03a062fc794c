"""The sounds of the result that is compared with, beside those of the workspace."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from urllib.parse import unquote

import pytest
import soundfile
from site_support import SONG_LISTENERS, SONGS, git, make_workspace, store

from hearlab.datasets.layout import STEM_RATE, STEMS
from hearlab.datasets.stem_files import read_factor, write_stem
from hearlab.report.site.build import build_site
from hearlab.report.site.pages import file_name

pytest.importorskip("plotly", reason="plotly is not installed: make test installs it")
LOUDER = 3.0
SIXTEEN_BITS = 2e-4  # of the peak that a stem is scaled to: what is read back is not what was written


def committed(root: Path) -> dict[str, bytes]:
    """Commit the workspace's results, with sounds in DVC's cache; gives the hearing aid's files by their names."""
    outs, files = [], {}
    for name in ("enhanced", "enhanced_music"):
        folder = root / "data/demo" / name
        own = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        listing = [{"md5": store(root, content), "relpath": path} for path, content in own.items()]
        outs.append({"path": f"data/demo/{name}", "md5": store(root, json.dumps(listing).encode(), ".dir")})
        files |= {Path(path).name: content for path, content in own.items()}
    for name in ("speech", "music"):
        path = f"metrics/{name}.csv"
        outs.append({"path": path, "md5": store(root, (root / path).read_bytes())})
    lock = {"schema": "2.0", "stages": {"score": {"cmd": "x", "outs": outs}}}
    (root / "dvc.lock").write_text(json.dumps(lock))
    git(root, "init", "--quiet")
    git(root, "add", "params.yaml", "dvc.lock", "metrics")
    git(root, "commit", "--quiet", "--message", "Before")
    return files


def versions(page: Path) -> dict[str, dict[str, dict]]:
    """Group -> label -> version, as the player gets them."""
    found = re.search(r'id="page-data">(.*?)</script>', page.read_text(encoding="utf-8"), re.S)
    assert found
    groups = json.loads(found[1])["groups"]
    return {group["name"]: {version["label"]: version for version in group["versions"]} for group in groups}


def test_another_revision_can_be_heard(tmp_path: Path) -> None:
    root = make_workspace(tmp_path / "w")
    before = committed(root)
    changed = root / "data/demo/enhanced/S06001_L0001_HA-output.wav"
    samples, rate = soundfile.read(changed)
    soundfile.write(changed, samples / 2, rate, subtype="PCM_16")
    site = build_site(root, root / "report", against="HEAD", only=["S06001"]).index.parent
    found = versions(site / "scenes/S06001.html")["Scene"]
    then, now = (
        (site / "scenes" / unquote(found[label]["files"][0]["url"])).read_bytes()
        for label in ("HEAD, L0001", "Enhanced, L0001")
    )
    assert then == before[changed.name]
    assert now != then
    # A site that compares with nothing does not keep them.
    build_site(root, root / "report", only=["S06001"])
    assert not list((root / "report/against").glob("*"))


def test_a_song_of_another_revision_can_be_heard_with_its_stems(tmp_path: Path) -> None:
    root = make_workspace(tmp_path / "w")
    before = committed(root)
    song, listener = SONGS[1], SONG_LISTENERS[0]
    changed = root / f"data/demo/enhanced_music/{listener}/{song}/{listener}_{song}_left_drums.flac"
    factor = read_factor(changed)
    samples, _ = soundfile.read(changed)
    write_stem(changed, LOUDER * factor * samples[::-1], STEM_RATE)
    page = build_site(root, root / "report", against="HEAD", only=[song]).index.parent / "songs" / file_name(song)
    groups = versions(page)
    assert set(groups) == {"Song", *(stem.capitalize() for stem in STEMS)}
    for group in groups.values():
        labels = list(group)
        own = labels.index(f"HEAD, {listener}")
        assert labels[own - 1] in (
            f"Remix, {listener}",
            f"Enhanced, {listener}",
        )
    drums = groups["Drums"]
    then, now = drums[f"HEAD, {listener}"]["files"], drums[f"Enhanced, {listener}"]["files"]
    assert [file["ear"] for file in then] == ["left", "right"]
    assert (page.parent / unquote(then[0]["url"])).read_bytes() == before[changed.name]
    assert (page.parent / unquote(now[0]["url"])).read_bytes() != before[changed.name]
    assert now[0]["plain"] / then[0]["plain"] == pytest.approx(LOUDER, rel=SIXTEEN_BITS)
    source = page.read_text(encoding="utf-8")
    assert "Baseline in HEAD (" in source  # whose sound it is, and of when


def test_what_the_cache_lacks_of_another_revision_is_told(tmp_path: Path) -> None:
    root = make_workspace(tmp_path / "w")
    committed(root)
    song = SONGS[1]
    (remix,) = (root / f"data/demo/enhanced_music/{SONG_LISTENERS[0]}/{song}").glob("*_remix.flac")
    store_of = root / ".dvc/cache/files/md5"
    kept = {path: path.read_bytes() for path in store_of.rglob("*") if path.is_file()}
    for path in (path for path, content in kept.items() if content == remix.read_bytes()):
        path.unlink()
    site = build_site(root, root / "report", against="HEAD", only=[song])
    # All listeners have the same remix in this workspace.
    (line,) = (line for line in site.missing if line.startswith("HEAD ("))
    assert line.endswith(f"sounds that DVC's cache here lacks: {len(SONG_LISTENERS)}")
    groups = versions(site.index.parent / "songs" / file_name(song))
    assert f"HEAD, {SONG_LISTENERS[0]}" not in groups["Song"]
    assert f"HEAD, {SONG_LISTENERS[0]}" in groups["Drums"]
    shutil.rmtree(store_of)
    rest = build_site(root, root / "other", against="HEAD", only=[song])
    assert not any(
        "HEAD" in label for group in versions(rest.index.parent / "songs" / file_name(song)).values() for label in group
    )
