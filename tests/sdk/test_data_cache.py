"""Caches: a directory comes back as it was, and a bad archive does no harm."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from conducto import data

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A directory with all that a virtual environment has."""
    root = tmp_path / "my env"
    (root / "bin").mkdir(parents=True)
    (root / "empty").mkdir()
    (root / "bin" / "tool").write_bytes(b"#!/bin/sh\n")
    (root / "bin" / "tool").chmod(0o755)
    (root / "bin" / "python").symlink_to("/usr/bin/python3")
    (root / "ünï code.txt").write_text("ß")
    os.link(root / "bin" / "tool", root / "bin" / "same")
    return root


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "restored here"


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def store(*members: tuple[tarfile.TarInfo, bytes]) -> None:
    """Put an archive of these members at the place of the cache ("evil", "1")."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for member, content in members:
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    data.user.puts("conducto-cache/evil/1.tar.gz", stream.getvalue())


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", mode: int = 0o644):
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode = kind, link, mode
    return info


def test_a_directory_comes_back_under_its_name(tree: Path, out: Path) -> None:
    data.user.save_cache("env", "1", str(tree))

    data.user.restore_cache("env", "1", str(out))

    root = out / "my env"
    assert (root / "bin" / "tool").read_bytes() == b"#!/bin/sh\n"
    assert os.access(root / "bin" / "tool", os.X_OK)
    assert (root / "bin" / "python").readlink() == Path("/usr/bin/python3")
    assert (root / "bin" / "same").samefile(root / "bin" / "tool")
    assert (root / "ünï code.txt").read_text() == "ß"
    assert (root / "empty").is_dir()


def test_the_archive_is_an_uncompressed_tar_at_the_known_place(tree: Path) -> None:
    data.user.save_cache("env", "1", str(tree))

    content = data.user.gets("conducto-cache/env/1.tar.gz")
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as archive:
        assert archive.getnames()[0] == "my env"


def test_archive_with_a_second_directory_stays_inside(out: Path) -> None:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        for name in (f"{out.name}/a", "beside/b"):
            archive.addfile(member(name))
    data.user.puts("conducto-cache/two/1.tar.gz", content.getvalue())

    data.user.restore_cache("two", "1", str(out))

    assert names(out) == ["beside", out.name]
    assert not (out.parent / "beside").exists()


def test_a_trailing_slash_or_a_relative_path_gives_the_same_name(
    tree: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tree)

    data.user.save_cache("env", "1", "./bin/")
    data.user.restore_cache("env", "1", str(out))

    assert names(out) == ["bin"]


def test_restoring_twice_gives_the_same(tree: Path, out: Path) -> None:
    data.user.save_cache("env", "1", str(tree))
    data.user.restore_cache("env", "1", str(out))

    data.user.restore_cache("env", "1", str(out))

    assert names(out / "my env" / "bin") == ["python", "same", "tool"]


def test_a_read_only_directory_comes_back_filled(tmp_path: Path, out: Path) -> None:
    (tmp_path / "ro").mkdir()
    (tmp_path / "ro" / "file").write_bytes(b"1")
    (tmp_path / "ro").chmod(0o555)

    data.user.save_cache("ro", "1", str(tmp_path / "ro"))
    data.user.restore_cache("ro", "1", str(out))

    assert (out / "ro" / "file").read_bytes() == b"1"
    assert (out / "ro").stat().st_mode & 0o777 == 0o555


def test_a_pipe_in_the_directory_is_left_out(tmp_path: Path, out: Path) -> None:
    (tmp_path / "dir").mkdir()
    os.mkfifo(tmp_path / "dir" / "pipe")

    data.user.save_cache("dir", "1", str(tmp_path / "dir"))
    data.user.restore_cache("dir", "1", str(out))

    assert names(out / "dir") == []


def test_saving_nothing_stores_nothing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        data.user.save_cache("env", "1", str(tmp_path / "missing"))

    assert not data.user.cache_exists("env", "1")
    assert data.user.list("conducto-cache/env") == []


def test_the_root_directory_has_no_name_to_save_under() -> None:
    with pytest.raises(ValueError, match="it has no name of its own"):
        data.user.save_cache("env", "1", "/")


def test_missing_cache_is_reported(out: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"^Cache not found$"):
        data.user.restore_cache("env", "1", str(out))


def test_clearing_one_checksum_leaves_the_others(tree: Path) -> None:
    for checksum in ("1", "2"):
        data.user.save_cache("env", checksum, str(tree))

    data.user.clear_cache("env", "1")

    assert not data.user.cache_exists("env", "1")
    assert data.user.cache_exists("env", "2")


def test_clearing_a_name_clears_every_checksum(tree: Path) -> None:
    for checksum in ("1", "2"):
        data.user.save_cache("env", checksum, str(tree))

    data.user.clear_cache("env")

    assert not data.user.cache_exists("env", "2")
    data.user.clear_cache("env")  # and again without complaint


EVIL: dict[str, Callable[[Path], list[tuple[tarfile.TarInfo, bytes]]]] = {
    "absolute name": lambda victim: [(member(str(victim)), b"evil")],
    "dots": lambda victim: [(member(f"a/../../{victim.name}"), b"evil")],
    "through a link": lambda victim: [
        (member("d", tarfile.SYMTYPE, str(victim.parent)), b""),
        (member(f"d/{victim.name}"), b"evil"),
    ],
    "through a chain of links": lambda victim: [
        (member("d", tarfile.DIRTYPE, mode=0o755), b""),
        (member("d/up", tarfile.SYMTYPE, ".."), b""),
        (member("e", tarfile.SYMTYPE, "d/up/.."), b""),
        (member(f"e/{victim.name}"), b"evil"),
    ],
    "hard link outside": lambda victim: [
        (member("h", tarfile.LNKTYPE, f"../{victim.name}"), b""),
        (member("h"), b"evil"),
    ],
    "absolute hard link": lambda victim: [(member("h", tarfile.LNKTYPE, str(victim)), b"")],
    "hard link through a link": lambda victim: [
        (member("d", tarfile.SYMTYPE, str(victim.parent)), b""),
        (member("h", tarfile.LNKTYPE, f"d/{victim.name}"), b""),
    ],
    "directory through a link": lambda victim: [
        (member("d", tarfile.SYMTYPE, str(victim.parent)), b""),
        (member("d/new", tarfile.DIRTYPE, mode=0o777), b""),
    ],
    "device": lambda victim: [(member("dev", tarfile.CHRTYPE), b"")],
    "pipe": lambda victim: [(member("pipe", tarfile.FIFOTYPE), b"")],
}


@pytest.mark.parametrize("make", EVIL.values(), ids=EVIL)
def test_an_evil_member_is_refused_by_name(make, tmp_path: Path, out: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"mine")
    before = names(tmp_path)
    store(*make(victim))

    with pytest.raises(ValueError, match="unsafe member"):
        data.user.restore_cache("evil", "1", str(out))

    assert victim.read_bytes() == b"mine"
    assert victim.stat().st_nlink == 1
    assert set(names(tmp_path)) - set(before) <= {"home base", out.name}


def test_a_file_is_not_written_through_a_link_of_the_same_name(tmp_path: Path, out: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"mine")
    store((member("f", tarfile.SYMTYPE, str(victim)), b""), (member("f"), b"evil"))

    data.user.restore_cache("evil", "1", str(out))

    assert victim.read_bytes() == b"mine"
    assert (out / "f").read_bytes() == b"evil"
    assert not (out / "f").is_symlink()


def test_a_directory_does_not_take_the_place_of_a_link(tmp_path: Path, out: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    store(
        (member("d", tarfile.SYMTYPE, str(elsewhere)), b""),
        (member("d", tarfile.DIRTYPE, mode=0o777), b""),
        (member("d/f"), b"inside"),
    )

    data.user.restore_cache("evil", "1", str(out))

    assert names(elsewhere) == []
    assert elsewhere.stat().st_mode & 0o777 == 0o700
    assert (out / "d" / "f").read_bytes() == b"inside"


def test_set_id_bits_and_owners_are_not_taken_over(out: Path) -> None:
    info = member("tool", mode=0o6755)
    info.uid = info.gid = 12345
    store((info, b""))

    data.user.restore_cache("evil", "1", str(out))

    found = (out / "tool").stat()
    assert found.st_mode & 0o7777 == 0o755
    assert found.st_uid == os.geteuid()


@pytest.mark.parametrize("content", [b"", b"no tar at all", b"x" * 5000], ids=len)
def test_damaged_cache_is_reported(content: bytes, out: Path) -> None:
    data.user.puts("conducto-cache/evil/1.tar.gz", content)

    with pytest.raises(ValueError, match="is not a complete tar file"):
        data.user.restore_cache("evil", "1", str(out))


def test_truncated_cache_is_reported(tree: Path, out: Path) -> None:
    (tree / "big").write_bytes(os.urandom(50_000))
    data.user.save_cache("env", "1", str(tree))
    name = "conducto-cache/env/1.tar.gz"
    data.user.puts(name, data.user.gets(name)[:40_000])

    with pytest.raises(ValueError, match="is not a complete tar file"):
        data.user.restore_cache("env", "1", str(out))
