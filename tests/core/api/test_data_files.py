"""Data files: nothing is read, written or deleted outside of their directory."""

import os
import stat
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from conducto_core.api.problems import ProblemError, too_large
from conducto_core.data.handlers import DataDirectory
from conducto_core.errors import NotFoundError, RefusedError
from conducto_core.run.model.params import MAX_DATA_DEPTH
from conducto_local.store.port import StoreFullError

SECRET = b"of somebody else"


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "secret").write_bytes(SECRET)
    return folder


@pytest.fixture
def root(tmp_path: Path, outside: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    folder.chmod(0o777)
    (folder / "file").write_bytes(b"ours")
    (folder / "folder").mkdir()
    (folder / "folder" / "inner").write_bytes(b"inner")
    (folder / "out").symlink_to(outside)
    (folder / "out-file").symlink_to(outside / "secret")
    (folder / "up").symlink_to("../outside")
    (folder / "loop").symlink_to("loop")
    (folder / "latest").symlink_to("folder")
    (folder / "latest-file").symlink_to("folder/inner")
    return folder


@pytest.fixture
def data(root: Path) -> DataDirectory:
    return DataDirectory(root, StoreFullError)


async def content(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


def names_in(folder: Path) -> list[str]:
    return [one.name for one in folder.iterdir()]


OUT = ["out/secret", "out-file", "up/secret", "out", "folder/../../outside/secret"]


@pytest.mark.parametrize("name", OUT)
def test_no_link_is_read_that_leads_out(data: DataDirectory, name: str) -> None:
    with pytest.raises(RefusedError):
        data.open(name)


@pytest.mark.parametrize("name", ["out", "up"])
def test_no_link_is_listed_that_leads_out(data: DataDirectory, name: str) -> None:
    with pytest.raises(RefusedError, match="leads out"):
        data.entries(name, None, 10)


@pytest.mark.parametrize("name", ["out/new", "up/new", "out/a/b"])
async def test_no_file_is_written_through_a_link_that_leads_out(
    data: DataDirectory, outside: Path, name: str
) -> None:
    with pytest.raises(RefusedError):
        await data.write(name, content(b"x"))

    assert names_in(outside) == ["secret"]


@pytest.mark.parametrize("name", ["out/secret", "up/secret"])
def test_nothing_is_deleted_through_a_link_that_leads_out(
    data: DataDirectory, outside: Path, name: str
) -> None:
    with pytest.raises(RefusedError):
        data.delete(name)

    assert (outside / "secret").read_bytes() == SECRET


async def test_a_link_that_leads_out_is_replaced_and_not_followed(
    data: DataDirectory, outside: Path, root: Path
) -> None:
    await data.write("out-file", content(b"mine"))

    assert (outside / "secret").read_bytes() == SECRET
    assert (root / "out-file").read_bytes() == b"mine"
    assert not (root / "out-file").is_symlink()


def test_a_link_that_leads_out_is_deleted_and_not_followed(
    data: DataDirectory, outside: Path, root: Path
) -> None:
    data.delete("out")

    assert (outside / "secret").read_bytes() == SECRET
    assert not (root / "out").is_symlink()


def test_deleting_a_directory_deletes_no_more_than_links_in_it(
    data: DataDirectory, outside: Path, root: Path
) -> None:
    (root / "folder" / "link").symlink_to(outside)

    data.delete("folder")

    assert (outside / "secret").read_bytes() == SECRET
    assert not (root / "folder").exists()


def test_links_within_the_data_are_followed(data: DataDirectory) -> None:
    with data.open("latest/inner") as through, data.open("latest-file") as direct:
        assert (through.read(), direct.read()) == (b"inner", b"inner")
    assert [one.name for one in data.entries("latest", None, 10).entries] == ["folder/inner"]


def test_list_distinguishes_links(data: DataDirectory) -> None:
    kinds = {one.name: one.kind for one in data.entries("", None, 100).entries}

    assert kinds == {
        "file": "file",
        "folder": "directory",
        "latest": "directory",
        "latest-file": "file",
        "loop": "other",
        "out": "other",
        "out-file": "other",
        "up": "other",
    }


def test_link_created_in_between_is_rejected(root: Path, outside: Path) -> None:
    """Another process swaps a directory for a link and back, as fast as it can."""
    data, stop = DataDirectory(root, StoreFullError), threading.Event()
    (root / "flip").mkdir()
    (root / "flip" / "secret").write_bytes(b"ours")

    def flip() -> None:
        while not stop.is_set():
            (root / "flip").rename(root / "aside")
            (root / "flip").symlink_to(outside)
            (root / "flip").unlink()
            (root / "aside").rename(root / "flip")

    thread = threading.Thread(target=flip)
    thread.start()
    seen = set()
    try:
        for _ in range(2000):
            try:
                with data.open("flip/secret") as file:
                    seen.add(file.read())
            except (RefusedError, NotFoundError):
                continue
    finally:
        stop.set()
        thread.join()

    assert SECRET not in seen


def test_pipe_is_rejected_without_waiting(data: DataDirectory, root: Path) -> None:
    os.mkfifo(root / "pipe")

    with pytest.raises(RefusedError, match="not a file"):
        data.open("pipe")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes devices")
def test_device_is_refused_before_it_is_opened(data: DataDirectory, root: Path) -> None:
    # No driver has this number: opening the device would fail with another error.
    os.mknod(root / "device", stat.S_IFCHR | 0o666, os.makedev(240, 250))

    with pytest.raises(RefusedError, match="not a file"):
        data.open("device")


@pytest.mark.parametrize("name", ["", "/", ".", "./."])
async def test_directory_itself_is_not_a_file(data: DataDirectory, root: Path, name: str) -> None:
    with pytest.raises(RefusedError, match="is not the name of a file"):
        data.open(name)
    with pytest.raises(RefusedError, match="is not the name of a file"):
        data.delete(name)
    with pytest.raises(RefusedError, match="is not the name of a file"):
        await data.write(name, content(b""))
    assert (root / "file").exists()


@pytest.mark.parametrize("name", ["a\0b", "..", "../x", "a/../b"])
def test_invalid_name_is_rejected(data: DataDirectory, name: str) -> None:
    with pytest.raises(RefusedError):
        data.open(name)


def test_a_name_that_the_disk_does_not_take_is_refused(data: DataDirectory) -> None:
    with pytest.raises(RefusedError, match="too long"):
        data.open("x" * 300)


async def test_an_absolute_name_is_one_below_the_data(data: DataDirectory, root: Path) -> None:
    entry = await data.write("/etc/passwd", content(b"x"))

    assert entry.name == "etc/passwd"
    assert (root / "etc" / "passwd").read_bytes() == b"x"


async def test_a_file_appears_once_it_is_whole(data: DataDirectory, root: Path) -> None:
    async def breaks_off() -> AsyncIterator[bytes]:
        yield b"half"
        assert (root / "file").read_bytes() == b"ours"
        raise too_large(4)

    with pytest.raises(ProblemError):
        await data.write("file", breaks_off())

    assert (root / "file").read_bytes() == b"ours"
    assert not [name for name in names_in(root) if name.startswith(".conducto")]


async def test_new_files_are_shared_as_their_directory_is(data: DataDirectory, root: Path) -> None:
    before = os.umask(0o077)
    try:
        await data.write("new/deep/file", content(b"x"))
    finally:
        os.umask(before)

    modes = [(root / part).stat().st_mode & 0o777 for part in ("new", "new/deep")]
    assert modes == [0o777, 0o777]
    assert (root / "new/deep/file").stat().st_mode & 0o777 == 0o666


async def test_full_disk_is_reported(
    data: DataDirectory, root: Path, limited_files: Callable[[int], None]
) -> None:
    limited_files(1000)

    with pytest.raises(StoreFullError, match="disk is full"):
        await data.write("file", content(b"x" * 2000))

    assert (root / "file").read_bytes() == b"ours"


@pytest.fixture
def limited_files():
    """Let no file grow beyond so many bytes, as a quota would."""
    import resource
    import signal

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


def test_undecodable_name_is_listed_but_not_opened(data: DataDirectory, root: Path) -> None:
    (root / os.fsdecode(b"bad-\xff")).write_bytes(b"x")

    found = next(e for e in data.entries("", None, 100).entries if e.name.startswith("bad-"))

    assert found.kind == "other"
    assert found.model_dump_json()


def test_partially_written_file_is_not_listed(data: DataDirectory, root: Path) -> None:
    (root / ".conducto-tmp-1234").write_bytes(b"half")

    assert all(not e.name.startswith(".conducto") for e in data.entries("", None, 100).entries)


def written(path: Path, when: float) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")
    os.utime(path, (when, when))


def test_recently_written_files_are_found_at_any_depth_newest_first(
    data: DataDirectory, root: Path
) -> None:
    for name, when in {"a/b/c": 2000.0, "d": 2001.0, "a/early": 1999.0, "late": 2003.0}.items():
        written(root / name, when)
    written(root / ".conducto-tmp-1", 2000.0)

    found = data.changed(2000.0, 2002.0, 10)

    assert [entry.name for entry in found.entries] == ["d", "a/b/c"]
    assert found.complete


def test_links_to_recently_written_files_are_not_followed(
    data: DataDirectory, root: Path, outside: Path
) -> None:
    for name in ("secret", "new"):
        written(outside / name, 2000.0)
    os.utime(root / "out-file", (2000.0, 2000.0), follow_symlinks=False)

    assert data.changed(1999.0, 2001.0, 10).entries == ()


def test_incomplete_list_of_written_files_is_marked(data: DataDirectory, root: Path) -> None:
    for number in range(3):
        written(root / "many" / str(number), 2000.0 + number)
    (root.joinpath(*["deep"] * (MAX_DATA_DEPTH + 2))).mkdir(parents=True)

    few, deep = data.changed(2000.0, 2010.0, 2), data.changed(2000.0, 2010.0, 10)

    assert ([entry.name for entry in few.entries], few.complete) == (["many/2", "many/1"], False)
    assert (len(deep.entries), deep.complete) == (3, False)


def test_unreadable_file_is_rejected(data: DataDirectory, root: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    (root / "file").chmod(0)

    with pytest.raises(RefusedError, match="Permission denied"):
        data.open("file")
