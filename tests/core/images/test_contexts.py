"""Directories on their way into an image."""

import io
import os
import socket
import tarfile
import time
from pathlib import Path

import pytest

from conducto_core.images import contexts
from conducto_core.images.contexts import (
    ContextError,
    Digests,
    Ignore,
    pack,
    read_context,
    tree_hash,
    upload_hash,
)


@pytest.fixture
def code(tmp_path: Path) -> Path:
    root = tmp_path / "code"
    (root / "sub").mkdir(parents=True)
    (root / "a.py").write_text("print(1)\n")
    (root / "sub/run.sh").write_text("#!/bin/sh\n")
    (root / "sub/run.sh").chmod(0o755)
    (root / "link").symlink_to("sub/run.sh")
    return root


def unpacked(data: bytes) -> dict[str, tuple[tarfile.TarInfo, bytes]]:
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        files = {member.name: archive.extractfile(member) for member in archive if member.isreg()}
        contents = {name: file.read() for name, file in files.items() if file is not None}
        return {member.name: (member, contents.get(member.name, b"")) for member in archive}


def paths(root: Path, rules: str = "") -> list[str]:
    return [entry.path for entry in read_context(str(root), Ignore.parse(rules)).entries]


def hash_of(root: Path) -> str:
    return tree_hash(read_context(str(root), Ignore()), Digests())


def test_conductos_own_files_are_in_no_context(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "me" / ".conducto"
    (home / "default" / "agent").mkdir(parents=True)
    (home / "default" / "agent" / "token").write_text("secret")
    (tmp_path / "me" / "code.py").write_text("0")
    monkeypatch.setenv("CONDUCTO_BASE_DIR", str(home))

    found = [entry.path for entry in read_context(str(tmp_path), Ignore.parse("!**")).entries]

    assert found == ["me", "me/code.py"]


def test_everything_is_taken_parents_first(code: Path) -> None:
    assert paths(code) == ["a.py", "link", "sub", "sub/run.sh"]


def test_exceptions_below_excluded_folders_are_found(code: Path) -> None:
    assert paths(code, "*\n!sub/run.sh") == ["sub/run.sh"]


def test_tar_keeps_modes_links_and_contents(code: Path) -> None:
    data = b"".join(pack(read_context(str(code), Ignore()), "mnt/conducto/"))
    members = unpacked(data)
    script, content = members["mnt/conducto/sub/run.sh"]

    assert (script.mode, content) == (0o755, b"#!/bin/sh\n")
    assert members["mnt/conducto/link"][0].linkname == "sub/run.sh"
    assert {member.uid for member, _content in members.values()} == {0}


def test_odd_names_survive(tmp_path: Path) -> None:
    names = ["ä" * 60, "with\nbreak", "x" * 200]
    for name in names:
        (tmp_path / name).write_text(name)

    data = b"".join(pack(read_context(str(tmp_path), Ignore())))

    assert sorted(unpacked(data)) == sorted(names)


def test_large_files_are_uploaded_in_chunks(tmp_path: Path) -> None:
    with (tmp_path / "big").open("wb") as file:
        file.truncate(10 * contexts.CHUNK + 1)

    sizes = [len(chunk) for chunk in pack(read_context(str(tmp_path), Ignore()))]

    assert len(sizes) > 9
    assert max(sizes) <= 2 * contexts.CHUNK


def test_packed_files_stand_in_front_of_a_tar(code: Path) -> None:
    head = contexts.pack_files({"Dockerfile": b"FROM a\n"})
    data = head + b"".join(pack(read_context(str(code), Ignore())))

    assert list(unpacked(data)) == ["Dockerfile", "a.py", "link", "sub", "sub/run.sh"]


def test_hash_ignores_times(code: Path) -> None:
    before = hash_of(code)
    os.utime(code / "a.py", (1, 1))

    assert hash_of(code) == before


@pytest.mark.parametrize(
    "change",
    [
        lambda root: (root / "a.py").write_text("print(2)\n"),
        lambda root: (root / "a.py").chmod(0o600),
        lambda root: (root / "a.py").rename(root / "b.py"),
        lambda root: (root / "empty").mkdir(),
        lambda root: (root / "link").unlink() or (root / "link").symlink_to("a.py"),
    ],
    ids=["content", "mode", "name", "new folder", "link target"],
)
def test_hash_depends_on_the_visible_files(code: Path, change: object) -> None:
    before = hash_of(code)
    assert callable(change)
    change(code)

    assert hash_of(code) != before


def test_equal_directories_upload_equally_with_different_times(code: Path) -> None:
    before = upload_hash(read_context(str(code), Ignore()))
    os.utime(code / "a.py", (1, 1))
    assert upload_hash(read_context(str(code), Ignore())) == before

    (code / "a.py").write_text("print(3)\n")
    assert upload_hash(read_context(str(code), Ignore())) != before


def test_changed_file_is_read_again(code: Path) -> None:
    digests = Digests()
    old = time.time() - 100
    os.utime(code / "a.py", (old, old))
    before = tree_hash(read_context(str(code), Ignore()), digests)
    (code / "a.py").write_text("print(2)\n")
    os.utime(code / "a.py", (old, old))

    assert tree_hash(read_context(str(code), Ignore()), digests) != before


def test_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ContextError, match=r"nowhere' does not exist; check the path"):
        read_context(str(tmp_path / "nowhere"), Ignore())


def test_file_is_rejected_as_a_directory(code: Path) -> None:
    with pytest.raises(ContextError, match=r"a\.py' is not a directory"):
        read_context(str(code / "a.py"), Ignore())


def test_whole_file_system_is_refused() -> None:
    with pytest.raises(ContextError, match="'/' is the whole file system"):
        read_context("/", Ignore())


def test_loop_of_links_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")

    with pytest.raises(ContextError, match="cannot be followed"):
        read_context(str(tmp_path / "a"), Ignore())


def test_loop_inside_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "here").symlink_to(".")

    assert paths(tmp_path) == ["here"]


def test_sockets_are_omitted_and_reported(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        context = read_context(str(tmp_path), Ignore())

    assert context.skipped == ("s",)
    assert context.entries == ()


def test_unreadable_file_is_named(code: Path) -> None:
    context = read_context(str(code), Ignore())
    (code / "a.py").unlink()
    (code / "a.py").mkdir()

    with pytest.raises(ContextError, match=r"a\.py' cannot be read: .*leave it out"):
        list(pack(context))


def test_shrinking_file_is_named(code: Path) -> None:
    context = read_context(str(code), Ignore())
    (code / "a.py").write_text("")

    with pytest.raises(ContextError, match=r"a\.py' shrank while it was copied"):
        list(pack(context))


def test_growing_file_is_cut(code: Path) -> None:
    context = read_context(str(code), Ignore())
    (code / "a.py").write_text("print(1)\nprint(2)\n")

    assert unpacked(b"".join(pack(context)))["a.py"][1] == b"print(1)\n"


def test_dockerfiles_own_rules_come_first(code: Path) -> None:
    (code / ".dockerignore").write_text("sub\n")
    (code / "Dockerfile.dockerignore").write_text("a.py\n")

    ignore = contexts.read_ignore(str(code), str(code / "Dockerfile"))

    assert ignore.excludes("a.py")
    assert not ignore.excludes("sub")


def test_broken_rules_name_their_file(code: Path) -> None:
    (code / ".dockerignore").write_text("[z-a]\n")

    with pytest.raises(ContextError, match=r"\.dockerignore: cannot read the pattern"):
        contexts.read_ignore(str(code))


def test_largest_parts_are_named(code: Path) -> None:
    (code / "sub/data").write_bytes(b"x" * 1000)

    assert read_context(str(code), Ignore()).largest(1) == [("sub", 1010)]
