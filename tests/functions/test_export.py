"""An export comes through the front of the cloud, and its reading of attempts stays bounded."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from chalicelib.run.store import JournalStore
from conducto_core.run.model.params import TreeParams
from conducto_core.run.model.states import Cause, State
from support.cloud.world import World
from support.trees import form, leaf, parallel, serial

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.functions.conftest import Front

    from conducto_core.run.model.records import AttemptRecord


class CountingStore(JournalStore):
    """Counts the attempts that are read."""

    read = 0

    def attempts(self, pipeline_id: str, path: str | None = None) -> Iterator[AttemptRecord]:
        for attempt in super().attempts(pipeline_id, path):
            self.read += 1
            yield attempt


def test_a_client_is_sent_to_the_page_in_the_bucket(front: Front) -> None:
    token = front.token()
    request = {"tree": form(serial(leaf("a"))), "title": "Build of the night"}
    _, launched = front.call("POST", "/pipelines", token, request)
    pipeline_id = launched["pipeline"]["id"]

    status, response = front.call("GET", f"/pipelines/{pipeline_id}/export", token)

    assert status == 303
    url = urlsplit(response.headers["location"])
    assert "Build-of-the-night.html" in unquote(unquote(url.query))
    page = front.app.cloud.storage.blobs.get(unquote(url.path).lstrip("/"))
    assert page is not None
    assert page.startswith(b"<!doctype html>")
    assert front.call("GET", f"/pipelines/{pipeline_id}/export", None)[0] == 401


def test_export_requires_the_read_permission(front: Front) -> None:
    token = front.token()
    _, launched = front.call("POST", "/pipelines", token, {"tree": form(serial(leaf("a")))})
    poor = front.token(permissions=frozenset({"launch"}))

    status, _ = front.call("GET", f"/pipelines/{launched['pipeline']['id']}/export", poor)

    assert status == 403


def test_for_the_few_that_failed_not_all_attempts_are_read() -> None:
    world = World()
    store = CountingStore(world.table, world.blobs, world.orgs)
    world.use(store=store)
    pipeline_id = world.launch(parallel(*(f"n{number}" for number in range(60))))
    world.run_out(lambda path: Cause.EXIT_CODE if path in {"/n5", "/n7"} else None)
    store.read = 0

    query = TreeParams(id=pipeline_id, state=State.ERROR, attempts="newest")
    found = asyncio.run(world.pipelines().get_tree(query)).nodes

    assert [(node.path, len(node.attempts)) for node in found] == [("/n5", 1), ("/n7", 1)]
    assert store.read == 2
