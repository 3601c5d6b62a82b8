"""Trees that commands launch: their decoding."""

from __future__ import annotations

import base64
import gzip
import threading
from typing import Any

import pytest

import conducto as co
from conducto.errors import DefinitionError
from conducto.tree.serialize import encode, to_document
from conducto_core.children.handlers import ChildApi, form_of
from conducto_core.children.model import ChildLaunch
from conducto_core.run.model.records import ParentAttempt


class LaunchedError(Exception):
    """A launch that has reached the server."""


class Children(ChildApi):
    """Children that are not launched."""

    me = ParentAttempt(pipeline="abc-def", path="/p", attempt=2, depth=1)

    async def launch(
        self, request: ChildLaunch, form: dict[str, Any], key: str | None, *, repeated: bool
    ) -> Any:
        raise LaunchedError(key)


class WatchedText(str):
    """A text that notes the threads that decode it."""

    __slots__ = ("threads",)
    threads: list[int]

    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        self.threads.append(threading.get_ident())
        return super().encode(encoding, errors)


async def test_tree_is_decoded_outside_of_the_event_loop() -> None:
    tree = WatchedText(encode(to_document(co.Serial(), resolve=True)))
    tree.threads = []

    with pytest.raises(LaunchedError, match="abc-def/p:2/mine"):
        await Children().launch_child(ChildLaunch.model_construct(tree=tree), "mine")

    assert tree.threads
    assert threading.get_ident() not in tree.threads


def test_truncated_tree_is_an_error() -> None:
    packed = gzip.compress(b'{"nodes": []}')[:-4]

    with pytest.raises(DefinitionError, match="not a serialised tree: it is incomplete"):
        form_of(base64.b64encode(packed).decode())
