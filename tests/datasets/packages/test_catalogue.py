"""The table of packages."""

from __future__ import annotations

from pathlib import Path

import pytest

from hearlab.datasets.packages import find_package, load_catalogue, parse_checksum
from hearlab.errors import InputError

CATALOGUE = load_catalogue()


def placed(name: str, member: str) -> str | None:
    parts = CATALOGUE[name].destination(tuple(member.split("/")))
    return None if parts is None else "/".join(parts)


def test_the_packages_of_both_challenges() -> None:
    assert [CATALOGUE[name].file for name in ("cec2-core", "cec2-train", "cec2-hoairs", "musdb18hq")] == [
        "clarity_CEC2_core.v1_0.tgz",
        "clarity_CEC2_train.v1_0.tgz",
        "clarity_CEC2_hoairs.v1_0.tgz",
        "musdb18hq.zip",
    ]
    assert CATALOGUE["cad1-metadata"].file == "cadenza_cad1_task1_core_metadata.tar.gz"
    for package in CATALOGUE.values():
        assert package.size_or_about
        assert package.address or package.page
        assert package.needed_for
        assert package.source
        assert all(CATALOGUE[other].root == package.root for other in package.instead)


@pytest.mark.parametrize(
    ("name", "member", "place"),
    [
        ("cec2-core", "clarity_CEC2_data/clarity_data/dev/scenes/S06001_hr.wav", "dev/scenes/S06001_hr.wav"),
        ("cec2-core", "clarity_data/metadata/listeners.json", "metadata/listeners.json"),
        ("cec2-core", "a/b/clarity_data/metadata/listeners.json", "metadata/listeners.json"),
        ("cec2-core", "a/b/c/clarity_data/metadata/listeners.json", None),
        ("cec2-core", "clarity_CEC2_data/manifest/files.txt", None),
        ("cec2-core", "clarity_data", None),
        ("cec2-core", "clarity_data/dev/clarity_data/x", "dev/clarity_data/x"),
        ("musdb18hq", "train/A - B/mixture.wav", "task1/audio/musdb18hq/train/A - B/mixture.wav"),
        ("musdb18hq", "musdb18hq/test/train/mixture.wav", "task1/audio/musdb18hq/test/train/mixture.wav"),
        (
            "cad1-musdb18hq",
            "cadenza_data/task1/audio/musdb18hq/test/A/bass.wav",
            "task1/audio/musdb18hq/test/A/bass.wav",
        ),
        ("cad1-metadata", "cadenza_data/task1/metadata/musdb18hq/x.json", "task1/metadata/musdb18hq/x.json"),
        ("cad1-metadata", "cadenza_data/task1/metadata/x.json", "task1/metadata/musdb18hq/x.json"),
    ],
)
def test_where_members_go(name: str, member: str, place: str | None) -> None:
    assert placed(name, member) == place


def test_packages_by_any_of_their_names() -> None:
    for name in ("cec2-core", "clarity_CEC2_core.v1_0.tgz", "clarity_CEC2_core.v1_1.tgz"):
        assert find_package(CATALOGUE, name).name == "cec2-core"
    with pytest.raises(InputError, match=r"cec3: no such package \(wanted one of cec2-core, cec2-train"):
        find_package(CATALOGUE, "cec3")


def test_a_table_of_ones_own(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text(
        '[cec2-core]\naddress = "https://data.example.org/"\nsize = 5\n'
        '[lab]\ntitle = "Ours"\ntrack = "speech"\nroot = "clarity_data"\nfile = "lab.zip"\n'
        'place = [{from = "x", to = "y"}]\n'
    )
    catalogue = load_catalogue(own)
    assert (catalogue["cec2-core"].size, catalogue["cec2-core"].file) == (5, CATALOGUE["cec2-core"].file)
    assert catalogue["lab"].destination(("x", "a")) == ("y", "a")
    assert list(catalogue) == [*CATALOGUE, "lab"]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[cec2-core]\nsise = 5", "cec2-core.sise: unknown field (wanted one of name, title"),
        ("[cec2-core]\nsize = -5", "cec2-core.size: Input should be greater than 0 (found -5)"),
        ("[lab]\nfile = 'a.zip'", "lab.title: is missing"),
        ("[cec2-core]\nfile = '../a.tgz'", 'cec2-core.file: must be a file name, not a path (found "../a.tgz")'),
        ("[cec2-core]\nplace = [{from = 'a', to = '../b'}]", "must be a path below the root"),
        ("[cec2-core]\nchecksum = {md5 = '12'}", "cec2-core.checksum: is no md5: wanted 32 hexadecimal digits"),
        ("[cec2-core]\nchecksum = {crc = '12'}", "cec2-core.checksum: is no known checksum"),
        ("cec2-core = 5", "cec2-core: is no table of a package"),
        ("[cec2-core", "is not valid TOML"),
    ],
)
def test_wrong_tables(tmp_path: Path, text: str, line: str) -> None:
    own = tmp_path / "own.toml"
    own.write_text(text)
    with pytest.raises(InputError) as caught:
        load_catalogue(own)
    assert str(caught.value).startswith(f"{own}: ")
    assert line in str(caught.value)


def test_no_table(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        load_catalogue(tmp_path / "own.toml")


def test_check_sums_as_users_give_them() -> None:
    assert parse_checksum("MD5:" + "aB" * 16) == {"md5": "ab" * 16}
    assert parse_checksum("0" * 64) == {"sha256": "0" * 64}
    for wrong in ("", "md5:", "md5:xyz", "12", "crc:" + "0" * 32):
        with pytest.raises(InputError, match="checksum: is no"):
            parse_checksum(wrong)
