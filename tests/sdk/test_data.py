"""`co.data.pipeline` and `co.data.user`: data is available to every reader at once."""

from __future__ import annotations

import os
import stat
import threading
from typing import TYPE_CHECKING

import pytest

from conducto import data
from conducto.api import NotAvailableError
from conducto.data import location

if TYPE_CHECKING:
    from pathlib import Path

NAMES = ["plain", "a/b/c.txt", "with blank", "ümläut/ß", "a?b=c:d&e", "-dash", ".hidden", "n" * 255]


@pytest.fixture
def shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The root of the pipeline's data, given as an engine without containers gives it."""
    root = tmp_path / "pipeline data"
    monkeypatch.setenv("CONDUCTO_DATA_PIPELINE", str(root))
    return root


@pytest.mark.parametrize("name", NAMES)
def test_bytes_come_back_under_any_name(name: str) -> None:
    content = bytes(range(256))

    data.user.puts(name, content)

    assert data.user.gets(name) == content
    assert data.user.exists(name)
    assert data.user.size(name) == 256


@pytest.mark.parametrize("name", NAMES)
def test_files_come_back_under_any_name(name: str, tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(b"content")

    data.user.put(name, str(tmp_path / "in"))
    data.user.get(name, str(tmp_path / "out"))

    assert (tmp_path / "out").read_bytes() == b"content"


def test_both_scopes_are_apart(shared: Path) -> None:
    data.pipeline.puts("name", b"of the pipeline")
    data.user.puts("name", b"of the user")

    assert data.pipeline.gets("name") == b"of the pipeline"


def test_put_replaces_existing_data() -> None:
    data.user.puts("name", b"a longer content")

    data.user.puts("name", b"short")

    assert data.user.gets("name") == b"short"


def test_text_is_refused() -> None:
    with pytest.raises(ValueError, match="Expected object of type bytes, but got 'text'"):
        data.user.puts("name", "text")  # type: ignore[arg-type]


def test_a_leading_slash_means_the_scope() -> None:
    data.user.puts("/a//b", b"1")

    assert data.user.gets("a/b") == b"1"


def test_get_into_a_directory_keeps_the_name(tmp_path: Path) -> None:
    data.user.puts("models/best.bin", b"1")
    (tmp_path / "into").mkdir()

    data.user.get("models/best.bin", str(tmp_path / "into"))

    assert (tmp_path / "into" / "best.bin").read_bytes() == b"1"


def test_get_of_missing_data_leaves_the_file_alone(tmp_path: Path) -> None:
    (tmp_path / "out").write_bytes(b"old")

    with pytest.raises(FileNotFoundError):
        data.user.get("missing", str(tmp_path / "out"))

    assert (tmp_path / "out").read_bytes() == b"old"


def test_get_from_the_cloud_is_not_available_yet(tmp_path: Path) -> None:
    data.user.puts("name", b"1")

    with pytest.raises(NotAvailableError):
        data.user.get("name", str(tmp_path / "out"), local=False)


@pytest.mark.parametrize(
    ("byte_range", "content"),
    [
        ((2, 5), b"234"),
        ([0, 1], b"0"),
        ((8, 99), b"89"),
        ((99, 100), b""),
        ((5, 5), b""),
        ((5, 2), b""),
        ((7, None), b"789"),
        ((None, 2), b"01"),
    ],
)
def test_a_range_leaves_its_end_out(byte_range, content: bytes) -> None:
    data.user.puts("digits", b"0123456789")

    found = data.user.gets("digits", byte_range=byte_range)

    assert found == content


@pytest.mark.parametrize("byte_range", [(1,), (1, 2, 3), (-1, 2), (0, -1), 5])
def test_invalid_range_is_rejected(byte_range) -> None:
    data.user.puts("digits", b"0123456789")

    with pytest.raises(ValueError, match="byte_range must"):
        data.user.gets("digits", byte_range=byte_range)


@pytest.mark.parametrize(
    "act",
    [
        lambda: data.user.gets("missing"),
        lambda: data.user.size("missing"),
        lambda: data.user.delete("missing"),
        lambda: data.user.delete("missing", recursive=True),
    ],
    ids=["gets", "size", "delete", "delete recursively"],
)
def test_missing_data_is_named(act) -> None:
    with pytest.raises(FileNotFoundError, match="No such user data: 'missing'"):
        act()


def test_put_of_a_missing_file_changes_nothing(home: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"):
        data.user.put("name", "nowhere")

    assert not data.user.exists("name")


def test_delete_removes_one_file() -> None:
    data.user.puts("a/1", b"1")
    data.user.puts("a/2", b"2")

    data.user.delete("a/1")

    assert data.user.list("a") == ["a/2"]


def test_delete_of_a_directory_must_be_recursive() -> None:
    data.user.puts("a/1", b"1")

    with pytest.raises(IsADirectoryError):
        data.user.delete("a")
    assert data.user.exists("a/1")

    data.user.delete("a", recursive=True)
    assert not data.user.exists("a")


@pytest.mark.parametrize(
    ("prefix", "names"),
    [
        ("", ["a", "top"]),
        ("a", ["a/b", "a/x y"]),
        ("a/", ["a/b", "a/x y"]),
        ("/a", ["/a/b", "/a/x y"]),
        ("a/x y", []),
        ("missing", []),
    ],
)
def test_list_shows_one_level_sorted(prefix: str, names: list[str]) -> None:
    for name in ("top", "a/x y", "a/b/c"):
        data.user.puts(name, b"")

    assert data.user.list(prefix) == names


def test_a_failed_put_leaves_the_old_content_and_no_trace(shared: Path) -> None:
    data.pipeline.puts("name", b"old")

    with pytest.raises(IsADirectoryError):
        data.pipeline.put("name", str(shared))

    assert data.pipeline.gets("name") == b"old"
    assert [path.name for path in shared.iterdir()] == ["name"]


def test_a_reader_never_sees_half_of_a_put() -> None:
    contents = {b"a" * 100_000, b"b" * 200_000}
    data.user.puts("name", b"a" * 100_000)
    seen: set[bytes] = set()

    def write() -> None:
        for _ in range(20):
            for content in contents:
                data.user.puts("name", content)

    writer = threading.Thread(target=write)
    writer.start()
    while writer.is_alive():
        seen.add(data.user.gets("name"))
    writer.join()

    assert seen <= contents


def test_a_file_being_written_is_not_listed(shared: Path) -> None:
    data.pipeline.puts("name", b"1")
    (shared / ".conducto-tmp-0123").write_bytes(b"half")

    assert data.pipeline.list("") == ["name"]


def test_other_users_can_write_where_the_runner_lets_them(shared: Path) -> None:
    shared.mkdir()
    shared.chmod(0o777)

    data.pipeline.puts("a/b", b"1")

    assert stat.S_IMODE((shared / "a").stat().st_mode) == 0o777
    assert stat.S_IMODE((shared / "a" / "b").stat().st_mode) & 0o666 == 0o666


def test_private_data_stays_private(shared: Path) -> None:
    shared.mkdir(mode=0o700)
    old = os.umask(0o077)
    try:
        data.pipeline.puts("a/b", b"1")
    finally:
        os.umask(old)

    assert stat.S_IMODE((shared / "a" / "b").stat().st_mode) == 0o600


def test_user_data_is_below_the_profile(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONDUCTO_PROFILE", "1a2b3c4d")

    data.user.puts("name", b"1")

    assert (home / "1a2b3c4d" / "data" / "name").read_bytes() == b"1"


def test_pipeline_data_is_below_the_pipeline(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONDUCTO_PIPELINE_ID", "abc-def")
    (home / "default" / "pipelines" / "abc-def").mkdir(parents=True)

    data.pipeline.puts("name", b"1")

    assert (home / "default" / "pipelines" / "abc-def" / "data" / "name").is_file()


def test_an_unknown_pipeline_has_no_data(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONDUCTO_PIPELINE_ID", "wrong")

    with pytest.raises(data.ContextError, match="No pipeline 'wrong' on this machine"):
        data.pipeline.puts("name", b"1")
    assert not (home / "default" / "pipelines").exists()


def test_pipeline_data_outside_of_a_pipeline_is_an_error() -> None:
    with pytest.raises(data.ContextError) as caught:
        data.pipeline.exists("name")

    assert str(caught.value) == (
        "Pipeline-scoped data requires an initialized pipeline. "
        "Try using conducto.data.pipeline from a child node."
    )


@pytest.mark.parametrize("where", ["worker_local", "worker_cloud"])
def test_a_node_uses_the_mounted_directory(monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    monkeypatch.setenv("CONDUCTO_EXECUTION_ENV", where)

    assert location.root_of("pipeline") == "/conducto/data/pipeline"
    assert location.root_of("user") == "/conducto/data/user"


def test_the_cloud_is_not_available_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONDUCTO_EXECUTION_ENV", "debug_cloud")

    with pytest.raises(NotAvailableError, match="Data storage in the cloud is not available yet"):
        data.user.exists("name")


def test_the_url_is_quoted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONDUCTO_PIPELINE_ID", "abc-def")

    assert (
        data.user.url("a/im age é?.png")
        == "/gw/manager/data/abc-def/user/a/im%20age%20%C3%A9%3F.png"
    )


def test_the_whole_url_has_the_server_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONDUCTO_PIPELINE_ID", "abc-def")
    monkeypatch.setenv("CONDUCTO_AUTO_URL", "http://localhost:8000/")

    url = data.pipeline.url("x", path_only=False)

    assert url == "http://localhost:8000/gw/manager/data/abc-def/pipeline/x"


@pytest.mark.parametrize(
    ("known", "missing"),
    [({}, "CONDUCTO_PIPELINE_ID"), ({"CONDUCTO_PIPELINE_ID": "a"}, "AUTO_URL")],
)
def test_a_url_names_the_variable_it_lacks(
    known: dict[str, str], missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in known.items():
        monkeypatch.setenv(name, value)

    with pytest.raises(data.ContextError, match=missing):
        data.user.url("x", path_only=False)
