"""Which machine made a result: noted once, and named where another one has other bytes."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from hearlab.scoring.machines import FILE, difference, digest_of_files, note_machine, other_machine

ONE = {"processor": "x86-64-v3", "arithmetic": "fixed", "numpy": "2.4.6"}
OTHER = {"processor": "x86-64-v2", "arithmetic": "fixed", "numpy": "2.4.6"}


@pytest.fixture(autouse=True)
def _workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def records() -> dict[str, dict[str, object]]:
    content: dict[str, dict[str, object]] = json.loads(Path(FILE).read_text())
    return content


def test_the_same_bytes_keep_the_record_of_the_first_machine(caplog: pytest.LogCaptureFixture) -> None:
    note_machine("score_speech", "work", "result", ONE)
    before = Path(FILE).read_bytes()
    note_machine("score_speech", "work", "result", OTHER)
    assert Path(FILE).read_bytes() == before
    assert not caplog.records


def test_other_bytes_of_the_same_work_are_said(caplog: pytest.LogCaptureFixture) -> None:
    note_machine("score_speech", "work", "result", ONE)
    with caplog.at_level(logging.WARNING):
        note_machine("score_speech", "work", "another", OTHER)
    assert [record.getMessage() for record in caplog.records] == [
        "score_speech: other bytes than recorded for the same inputs, parameters and code: processor x86-64-v3 there, "
        "x86-64-v2 here (metrics/machines.json; docs/notes/same-bytes.md)"
    ]
    assert records()["score_speech"]["machine"] == OTHER


def test_other_work_replaces_the_record_without_a_word(caplog: pytest.LogCaptureFixture) -> None:
    note_machine("score_speech", "work", "result", ONE)
    note_machine("score_music", "work", "result", ONE)
    note_machine("score_speech", "other work", "another", OTHER)
    assert not caplog.records
    assert records()["score_speech"]["work"] == "other work"
    assert records()["score_music"]["machine"] == ONE


@pytest.mark.parametrize("content", ["", "{", "[]", '{"score_speech": 1}', '{"score_speech": {"machine": {"a": 1}}}'])
def test_a_record_that_cannot_be_read_is_made_again(content: str) -> None:
    Path(FILE).parent.mkdir()
    Path(FILE).write_text(content)
    note_machine("score_speech", "work", "result", ONE)
    assert records()["score_speech"] == {"work": "work", "result": "result", "machine": ONE}


def test_two_results_from_two_machines() -> None:
    def record(**stages: dict[str, str]) -> bytes:
        return json.dumps({name: {"machine": machine} for name, machine in stages.items()}).encode()

    here = record(prepare=ONE, score_speech=ONE)
    stages = ["prepare", "score_speech"]
    assert other_machine(here, here, stages) is None
    assert other_machine(record(prepare=ONE, score_speech=OTHER), here, stages) == difference(OTHER, ONE)
    assert other_machine(record(prepare=ONE, score_speech=OTHER), here, ["prepare"]) is None
    assert other_machine(record(prepare=ONE), here, stages) == "no machine is recorded for score_speech"
    assert other_machine(None, here, stages) == "the machine that made it is not recorded"
    assert other_machine(here, None, stages) is None


def test_the_digest_of_files_knows_names_and_bytes(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    (folder / "in").mkdir(parents=True)
    (folder / "in" / "one").write_text("1")
    digests = {digest_of_files(folder)}
    (folder / "in" / "one").write_text("2")
    digests.add(digest_of_files(folder))
    (folder / "in" / "one").rename(folder / "one")
    digests.add(digest_of_files(folder))
    assert len(digests) == 3
