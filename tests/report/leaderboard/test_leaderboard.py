"""Entries of the leaderboard: reading, refusing, writing, ranking and printing them."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest

from hearlab.cli import main
from hearlab.errors import InputError
from hearlab.report.leaderboard.entries import (
    LeaderboardEntry,
    Origin,
    Publication,
    entry_name,
    find_entry,
    load_entries,
    ranked,
    write_entry,
)
from hearlab.report.leaderboard.text import leaderboard_text

REPOSITORY = Path(__file__).resolve().parents[3]
COMMIT = "0123456789abcdef0123456789abcdef01234567"
MD5 = "0123456789abcdef0123456789abcdef"
OWN = f"""team: Läb
system: "mine: it's best"
track: speech
dataset: clarity
split: dev
score: 0.3
interval: [0.28, 0.32]
units: 7500
scored: 2026-11-21
origin:
  commit: {COMMIT}
  lock: {MD5}
  params: {MD5}
  data: {{data/clarity/enhanced: {MD5}.dir}}
  weights: {{}}
  scores: {MD5}
"""
PUBLISHED = """team: Clarity
system: baseline
track: speech
dataset: clarity
split: dev
score: 0.25
origin:
  published: a README
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "own.yaml").write_text(OWN, encoding="utf-8")
    (tmp_path / "published.yaml").write_text(PUBLISHED)
    return tmp_path


def test_reading(folder: Path) -> None:
    own, published = load_entries(folder).entries
    assert (own.name, own.team, own.system, own.score, own.interval) == (
        "own",
        "Läb",
        "mine: it's best",
        0.3,
        (0.28, 0.32),
    )
    assert (own.units, own.published, own.source, own.scored) == (7500, False, "0123456", datetime.date(2026, 11, 21))
    data = {"data/clarity/enhanced": f"{MD5}.dir"}
    assert own.origin == Origin(commit=COMMIT, lock=MD5, params=MD5, data=data, weights={}, scores=MD5)
    assert (published.published, published.source, published.interval, published.units) == (
        True,
        "a README",
        None,
        None,
    )
    assert load_entries(folder / "nowhere") == ([], [])


def test_what_is_in_the_repository() -> None:
    entries = {
        (entry.track, entry.system): entry
        for entry in load_entries(REPOSITORY / "leaderboard").entries
        if entry.published
    }
    assert {key: entry.score for key, entry in entries.items()} == {
        ("speech", "baseline"): 0.2492,
        ("speech", "unprocessed"): 0.1615,
        ("music", "Demucs"): 0.2592,
        ("music", "Open-Unmix"): 0.2273,
    }
    for entry in entries.values():
        if entry.track == "music":
            assert (len(entry.songs), entry.rule) == (14, "challenge")
            # Songs have the same number of listeners. Those published for Open-Unmix average to 0.2270 all the same.
            away = 3.5e-4 if entry.system == "Open-Unmix" else 1e-4  # both are rounded
            assert sum(entry.songs.values()) / 14 == pytest.approx(entry.score, abs=away)


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("score: 0.3", "score: 1.3", "own.yaml: score: wrong value (found 1.3, wanted less than or equal to 1)"),
        ("score: 0.3", "score: '0.3'", 'own.yaml: score: wrong value (found "0.3", wanted a valid number)'),
        ("score: 0.3", "score: .nan", "own.yaml: score: wrong value"),
        ("team: Läb", "teams: Läb", "own.yaml: team: key is missing"),
        ("team: Läb", "team: Läb\nrank: 1", "own.yaml: rank: unknown key (wanted one of team, system, track"),
        ("team: Läb", "team: Läb\nname: own", "own.yaml: name: unknown key"),
        ("team: Läb", "team: ''", 'own.yaml: team: wrong value (found "", wanted one line of text: it is empty)'),
        ("team: Läb", 'team: "a\\e[2Jb"', 'own.yaml: team: wrong value (found "a\\u001b[2Jb", wanted one line'),
        ("track: speech", "track: both", "own.yaml: track: wrong value (found \"both\", wanted 'speech' or 'music')"),
        ("[0.28, 0.32]", "[0.32, 0.28]", "own.yaml: interval: the first value must not exceed the second"),
        ("units: 7500\n", "", "own.yaml: units: key is missing"),
        ("units: 7500", "units: 7.5", "own.yaml: units: wrong value (found 7.5, wanted a valid integer)"),
        ("scored: 2026-11-21", "scored: 2026-11-31", "own.yaml: "),
        (COMMIT, "main", 'own.yaml: origin.commit: wrong value (found "main", wanted a hash in hexadecimal digits)'),
        (f"  lock: {MD5}\n", "", "own.yaml: origin.lock: key is missing"),
        ("  weights: {}", "  weights: {}\n  published: x", "own.yaml: origin.commit: does not go with published"),
        ("units: 7500", "units: 7500\nunits: 1", "own.yaml: line 9: is not valid YAML"),
        (OWN, "- 1\n", "own.yaml: must hold keys and values (found list)"),
        (OWN, "team: !!python/object/apply:os.getcwd []\n", "own.yaml: "),
    ],
)  # fmt: skip
def test_bad_entries(folder: Path, old: str, new: str, line: str) -> None:
    path = folder / "own.yaml"
    path.write_text(OWN.replace(old, new), encoding="utf-8")
    board = load_entries(folder)
    (error,) = map(str, board.faults)
    assert error.startswith(f"{folder}/{line}"), error
    assert "\n" not in error
    # It costs that entry, not the board.
    assert [entry.name for entry in board.entries] == ["published"]


def test_one_bad_entry_costs_that_entry(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "bomb.yaml").write_text("a: &a [x, x]\nb: &b [*a, *a]\nteam: " + "[" * 60 + "]" * 60)
    (folder / "endless.yaml").symlink_to("/dev/zero")
    (folder / "forged.yaml").write_text(OWN.replace("team: Läb", 'team: "a\\nok       b\\e[2J"'), encoding="utf-8")
    (folder / "leaderboard").mkdir()
    for path in folder.glob("*.yaml"):
        path.rename(folder / "leaderboard" / path.name)
    monkeypatch.chdir(folder)
    assert main(["leaderboard"]) == 1
    shown = capsys.readouterr()
    assert [line.split()[-1] for line in shown.out.splitlines()[3:]] == ["own", "published"]
    assert shown.err.splitlines() == [
        "left out: leaderboard/bomb.yaml: holds values nested more than 50 deep",
        "left out: leaderboard/endless.yaml: is no ordinary file",
        'left out: leaderboard/forged.yaml: team: wrong value (found "a\\nok b\\u001b[2J", wanted one line of text: '
        "it has control characters or characters that are not seen)",
    ]
    assert find_entry(Path("leaderboard"), "own").name == "own"  # to be verified


def test_writing(folder: Path) -> None:
    (own, _) = load_entries(folder).entries
    write_entry(folder / "copy.yaml", own)
    copy = find_entry(folder, "copy")
    assert copy.model_copy(update={"name": "own"}) == own
    assert "interval: [0.28, 0.32]\n" in (folder / "copy.yaml").read_text(encoding="utf-8")
    with pytest.raises(InputError, match="score: wrong value"):
        write_entry(folder / "wrong.yaml", own.model_copy(update={"score": 2.0}))
    assert sorted(path.name for path in folder.iterdir()) == ["copy.yaml", "own.yaml", "published.yaml"]


def test_finding(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_entry(folder, "own").name == "own"
    assert find_entry(folder, "own.yaml").name == "own"
    (folder / "own.v2.yaml").write_text(PUBLISHED)
    assert find_entry(folder, "own.v2").published
    (folder / "own.v2.yaml").unlink()
    monkeypatch.chdir(folder)
    assert find_entry(Path("elsewhere"), "own.yaml").name == "own"
    with pytest.raises(InputError, match=r"has no such entry \(found other, wanted one of own, published\)"):
        find_entry(folder, "other")


def test_names() -> None:
    assert entry_name("speech", "Zoë's Lab", "Wiener/2") == "speech-zoe-s-lab-wiener-2"
    assert entry_name("音") == "entry"


def entry(name: str, score: float, track: str = "speech", dataset: str = "clarity", **more: str) -> LeaderboardEntry:
    about = {"team": "T", "system": name.title(), "track": track, "dataset": dataset, "split": "dev", **more}
    return LeaderboardEntry(name=name, **about, score=score, origin=Publication(published="a README"))


def test_ranking() -> None:
    entries = [entry("low", 0.1), entry("song", 0.9, "music"), entry("b", 0.3), entry("a", 0.3)]
    assert [one.name for one in ranked(entries, "speech")] == ["a", "b", "low"]
    assert [one.name for one in ranked(entries, "music")] == ["song"]


def test_the_table(folder: Path) -> None:
    text = leaderboard_text([*load_entries(folder).entries, entry("try", 0.9, dataset="demo")])
    blocks = text.split("\n\n")
    assert blocks[0].splitlines()[0] == "speech: better-ear HASPI, clarity dev"
    # The demo's scores do not compete with those of the challenge.
    assert blocks[1].splitlines()[0] == "speech: better-ear HASPI, demo dev"
    first, second = blocks[0].splitlines()[3:]
    assert " ".join(first.split()) == ("1 mine: it's best Läb 0.3000 0.2800 to 0.3200 7500 2026-11-21 0123456 own")
    assert " ".join(second.split()) == "2 baseline Clarity 0.2500 published: a README published"
    assert first.index("0.3000") == second.index("0.2500")
    assert leaderboard_text([]).startswith("no entries yet")


def test_levels_of_music_do_not_compete(folder: Path) -> None:
    """HAAQI by the challenge's rule and by the later one differ; entries of before the key are of the later one."""
    songs = [entry("a", 0.26, "music", music_level="challenge"), entry("b", 0.25, "music", music_level="current")]
    blocks = leaderboard_text([*songs, entry("old", 0.27, "music")]).split("\n\n")
    assert [block.splitlines()[0] for block in blocks] == [
        "music: HAAQI, clarity dev, challenge level",
        "music: HAAQI, clarity dev, current level",
    ]
    assert [line.split()[-1] for line in blocks[1].splitlines()[3:]] == ["old", "b"]
    write_entry(folder / "copy.yaml", songs[0])
    assert find_entry(folder, "copy").rule == "challenge"
    (folder / "own.yaml").write_text(OWN.replace("origin:", "music_level: current\norigin:"), encoding="utf-8")
    with pytest.raises(InputError, match=r"music_level: does not go with speech"):
        find_entry(folder, "own")


def test_averages_of_further_metrics(folder: Path) -> None:
    path = folder / "own.yaml"
    path.write_text(OWN.replace("origin:", "averages: {hasqi: 0.41}\norigin:"), encoding="utf-8")
    entries = load_entries(folder).entries
    assert entries[0].averages == {"hasqi": 0.41}
    header, _, first, second = leaderboard_text(entries).splitlines()[1:]
    assert " ".join(header.split()) == "system team score 95 % interval HASQI pairs scored from entry"
    assert "0.2800 to 0.3200  0.4100   7500" in first
    assert second.index("a README") == first.index("0123456") + len("published: ")
    write_entry(folder / "copy.yaml", entries[0])
    assert find_entry(folder, "copy").averages == {"hasqi": 0.41}
    path.write_text(OWN.replace("origin:", "averages: {haaqi: 0.41}\norigin:"), encoding="utf-8")
    with pytest.raises(InputError, match=r"averages.haaqi: is no further metric of speech, which has hasqi"):
        find_entry(folder, "own")
