"""Paths: tokens, the way into a container, the way back to the host."""

from __future__ import annotations

import json

import pytest

import conducto as co
from conducto.wire import paths


def test_relpath_is_a_token_of_a_path_object() -> None:
    body = co.relpath("/a/b c")[len(paths.TOKEN) : -len(paths.END)]

    assert json.loads(body) == {"pathsep": "/", "path": ["a", "b c"]}


def test_draft_becomes_a_token_on_the_wire() -> None:
    done = paths.finish("x " + paths.draft("/no/such/f") + " y")

    assert list(paths.tokens(done)) == ["/no/such/f"]
    assert done.startswith("x __conducto_path:{")
    assert done.endswith(":endpath__ y")


@pytest.mark.parametrize(
    ("path", "path_map", "shorten", "found"),
    [
        ("/a/b", {"/a": "/mnt/conducto"}, True, "b"),
        ("/a/b", {"/a": "/mnt/conducto"}, False, "/mnt/conducto/b"),
        ("/a/b", {"/a": "/code"}, True, "/code/b"),
        ("/a/b", {"/a": "sub"}, True, "sub/b"),
        ("/a/b", {"/a/b": "/f", "/a": "/d"}, True, "/f"),
        ("/a/b/c", {"/": "/root"}, True, "/root/a/b/c"),
        ("/ab", {"/a": "/mnt/conducto"}, True, None),
        ("/a", {"/a": "/mnt/conducto"}, True, "/mnt/conducto"),
    ],
)
def test_file_is_located_by_the_longest_entry(
    path: str, path_map: dict[str, str], shorten: bool, found: str | None
) -> None:
    assert paths.locate(path, path_map, shorten=shorten) == found


def test_expansion_is_quoted_for_a_shell() -> None:
    command = f"cat {paths.draft('/a/x y')} | cat"
    done = paths.expand(command, {"/a": "/mnt/conducto"}, shorten=True, missing=str)

    assert done == "cat 'x y' | cat"


def test_unfinished_token_stays_text() -> None:
    command = "echo __conducto_path:x"

    assert paths.expand(command, {}, shorten=True, missing=str) == command


@pytest.mark.parametrize(
    ("path", "host"),
    [
        ("/mnt/conducto/f", "/home/me/f"),
        ("/mnt/conducto/data/f", "/data/f"),
        ("/mnt/conducto", "/home/me"),
        ("/mnt/conductor", "/mnt/conductor"),
    ],
)
def test_container_path_maps_back_to_the_host(
    path: str, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(
        "CONDUCTO_PATH_MAP",
        json.dumps({"/home/me": "/mnt/conducto", "/data": "/mnt/conducto/data"}),
    )

    assert paths.to_host(path) == host


def test_path_object_survives_a_round_trip() -> None:
    path = co.Path(["a", {"type": "git"}, "b"])

    assert co.Path.from_dict(path.to_dict()) == path
    assert paths.decode(json.dumps(path.to_dict())) == "/a/b"
