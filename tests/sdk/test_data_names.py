"""A name of data cannot lead out of its scope, whatever it looks like."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conducto import data

if TYPE_CHECKING:
    from pathlib import Path

OUTSIDE = ["..", "../x", "a/../../x", "/../x", "a/..", "x\0y"]
ACTS = {
    "gets": data.user.gets,
    "get": lambda name: data.user.get(name, "out"),
    "put": lambda name: data.user.put(name, __file__),
    "puts": lambda name: data.user.puts(name, b""),
    "delete": lambda name: data.user.delete(name, recursive=True),
    "list": data.user.list,
    "exists": data.user.exists,
    "size": data.user.size,
    "cache_exists": lambda name: data.user.cache_exists(name, "1"),
    "clear_cache": data.user.clear_cache,
    "save_cache": lambda name: data.user.save_cache(name, "1", "."),
    "restore_cache": lambda name: data.user.restore_cache(name, "1", "out"),
}


@pytest.fixture(autouse=True)
def neighbour(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file next to the user's data, which must stay as it is."""
    monkeypatch.chdir(tmp_path)
    (home / "default" / "data").mkdir(parents=True)
    path = home / "default" / "x"
    path.write_bytes(b"mine")
    return path


@pytest.mark.parametrize("name", OUTSIDE, ids=repr)
@pytest.mark.parametrize("act", ACTS.values(), ids=ACTS)
def test_a_name_that_leads_out_is_refused(act, name: str, neighbour: Path) -> None:
    with pytest.raises(ValueError, match="cannot be a name of data"):
        act(name)

    assert neighbour.read_bytes() == b"mine"


@pytest.mark.parametrize("act", ["gets", "puts", "list", "exists", "size"])
def test_a_link_that_leads_out_is_not_followed(act: str, home: Path, neighbour: Path) -> None:
    (home / "default" / "data" / "link").symlink_to(home / "default")

    with pytest.raises(ValueError, match="symbolic link"):
        ACTS[act]("link/x")

    assert neighbour.read_bytes() == b"mine"


def test_a_link_that_leads_out_can_be_deleted(home: Path, neighbour: Path) -> None:
    link = home / "default" / "data" / "link"
    link.symlink_to(neighbour)

    data.user.delete("link")

    assert not link.is_symlink()
    assert neighbour.read_bytes() == b"mine"


def test_put_replaces_a_link_instead_of_following_it(home: Path, neighbour: Path) -> None:
    (home / "default" / "data" / "link").symlink_to(neighbour)

    data.user.puts("link", b"new")

    assert data.user.gets("link") == b"new"
    assert neighbour.read_bytes() == b"mine"


def test_a_link_within_the_data_is_followed(home: Path) -> None:
    data.user.puts("v1/model", b"1")
    (home / "default" / "data" / "latest").symlink_to("v1")

    assert data.user.gets("latest/model") == b"1"


def test_data_may_itself_be_behind_a_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to("disk")
    monkeypatch.setenv("CONDUCTO_DATA_USER", str(tmp_path / "link"))

    data.user.puts("a", b"1")

    assert data.user.gets("a") == b"1"


@pytest.mark.parametrize("name", ["", "/", ".", "./"])
def test_scope_itself_is_not_a_file(name: str) -> None:
    with pytest.raises(ValueError, match="it names no file"):
        data.user.delete(name, recursive=True)


@pytest.mark.parametrize("checksum", ["", "a/b", "../x", 3])
def test_a_checksum_is_one_plain_word(checksum) -> None:
    with pytest.raises(ValueError, match="cannot be the checksum of a cache"):
        data.user.cache_exists("name", checksum)


@pytest.mark.parametrize("variable", ["CONDUCTO_PROFILE", "CONDUCTO_PIPELINE_ID"])
def test_variables_cannot_lead_out_either(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONDUCTO_PIPELINE_ID", "abc-def")
    monkeypatch.setenv(variable, "../x")

    with pytest.raises(ValueError, match="must be a plain name"):
        data.pipeline.exists("a")
