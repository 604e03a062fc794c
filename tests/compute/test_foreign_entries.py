"""Indexes and journals by strangers: a wrong entry is no entry, and nothing is written, moved or deleted elsewhere."""

from __future__ import annotations

import contextlib
import copy
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hearlab.compute import memo_maintenance
from hearlab.compute.engine import run
from hearlab.compute.entries import CHECK, Entry, checksum
from hearlab.compute.memo import Memo
from hearlab.compute.units import Unit
from hearlab.errors import InputError

OUT, INDEX = Path("data/demo/out"), Path("data/demo/units/stage.json")
JOURNAL = Path(".hearlab/journal.jsonl")
NAMES = ("a", "sub/b")


def write(root: Path, out: Path, *, name: str) -> dict[str, float]:
    (out / name).parent.mkdir(parents=True, exist_ok=True)
    (out / name).write_text(f"output {name}")
    return {"score": 0.1}


class Place:
    """A workspace beside files of the user's."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.root = folder, folder / "work"
        for name in ("work/.git/hooks/pre-commit", "work/src/code.py", "home/secret", "home/units/stage.json"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(f"users own {name}")
        self.run()
        self.index = json.loads((self.root / INDEX).read_text())
        self.own = self.others()

    def results(self) -> list[Any]:
        """What the units give, run or remembered."""
        units = [Unit(n, write, {"name": n}, (), (n,)) for n in NAMES]
        return run("stage", units, OUT, INDEX, root=self.root)

    def run(self) -> str:
        self.results()
        return "".join((self.root / OUT / name).read_text() for name in NAMES)

    def others(self) -> dict[str, bytes | str]:
        """All that is neither the stage's nor in .hearlab, links as links."""
        kept = {}
        for path in self.folder.rglob("*"):
            name = path.relative_to(self.folder).as_posix()
            if path.is_symlink():
                kept[name] = os.readlink(path)
            elif path.is_file() and not name.startswith(("work/.hearlab/", f"work/{OUT}/", "work/data/demo/units/")):
                kept[name] = path.read_bytes()
        return kept

    def put(self, index: Any) -> None:
        """As `git checkout` and `dvc pull` bring it, with nothing that this clone knows."""
        (self.root / JOURNAL).unlink(missing_ok=True)
        (self.root / INDEX).write_text(index if isinstance(index, str) else json.dumps(index))

    def check(self) -> None:
        """Whatever was put: the commands end well, results are right, other files as they were."""
        memo_maintenance.status(self.root)
        memo_maintenance.collect_garbage(self.root)
        memo_maintenance.verify(self.root)
        assert self.run() == "output aoutput sub/b"
        assert json.loads((self.root / INDEX).read_text()) == self.index
        assert self.others() == self.own


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture(scope="module")
def one_place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(tmp_path_factory.mktemp("foreign"))


def changed(index: Any, field: str, value: Any) -> Any:
    """The index with another value in its first entry, or in the first file of that; the checksum is right."""
    index = copy.deepcopy(index)
    entry = index["units"][0]
    (entry["files"][0] if field in ("name", "md5", "size") else entry)[field] = value
    del entry[CHECK]
    entry[CHECK] = checksum(entry)
    return index


HOSTILE = [
    ("name", "../../../.git/hooks/x"),
    ("name", "../../../.git/hooks/pre-commit"),
    ("name", "/etc/hearlab-test"),
    ("name", "sub/../../x"),
    ("name", "./a"),
    ("name", "sub//b"),
    ("name", "a\0"),
    ("name", "a\n"),
    ("name", "a\x1b[31m"),
    ("name", "\ud800"),
    ("name", ""),
    ("name", "x" * 5000),
    ("out", "/home"),
    ("out", "../../home"),
    ("out", "data/../../home"),
    ("out", None),
    ("md5", "../../../../home/secret"),
    ("md5", "ab/../../../../../home/secret"),
    ("md5", "A" * 32),
    ("md5", "a" * 31),
    ("md5", "a" * 32 + "\n"),
    ("size", -1),
    ("size", 1.0),
    ("size", True),
    ("size", "8"),
    ("key", "x"),
    ("key", ["x"]),
    ("stage", {"a": 1}),
    ("id", "S1\nforged line"),
    ("inputs", ["../x"]),
    ("inputs", "abc"),
    ("files", {"a": 1}),
    ("files", None),
]


@pytest.mark.parametrize(("field", "value"), HOSTILE, ids=[f"{field} {str(value)[:20]!a}" for field, value in HOSTILE])
def test_a_wrong_entry_is_no_entry(place: Place, field: str, value: Any, caplog: pytest.LogCaptureFixture) -> None:
    index = changed(place.index, field, value)
    with pytest.raises(ValueError, match="validation error"):
        Entry.from_json(index["units"][0])
    place.put(index)
    assert len(Memo(place.root).load_index(place.root / INDEX)) == 1
    [record] = caplog.records
    assert record.getMessage() == (f"{place.root / INDEX}: 1 entries are wrong and not used; their units run again")
    place.check()


@pytest.mark.parametrize(
    ("field", "value"),
    [("stage", "other"), ("id", "c"), ("out", "src"), ("out", ".git/hooks"), ("name", "code.py"), ("name", "b/c")],
)
def test_an_entry_is_used_for_what_it_promises_only(place: Place, field: str, value: str) -> None:
    place.put(changed(place.index, field, value))
    memo = Memo(place.root)
    memo.load_index(place.root / INDEX)
    key = place.index["units"][0]["key"]
    promise = Entry.from_json(place.index["units"][0]).promise
    assert memo.find(key) is not None
    assert memo.find(key, promise) is None
    place.check()


def test_verify_removes_links_to_its_objects_only(place: Place) -> None:
    """An entry that names the user's file as the output whose object is wrong."""
    index = changed(changed(place.index, "out", "src"), "name", "code.py")
    md5 = index["units"][0]["files"][0]["md5"]
    path = place.root / ".hearlab" / "objects" / md5[:2] / md5[2:]
    path.unlink()
    path.write_text("altered!")
    place.put(index)
    result = memo_maintenance.verify(place.root)
    assert result.wrong == (md5,)
    assert place.others() == place.own
    place.check()


@pytest.mark.parametrize("link", [OUT, OUT.parent, INDEX.parent])
def test_a_link_as_a_folder_of_outputs(place: Place, link: Path) -> None:
    (place.root / link).rename(place.folder / "moved")
    (place.root / link).symlink_to(place.folder / "home")
    (place.folder / "home" / "out").mkdir()
    (place.folder / "home" / "out" / "file").touch()
    before = place.others()
    memo_maintenance.verify(place.root)
    memo_maintenance.collect_garbage(place.root)
    with pytest.raises(InputError, match="symbolic link"):
        place.run()
    assert place.others() == before


def test_a_link_below_the_folder_of_outputs(place: Place) -> None:
    for name in ("b", "other"):
        (place.folder / "home" / name).write_text("users own")
    own = place.others()
    for path in (place.root / OUT / "sub").iterdir():
        path.unlink()
    (place.root / OUT / "sub").rmdir()
    (place.root / OUT / "sub").symlink_to(place.folder / "home")
    assert place.run() == "output aoutput sub/b"
    assert place.others() == own


@pytest.mark.parametrize("part", ["objects", "set-aside"])
def test_a_link_in_the_store(place: Place, part: str) -> None:
    """A folder of the store, or the one for wrong objects, that leads to the user's files."""
    md5 = place.index["units"][0]["files"][0]["md5"]
    folder = place.root / ".hearlab" / "objects" / md5[:2]
    secret = place.folder / "home" / md5[2:]
    if part == "objects":
        (folder / md5[2:]).unlink()
        folder.rmdir()
        folder.symlink_to(place.folder / "home")
        secret.write_text("users own")
    else:
        (folder / md5[2:]).unlink()
        (folder / md5[2:]).write_text("altered!")
        (place.root / ".hearlab" / "set-aside").symlink_to(place.folder / "home")
    before = place.others()
    for action in (memo_maintenance.verify, lambda root: place.run()):
        with pytest.raises(InputError, match="is a symbolic link"):
            action(place.root)
    memo_maintenance.collect_garbage(place.root)
    assert place.others() == before


NO_INDEX = ["", "{", "[]", "null", "5", '"x"', "\0", '{"version": 2}']
NO_INDEX += [
    f'{{"version": 2, "units": {units}'
    for units in ("5}", "{}}", "[" + "[" * 100_000, "[" + "[]," * 3_000_000 + "[]]}", "9" * 10_000 + "}")
]


@pytest.mark.parametrize("text", NO_INDEX, ids=lambda text: text[:30])
def test_an_index_that_is_none(place: Place, text: str, caplog: pytest.LogCaptureFixture) -> None:
    place.put(text)
    place.check()
    (place.root / INDEX).unlink()
    caplog.clear()
    (place.root / INDEX).mkdir()
    assert Memo(place.root).load_index(place.root / INDEX) == set()
    assert len(caplog.records) == 1


def test_an_endless_index(place: Place) -> None:
    (place.root / INDEX).unlink()
    (place.root / INDEX).symlink_to("/dev/zero")
    assert Memo(place.root).load_index(place.root / INDEX) == set()


@pytest.mark.parametrize(
    "record", ["5", "null", "[]", '"drop"', '{"drop": []}', '{"finished": {}}', "[" * 100_000, "{}"]
)
def test_a_journal_with_wrong_lines(place: Place, record: str) -> None:
    journal = place.root / JOURNAL
    lines = journal.read_text().splitlines()
    (place.root / INDEX).unlink()
    wrong = json.dumps(changed({"units": [json.loads(lines[0])]}, "name", "../../x")["units"][0])
    journal.write_text("\n".join([wrong, record, *lines[1:], ""]))
    assert len(Memo(place.root).entries) == 1
    place.check()


@pytest.mark.slow
def test_very_many_entries(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    """Right ones are learnt, wrong ones counted."""
    entry = dict(place.index["units"][0])
    bad = {**entry, "files": "no list"}
    del entry[CHECK]
    many = [{**entry, "key": hashlib.sha256(b"%d" % n).hexdigest()} if n % 2 else bad for n in range(40_000)]
    place.put({"version": 2, "units": [{**each, CHECK: checksum(each)} for each in many]})
    assert len(Memo(place.root).load_index(place.root / INDEX)) == 20_000
    assert ": 20000 entries are wrong" in caplog.text
    place.put('{"version":2,"units":[' + ",".join([f'{{"key":"{0:064}"}}'] * 200_000) + "]}")
    assert Memo(place.root).load_index(place.root / INDEX) == set()
    place.check()


@pytest.mark.parametrize("altered", [INDEX, JOURNAL], ids=str)
def test_an_altered_result_is_not_believed(place: Place, altered: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Results are in entries only, and no md5 of an object speaks for them: each digit counts."""
    index, file = place.root / INDEX, place.root / altered
    (place.root / (INDEX if altered == JOURNAL else JOURNAL)).unlink()
    text = file.read_text()
    assert text.count('"result":{"score":0.1}') == 2
    file.write_text(text.replace('"result":{"score":0.1}', '"result":{"score":0.7}', 1))
    assert place.results() == [{"score": 0.1}] * 2
    assert "1 entries are wrong and not used" in caplog.text
    assert json.loads(index.read_text()) == place.index


@given(st.data())
@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_altered_byte_of_an_entry_passes(one_place: Place, data: st.DataObject) -> None:
    """Whatever byte of a line is another: it is no entry, or the same one."""
    entry = one_place.index["units"][0]
    line = bytearray(json.dumps(entry).encode())
    line[data.draw(st.integers(0, len(line) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(ValueError):
        assert json.loads(json.dumps(Entry.from_json(json.loads(line)).to_json())) == entry


def test_entries_of_an_older_version_are_passed_over(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    """They had no checksum: their units run again, without a warning."""
    old = [{name: value for name, value in entry.items() if name != CHECK} for entry in place.index["units"]]
    place.put({"version": 1, "units": old})
    (place.root / JOURNAL).write_text("".join(json.dumps(entry) + "\n" for entry in old))
    assert not Memo(place.root).entries
    place.check()
    assert not caplog.records


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text(max_size=5), values, max_size=3),
    max_leaves=8,
)
FIELDS = ("key", "stage", "id", "out", "inputs", "files", "result", "name", "md5", "size")


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(FIELDS), JSON)
def test_any_value_in_an_entry(one_place: Place, field: str, value: Any) -> None:
    one_place.put(changed(one_place.index, field, value))
    if field == "result":  # any JSON is a result
        memo = Memo(one_place.root)
        assert len(memo.load_index(one_place.root / INDEX)) == 2
        found = memo.entries[one_place.index["units"][0]["key"]].result
        assert json.dumps(found) == json.dumps(value)
        one_place.put(one_place.index)
    one_place.check()


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(JSON, st.booleans())
def test_any_value_as_an_index(one_place: Place, value: Any, inside: bool) -> None:
    one_place.put({"version": 2, "units": value} if inside else value)
    one_place.check()
