"""Archives that would do harm: each is refused in one line, and nothing is written outside of the target."""

from __future__ import annotations

import gzip
import io
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from archives_made import folders_in, member, tar_bytes, test_package, tree_content, zip_bytes

from hearlab.datasets.packages import HostileArchive, Limits, unpack
from hearlab.errors import InputError

Members = list[tuple[tarfile.TarInfo, bytes]]
FIRST = member("clarity_data/metadata/first.json", b"[]")


def refused(tmp_path: Path, archive: bytes, name: str = "small.tgz", **limits: float) -> str:
    """Unpack an archive that must be refused; gives the line. Nothing but the archive may be there afterwards.

    Of an archive that is only damaged, the journal may stay (it tells how to go on).
    """
    folder = tmp_path / "place"
    folders = folders_in(folder)
    folders.archives.mkdir(parents=True, exist_ok=True)
    (folders.archives / name).write_bytes(archive)
    outside = tree_content(tmp_path)
    with pytest.raises(InputError) as caught:
        unpack(test_package(file=name), folders, limits=Limits(**limits) if limits else None)
    if not isinstance(caught.value, HostileArchive):
        folders.receipt(test_package()).with_suffix(".journal").unlink(missing_ok=True)
    assert tree_content(tmp_path) == outside
    line = str(caught.value)
    assert "\n" not in line
    assert line.isprintable()
    assert len(line) < 500
    return line


def refused_tar(tmp_path: Path, members: Members, format: int = tarfile.GNU_FORMAT) -> str:
    archive = tar_bytes([FIRST, *members], format)
    line = refused(tmp_path, gzip.compress(archive, 1))
    assert refused(tmp_path, archive, "small.tar").replace("small.tar", "small.tgz") == line
    return line


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tuple[tarfile.TarInfo, bytes]:
    return member(f"clarity_data/{name}", type=kind, linkname=target)


NAMES = {
    "../../escaped": "a path that leads out of the folder",
    "clarity_data/../../escaped": "a path that leads out of the folder",
    "clarity_data/metadata/..": "a path that leads out of the folder",
    "/tmp/escaped": "an absolute path",
    "//clarity_data/escaped": "an absolute path",
    "C:/escaped": "an absolute path",
    "clarity_data/..\\..\\escaped": "a name with a backslash",
    "clarity_data/a\nb": "a name with control characters",
    "clarity_data/a\x1b[2Jb": "a name with control characters",
    "clarity_data/wav.\u202egnp": "a name with characters that hide its true form",
    "clarity_data/name.": "a name that ends in a dot or a space",
    "clarity_data/name ": "a name that ends in a dot or a space",
    "clarity_data/folder. /file": "a name that ends in a dot or a space",
    "clarity_data/" + "n" * 256: "a name that is too long",
    "clarity_data/" + "d/" * 40 + "file": "a path that is too long",
    "clarity_data/" + "/".join(["e" * 200] * 6): "a path that is too long",
}


@pytest.mark.parametrize(("name", "problem"), NAMES.items())
def test_names(tmp_path: Path, name: str, problem: str) -> None:
    assert problem in refused_tar(tmp_path, [member(name, b"x")])
    assert problem in refused_tar(tmp_path, [member(name, b"x")], tarfile.PAX_FORMAT)
    archive = zip_bytes([("clarity_data/first.json", b"[]"), (name, b"x")])
    assert problem in refused(tmp_path, archive, "small.zip")


def test_names_are_refused_where_they_are_not_unpacked_too(tmp_path: Path) -> None:
    assert "leads out" in refused_tar(tmp_path, [member("elsewhere/../../x", b"x")])


def test_names_with_nul(tmp_path: Path) -> None:
    pax = member("clarity_data/x", b"x")[0]
    pax.pax_headers = {"path": "clarity_data/a\0b"}
    assert "control characters" in refused_tar(tmp_path, [(pax, b"x")], tarfile.PAX_FORMAT)
    archive = zip_bytes([("clarity_data/a#b", b"x")]).replace(b"a#b", b"a\0b")
    assert "control characters" in refused(tmp_path, archive, "small.zip")


def test_names_that_are_not_utf8(tmp_path: Path) -> None:
    assert "not UTF-8" in refused_tar(tmp_path, [member("clarity_data/caf\udce9", b"x")])
    archive = zip_bytes([("clarity_data/a#b", b"x")]).replace(b"a#b", b"a\xe9b")
    assert "not UTF-8" in refused(tmp_path, archive, "small.zip")


def test_utf8_names_without_the_flag_are_taken(tmp_path: Path) -> None:
    folders = folders_in(tmp_path)
    folders.archives.mkdir()
    content = zip_bytes([("clarity_data/Cae.wav", b"x")]).replace(b"Cae", "Cé".encode())
    (folders.archives / "small.zip").write_bytes(content)
    unpack(test_package(file="small.zip"), folders)
    assert tree_content(folders.roots["clarity_data"]) == {"Cé.wav": b"x"}


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
@pytest.mark.parametrize("target", ["/etc/passwd", "../../../outside", "dev/../../../x", "C:/x"])
def test_links_that_lead_out(tmp_path: Path, kind: bytes, target: str) -> None:
    line = refused_tar(tmp_path, [link("evil", target, kind), member("clarity_data/evil/x", b"x")])
    absolute = target.startswith(("/", "C:"))
    assert ("a link to an absolute path" if absolute else "a link that leads out of the archive") in line


@pytest.mark.parametrize("target", [".", "dev", "later", "../elsewhere"])
def test_links_to_what_is_no_file_before_them(tmp_path: Path, target: str) -> None:
    """Among them links to folders, through which later members would be written."""
    members = [link("a", target), member("clarity_data/a/x", b"x"), member("clarity_data/later", b"")]
    assert "a symbolic link to what is no file before it" in refused_tar(tmp_path, members)


def test_links_to_files_before_them_become_files(tmp_path: Path) -> None:
    folders = folders_in(tmp_path)
    folders.archives.mkdir()
    members = [
        member("clarity_data/dev/a.wav", b"sound"),
        link("dev/b.wav", "a.wav"),
        link("train/c.wav", "../dev/a.wav"),
        link("dev/d.wav", "clarity_data/dev/a.wav", tarfile.LNKTYPE),
    ]
    (folders.archives / "small.tgz").write_bytes(gzip.compress(tar_bytes(members)))
    done = unpack(test_package(), folders)
    root = folders.roots["clarity_data"]
    assert tree_content(root) == dict.fromkeys(("dev/a.wav", "dev/b.wav", "dev/d.wav", "train/c.wav"), b"sound")
    assert not any(path.is_symlink() for path in root.rglob("*"))
    assert done.size == 20


def test_links_in_a_zip(tmp_path: Path) -> None:
    info = zipfile.ZipInfo("clarity_data/evil")
    info.create_system, info.external_attr = 3, 0o120777 << 16
    archive = zip_bytes([("clarity_data/first", b"x"), (info, b"/etc")])
    assert "a symbolic link" in refused(tmp_path, archive, "small.zip")


@pytest.mark.parametrize(
    ("kind", "problem"),
    [
        (tarfile.CHRTYPE, "a device"),
        (tarfile.BLKTYPE, "a device"),
        (tarfile.FIFOTYPE, "a named pipe"),
        (tarfile.GNUTYPE_SPARSE, "a sparse file"),
        (b"Z", "a member of unknown kind 'Z'"),
        (b"V", "a member of unknown kind 'V'"),
    ],
)
def test_special_files(tmp_path: Path, kind: bytes, problem: str) -> None:
    assert problem in refused_tar(tmp_path, [member("clarity_data/x", type=kind)])


def test_special_files_in_a_zip(tmp_path: Path) -> None:
    info = zipfile.ZipInfo("clarity_data/pipe")
    info.create_system, info.external_attr = 3, 0o010644 << 16
    assert "a device or named pipe" in refused(tmp_path, zip_bytes([(info, b"")]), "small.zip")


@pytest.mark.parametrize("version", ["0.1", "1.0"])
def test_sparse_files_in_pax_headers(tmp_path: Path, version: str) -> None:
    info = member("clarity_data/x", b"0\n")[0]
    major, minor = version.split(".")
    info.pax_headers = {"GNU.sparse.major": major, "GNU.sparse.minor": minor, "GNU.sparse.realsize": str(1 << 50)}
    assert "a sparse file" in refused_tar(tmp_path, [(info, b"0\n")], tarfile.PAX_FORMAT)


CLASHES = [
    (["dev/a.wav", "dev/a.wav"], "the same name twice"),
    (["dev/a.wav", "dev/./a.wav"], "the same name twice"),
    (["dev/a.wav", "dev//a.wav"], "the same name twice"),
    (["dev/a.wav", "dev/A.wav"], "differs from another in case only"),
    (["dev/a.wav", "DEV/b.wav"], "differs from another in case only"),
    (["dev/straße.wav", "dev/STRASSE.wav"], "differs from another in case only"),
    (["dev/caf\u00e9.wav", "dev/cafe\u0301.wav"], "differs from another in case only"),
    (["dev/a", "dev/a/b.wav"], "both a file and a folder"),
    (["dev/a/b.wav", "dev/a"], "both a file and a folder"),
]


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(("names", "problem"), CLASHES)
def test_clashing_names(tmp_path: Path, names: list[str], problem: str) -> None:
    members = [member(f"clarity_data/{name}", b"x") for name in names]
    assert problem in refused_tar(tmp_path, members)
    archive = zip_bytes([(f"clarity_data/{name}", b"x") for name in names])
    assert problem in refused(tmp_path, archive, "small.zip")


def test_names_that_clash_once_they_are_placed(tmp_path: Path) -> None:
    assert "the same name twice" in refused_tar(
        tmp_path, [member("a/clarity_data/x", b"x"), member("b/clarity_data/x", b"x")]
    )


def test_the_same_file_twice_may_be_allowed(tmp_path: Path) -> None:
    folders = folders_in(tmp_path)
    folders.archives.mkdir()
    package = test_package(duplicates="identical")
    twice = [member("clarity_data/a", b"x"), member("clarity_data/a", b"x")]
    (folders.archives / "small.tgz").write_bytes(gzip.compress(tar_bytes(twice)))
    assert unpack(package, folders).files == 1
    other = [member("clarity_data/b", b"x"), member("clarity_data/b", b"y")]
    (folders.archives / "small.tgz").write_bytes(gzip.compress(tar_bytes(other)))
    with pytest.raises(HostileArchive, match="the same name twice, with other bytes"):
        unpack(package, folders)


def test_a_bomb_of_zeros(tmp_path: Path) -> None:
    archive = gzip.compress(tar_bytes([FIRST, member("clarity_data/zeros.wav", bytes(6 << 20))]))
    assert len(archive) < 20_000
    line = refused(tmp_path, archive, slack=1 << 20)
    assert "a compression bomb (found " in line
    packed = zip_bytes([("clarity_data/zeros.wav", bytes(6 << 20))])
    assert "a compression bomb (found 6.3 MB out of" in refused(tmp_path, packed, "small.zip", slack=1 << 20)


def test_a_bomb_in_what_is_left_out(tmp_path: Path) -> None:
    archive = gzip.compress(tar_bytes([FIRST, member("elsewhere/zeros.wav", bytes(6 << 20))]))
    assert "a compression bomb" in refused(tmp_path, archive, slack=1 << 20)


def test_a_bomb_behind_the_end(tmp_path: Path) -> None:
    archive = gzip.compress(tar_bytes([FIRST]) + bytes(6 << 20))
    assert "a compression bomb" in refused(tmp_path, archive, slack=1 << 20)


def test_more_than_the_table_says(tmp_path: Path) -> None:
    """The size is refused as soon as the headers tell it: not a byte of that member is written."""
    members = [FIRST, member("clarity_data/huge.wav", bytes(100_000))]
    line = refused(tmp_path, gzip.compress(tar_bytes(members)), size=50_000)
    assert "unpacks to more than it should" in line
    assert "wanted at most 50.0 kB" in line
    packed = zip_bytes([("clarity_data/huge.wav", bytes(100_000))])
    assert "unpacks to more than it should" in refused(tmp_path, packed, "small.zip", size=50_000)


def test_the_table_sets_the_limit(tmp_path: Path) -> None:
    folders = folders_in(tmp_path)
    folders.archives.mkdir()
    archive = gzip.compress(tar_bytes([member("clarity_data/a.wav", bytes(1600))]))
    (folders.archives / "small.tgz").write_bytes(archive)
    with pytest.raises(HostileArchive, match="unpacks to more than it should"):
        unpack(test_package(unpacked=1000), folders)
    assert unpack(test_package(unpacked=1100), folders).size == 1600


def test_a_size_beyond_all_disks(tmp_path: Path) -> None:
    info = member("clarity_data/x")[0]
    info.size = 1 << 60
    content = info.tobuf(tarfile.GNU_FORMAT) + bytes(1024)
    assert "unpacks to more" in refused(tmp_path, gzip.compress(content), size=1 << 40)
    # Without a figure in the table nothing but the end of the archive says no.
    assert "is cut short" in refused(tmp_path, gzip.compress(content))


def test_a_negative_size(tmp_path: Path) -> None:
    header = bytearray(member("clarity_data/x")[0].tobuf(tarfile.GNU_FORMAT))
    header[124:136] = struct.pack(">Bxxxq", 0xFF, -512)
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    assert "a header whose size is no number" in refused(tmp_path, gzip.compress(bytes(header) + bytes(1024)))


def test_too_many_members(tmp_path: Path) -> None:
    members = [member(f"clarity_data/{k}") for k in range(20)]
    assert "too many members" in refused(tmp_path, gzip.compress(tar_bytes(members)), members=10)
    folders = [member(f"clarity_data/{k}", type=tarfile.DIRTYPE) for k in range(20)]
    assert "too many members" in refused(tmp_path, gzip.compress(tar_bytes(folders)), members=10)
    packed = zip_bytes([(f"clarity_data/{k}", b"") for k in range(20)])
    assert "too many members" in refused(tmp_path, packed, "small.zip", members=10)


@pytest.mark.parametrize("kind", [b"x", b"g", b"L", b"K"])
def test_an_extended_header_of_gigabytes(tmp_path: Path, kind: bytes) -> None:
    """It is refused by its size: reading it would take that much memory."""
    info = member("long", type=kind)[0]
    info.size = 1 << 32
    content = info.tobuf(tarfile.GNU_FORMAT) + bytes(4096)
    assert "an extended header of odd size (found 4294967296 bytes)" in refused(tmp_path, gzip.compress(content))


def test_names_for_all_members(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT, pax_headers={"path": "../../x"}) as tar:
        tar.addfile(member("clarity_data/x")[0])
    assert "one path for all members" in refused(tmp_path, gzip.compress(buffer.getvalue()))


def overlapping_zip(copies: int) -> bytes:
    """Entries that all point to the same packed bytes (Fifield 2019)."""
    content = bytearray(zip_bytes([(f"clarity_data/{k:04d}", bytes(1000)) for k in range(copies)]))
    with zipfile.ZipFile(io.BytesIO(content)) as packed:
        at = packed.start_dir
    for _ in range(copies):
        name, extra, comment = struct.unpack_from("<3H", content, at + 28)
        struct.pack_into("<L", content, at + 42, 0)
        at += 46 + name + extra + comment
    return bytes(content)


def test_members_that_share_bytes(tmp_path: Path) -> None:
    assert "members that share bytes" in refused(tmp_path, overlapping_zip(5), "small.zip")


def test_a_member_that_reaches_into_the_directory(tmp_path: Path) -> None:
    content = bytearray(zip_bytes([("clarity_data/x", b"0123456789")], zipfile.ZIP_STORED))
    at = content.index(b"PK\x01\x02")
    struct.pack_into("<LL", content, at + 20, 60, 60)
    assert "members that share bytes" in refused(tmp_path, bytes(content), "small.zip")


def test_an_encrypted_zip(tmp_path: Path) -> None:
    content = bytearray(zip_bytes([("clarity_data/x", b"x")]))
    at = content.index(b"PK\x01\x02")
    struct.pack_into("<H", content, at + 8, 1)
    assert "an encrypted file" in refused(tmp_path, bytes(content), "small.zip")


def test_a_zip_packed_in_an_unknown_way(tmp_path: Path) -> None:
    content = bytearray(zip_bytes([("clarity_data/x", b"x")]))
    struct.pack_into("<H", content, content.index(b"PK\x01\x02") + 10, 99)
    assert "packed in an unknown way (found 99, wanted stored or deflate)" in refused(
        tmp_path, bytes(content), "small.zip"
    )


def test_other_names_in_front_of_the_files_than_in_the_directory(tmp_path: Path) -> None:
    content = zip_bytes([("clarity_data/x", b"x")]).replace(b"clarity_data/x", b"clarity_data/y", 1)
    folders = folders_in(tmp_path)
    folders.archives.mkdir()
    (folders.archives / "small.zip").write_bytes(content)
    with pytest.raises(InputError, match="is damaged or no zip archive"):
        unpack(test_package(file="small.zip"), folders)
    assert tree_content(folders.roots["clarity_data"]) == {}


def test_a_directory_too_large_to_read(tmp_path: Path) -> None:
    content = bytearray(zip_bytes([("clarity_data/x", b"x")]))
    struct.pack_into("<L", content, content.rindex(b"PK\x05\x06") + 12, 1 << 31)
    assert "too many members" in refused(tmp_path, bytes(content), "small.zip")


def test_files_that_tools_would_act_on_are_left_out(tmp_path: Path) -> None:
    """git runs hooks of a repository that it stands in, DVC commands of a dvc.yaml; and our own temporary names."""
    folders = folders_in(tmp_path)
    folders.archives.mkdir()
    names = [".git/hooks/post-checkout", ".GIT/config", "dev/dvc.yaml", "dev/DVC.lock", "a.dvc", ".small.part-0"]
    members = [FIRST, *(member(f"clarity_data/{name}", b"x") for name in names)]
    (folders.archives / "small.tgz").write_bytes(gzip.compress(tar_bytes(members)))
    done = unpack(test_package(), folders)
    assert done.left_out == [f"clarity_data/{name}" for name in names]
    assert tree_content(folders.roots["clarity_data"]) == {"metadata/first.json": b"[]"}


def test_modes_are_plain(tmp_path: Path) -> None:
    folders = folders_in(tmp_path)
    folders.archives.mkdir()
    odd = [
        member("clarity_data/setuid", b"x", mode=0o6777, uid=12345, gid=54321),
        member("clarity_data/closed", type=tarfile.DIRTYPE, mode=0o000),
        member("clarity_data/closed/unreadable", b"x", mode=0o000),
    ]
    (folders.archives / "small.tgz").write_bytes(gzip.compress(tar_bytes(odd)))
    unpack(test_package(), folders)
    root = folders.roots["clarity_data"]
    fresh = tmp_path / "fresh"
    fresh.write_bytes(b"")
    for name in ("setuid", "closed/unreadable"):
        assert (root / name).stat().st_mode == fresh.stat().st_mode
        assert (root / name).stat().st_uid == fresh.stat().st_uid


def test_what_a_hostile_archive_wrote_is_removed_and_nothing_else(tmp_path: Path) -> None:
    folders = folders_in(tmp_path)
    folders.archives.mkdir()
    mine = folders.roots["clarity_data"] / "metadata" / "mine.json"
    mine.parent.mkdir(parents=True)
    mine.write_bytes(b"mine")
    members = [member("clarity_data/metadata/mine.json", b"mine"), FIRST, member("clarity_data/dev/x/y.wav", b"x")]
    (folders.archives / "small.tgz").write_bytes(gzip.compress(tar_bytes([*members, member("../x")])))
    with pytest.raises(HostileArchive):
        unpack(test_package(), folders)
    assert tree_content(folders.roots["clarity_data"]) == {"metadata/mine.json": b"mine"}
    assert not (folders.roots["clarity_data"] / "dev").exists()


def test_nothing_is_written_through_links_that_are_there(tmp_path: Path) -> None:
    folders = folders_in(tmp_path)
    folders.archives.mkdir()
    root, elsewhere = folders.roots["clarity_data"], tmp_path / "elsewhere"
    root.mkdir()
    elsewhere.mkdir()
    (root / "dev").symlink_to(elsewhere)
    (folders.archives / "small.tgz").write_bytes(gzip.compress(tar_bytes([member("clarity_data/dev/x", b"x")])))
    with pytest.raises(InputError, match=r"clarity_data/dev: is in the way \(found a link, wanted a folder\)"):
        unpack(test_package(), folders)
    assert tree_content(elsewhere) == {}
    (root / "dev").unlink()
    (root / "dev").mkdir()
    (root / "dev" / "x").symlink_to(elsewhere / "target")
    (elsewhere / "target").write_bytes(b"other")
    with pytest.raises(InputError, match="is there with other bytes"):
        unpack(test_package(), folders)
    unpack(test_package(), folders, overwrite=True)
    assert (elsewhere / "target").read_bytes() == b"other"
    assert not (root / "dev" / "x").is_symlink()


def damaged_tar(change: Callable[[bytearray], object]) -> bytes:
    content = bytearray(tar_bytes([FIRST, member("clarity_data/a", b"a" * 700), member("clarity_data/b", b"b")]))
    change(content)
    return bytes(content)


DAMAGES: list[tuple[Callable[[bytearray], object], str]] = [
    (lambda tar: tar.__delitem__(slice(512 * 5, None)), "is cut short: no end mark"),  # between two members
    (lambda tar: tar.__delitem__(slice(512 * 3 + 100, None)), "is cut short"),
    (lambda tar: tar.__setitem__(512 * 2 + 10, 0x41), "a header with a wrong checksum"),
    (lambda tar: tar.__setitem__(slice(512 * 2, 512 * 3), bytes(512)), "one empty block among the headers"),
    (lambda tar: tar.__setitem__(512 * 2 + 130, 0x39), "a header with"),
]


@pytest.mark.parametrize(("change", "problem"), DAMAGES)
def test_damaged_tar_archives(tmp_path: Path, change: Callable[[bytearray], object], problem: str) -> None:
    folders = folders_in(tmp_path)
    folders.archives.mkdir()
    for name, content in (("small.tgz", gzip.compress(damaged_tar(change))), ("small.tar", damaged_tar(change))):
        (folders.archives / name).write_bytes(content)
        with pytest.raises(InputError, match=problem) as caught:
            unpack(test_package(file=name), folders)
        assert not isinstance(caught.value, HostileArchive)
        assert not folders.receipt(test_package()).exists()


def test_damaged_gzip(tmp_path: Path) -> None:
    folders = folders_in(tmp_path)
    folders.archives.mkdir()
    whole = gzip.compress(tar_bytes([FIRST]))
    flipped = bytearray(whole)
    flipped[-6] ^= 1  # in the check sum
    for content, problem in (
        (whole[:-9], "is cut short"),
        (whole[:-3], "is cut short"),
        (bytes(flipped), "is damaged"),
        (whole + b"more", "other bytes after the end of the gzip stream"),
        (b"\x1f\x8b" + whole[20:], "is damaged"),
        (b"nothing of the kind", "is cut short"),
        (b"", "is cut short"),
        (b"n" * 600, "is damaged or no tar archive"),
    ):
        (folders.archives / "small.tgz").write_bytes(content)
        with pytest.raises(InputError, match=problem):
            unpack(test_package(), folders)
    (folders.archives / "small.tgz").write_bytes(
        gzip.compress(tar_bytes([FIRST])[:700]) + gzip.compress(tar_bytes([FIRST])[700:]) + bytes(100)
    )
    assert unpack(test_package(), folders).files == 1


def test_damaged_zips(tmp_path: Path) -> None:
    folders = folders_in(tmp_path)
    folders.archives.mkdir()
    whole = zip_bytes([("clarity_data/x", b"0123456789" * 100)], zipfile.ZIP_STORED)
    flipped = bytearray(whole)
    flipped[100] ^= 1
    for content, problem in (
        (whole[:-30], "is cut short or no zip archive"),
        (bytes(flipped), "is damaged or no zip archive"),
        (whole[:200] + whole[300:], "members that share bytes|is damaged or no zip archive"),
    ):
        (folders.archives / "small.zip").write_bytes(content)
        with pytest.raises(InputError, match=problem):
            unpack(test_package(file="small.zip"), folders)
        assert tree_content(folders.roots["clarity_data"]) == {}
