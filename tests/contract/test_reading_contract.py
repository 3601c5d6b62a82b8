"""Reads return the same over the shipped fake, the local runner, and through a linked agent."""

import asyncio
import base64
import http.client
import json
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from conducto_client import ApiError
from conducto_core.command.model import Resources
from conducto_core.logs.model import MergedLine, MergedPageParams
from conducto_core.run.model.params import (
    ImageLogParams,
    ListParams,
    ListUserDataParams,
    LogFileParams,
    LogLinesParams,
    LogOutlineParams,
    LogSearchParams,
    StatesParams,
    TreeParams,
)
from conducto_core.run.model.requests import Action, ControlRequest
from conducto_core.run.model.states import State
from conducto_core.run.operations import STATES
from support.api_server import TOKEN
from support.fixtures import FAILURE, OUTPUT, Scene, real, scripted
from support.relayed import relayed

WHOLE = f"{OUTPUT}\n".encode()


@pytest.fixture(params=[scripted, real, relayed], ids=["fake", "local runner", "relayed"])
async def scene(request: pytest.FixtureRequest, tmp_path: Path):
    opened: AbstractAsyncContextManager[Scene] = request.param(tmp_path)
    async with opened as scene:
        yield scene


# ---- resource usage ---------------------------------------------------------------------------


async def test_local_usage_has_time_and_no_cost(scene: Scene) -> None:
    pipeline = await scene.played()

    report = await scene.ask(lambda c: c.usage(nodes=1))

    (spent,) = report.pipelines
    assert (spent.id, spent.dollars) == (pipeline, 0.0)
    assert (spent.attempts, len(spent.nodes), spent.more_nodes) == (4, 1, 3)
    assert spent.seconds >= spent.nodes[0].seconds >= 0
    assert [month.month for month in report.months] == [spent.month]
    assert (await scene.ask(lambda c: c.usage("2001-01"))).pipelines == ()


# ---- lists ------------------------------------------------------------------------------------


async def test_a_list_comes_in_pages_with_the_newest_first(scene: Scene) -> None:
    ids = [await scene.launched() for _ in range(5)]

    first = await scene.ask(lambda c: c.list_page(ListParams(limit=2)))
    second = await scene.ask(lambda c: c.list_page(ListParams(limit=2, after=first.next)))
    everything = await scene.ask(lambda c: c.list(limit=2))

    assert [p.pipeline.id for p in (*first.pipelines, *second.pipelines)] == ids[:0:-1]
    assert [p.pipeline.id for p in everything] == ids[::-1]


@pytest.mark.parametrize(
    "filters",
    [
        {"tag": "nightly"},
        {"text": "OF THE NIGHT"},
        {"text": "/build/night.py"},
        {"text": "nightly"},
        {"owner": "ada"},
        {"state": State.ERROR},
    ],
    ids=str,
)
async def test_a_filter_leaves_the_others_out(scene: Scene, filters: dict[str, Any]) -> None:
    wanted = await scene.played(
        title="Build of the night", tags=("nightly",), owner="ada", program="/build/night.py"
    )
    await scene.launched(title="Build of the day", tags=("daily",), owner="bob")

    found = await scene.ask(lambda c: c.list(**filters))

    assert [p.pipeline.id for p in found] == [wanted]


async def test_archived_pipelines_are_listed_on_demand(scene: Scene) -> None:
    archived, kept = await scene.launched(), await scene.launched()
    await scene.ask(lambda c: c.control(archived, ControlRequest(action=Action.ARCHIVE)))

    listed = await scene.ask(lambda c: c.list())
    only_archived = await scene.ask(lambda c: c.list(lifecycle="archived"))
    everything = await scene.ask(lambda c: c.list(lifecycle="all"))

    assert [p.pipeline.id for p in listed] == [kept]
    assert [p.pipeline.id for p in only_archived] == [archived]
    assert [p.pipeline.id for p in everything] == [kept, archived]


async def test_list_shows_the_results_of_earlier_runs(scene: Scene) -> None:
    first = await scene.played(title="nightly", program="/p.py")
    other = await scene.launched(title="nightly", program="/q.py")
    await scene.ask(lambda c: c.control(first, ControlRequest(action=Action.ARCHIVE)))
    again = await scene.launched(title="nightly", program="/p.py")

    unasked = await scene.ask(lambda c: c.list_page(ListParams()))
    asked = await scene.ask(lambda c: c.list_page(ListParams(history=True)))

    assert unasked.histories == ()
    assert asked.pipelines == unasked.pipelines
    nightly, only = asked.histories
    assert [(run.id, run.state, run.settled, run.execs) for run in nightly.runs] == [
        (again, State.PENDING, True, 4),
        (first, State.ERROR, True, 4),
    ]
    assert (nightly.program, nightly.passed, nightly.ended) == ("/p.py", 0, 1)
    assert nightly.median_seconds is None
    assert [run.id for run in only.runs] == [other]


async def test_list_continued_after_a_deleted_pipeline_reports_it(scene: Scene) -> None:
    with pytest.raises(ApiError, match="'gone'") as caught:
        await scene.ask(lambda c: c.list_page(ListParams(after="gone")))

    assert caught.value.status == 404


async def test_a_pipeline_can_be_launched_again_from_its_definition(scene: Scene) -> None:
    first = await scene.launched(title="twice", tags=("a",), retention=3)

    definition = await scene.ask(lambda c: c.definition(first))
    second = (await scene.ask(lambda c: c.launch(definition))).pipeline

    assert (second.title, second.tags, second.armed) == ("twice", ("a",), False)
    paths = [
        [node.path for node in await scene.ask(lambda c, one=one: list(c.tree(one)))]
        for one in (first, second.id)
    ]
    assert paths[0] == paths[1]


# ---- trees ------------------------------------------------------------------------------------

PATHS = ["/", "/talk", "/group", "/group/bad", "/group/good", "/group/deep", "/group/deep/leaf"]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, PATHS),
        ({"depth": 0}, ["/"]),
        ({"depth": 1}, ["/", "/talk", "/group"]),
        ({"root": "/group", "depth": 1}, ["/group", "/group/bad", "/group/good", "/group/deep"]),
        ({"state": State.ERROR}, ["/group/bad"]),
        ({"state": State.DONE}, ["/talk", "/group/good", "/group/deep/leaf"]),
        ({"state": State.DONE, "text": "GOOD"}, ["/group/good"]),
        ({"text": "echo bad"}, ["/group/bad"]),
        ({"text": "deep"}, ["/group/deep", "/group/deep/leaf"]),
        ({"text": "nowhere"}, []),
        ({"text": "GROUP/*/le"}, ["/group/deep/leaf"]),
        ({"text": "/g*d"}, ["/group/good"]),
        ({"text": "*roup*/b*d"}, ["/group/bad"]),
        ({"state": State.RUNNING}, []),
    ],
    ids=str,
)
async def test_a_tree_is_asked_for_in_part(
    scene: Scene, options: dict[str, Any], expected: list[str]
) -> None:
    pipeline = await scene.played()

    whole = await scene.ask(lambda c: [n.path for n in c.tree(pipeline, **options)])
    one_by_one = await scene.ask(lambda c: [n.path for n in c.tree(pipeline, limit=1, **options)])

    assert whole == expected
    assert one_by_one == expected


async def test_states_of_execs_are_encoded_as_letters(scene: Scene) -> None:
    pipeline = await scene.played()

    whole = await scene.ask(lambda c: c.call(STATES, StatesParams(id=pipeline, names=True)))
    group = StatesParams(id=pipeline, root="/group")
    below = await scene.ask(lambda c: c.call(STATES, group))

    assert (whole.states, whole.complete) == ("DEDD", True)
    assert whole.names == ("talk", "group/bad", "group/good", "group/deep/leaf")
    assert (below.states, below.names) == ("EDD", ())
    with pytest.raises(ApiError, match="/nowhere"):
        await scene.ask(lambda c: c.call(STATES, StatesParams(id=pipeline, root="/nowhere")))


async def test_search_for_the_next_error_starts_after_a_node(scene: Scene) -> None:
    pipeline = await scene.played()

    def after(path: str) -> TreeParams:
        return TreeParams(id=pipeline, state=State.ERROR, after=path, limit=1)

    found = await scene.ask(lambda c: c.nodes(after("/talk")))
    nothing = await scene.ask(lambda c: c.nodes(after("/group/bad")))

    assert [node.path for node in found.nodes] == ["/group/bad"]
    assert nothing.nodes == ()


async def test_group_summarises_its_descendants_without_listing_them(scene: Scene) -> None:
    pipeline = await scene.played()

    page = await scene.ask(lambda c: c.nodes(TreeParams(id=pipeline, root="/group", depth=0)))

    (group,) = page.nodes
    assert group.children == 3
    assert group.counts is not None
    assert (group.counts.done, group.counts.error) == (2, 1)


async def test_a_page_brings_as_many_attempts_as_are_asked_for(scene: Scene) -> None:
    pipeline = await scene.played()

    def attempts(client: Any, which: str) -> list[int]:
        (node,) = client.tree(pipeline, root="/talk", attempts=which)
        return [attempt.number for attempt in node.attempts]

    counts = [await scene.ask(lambda c, w=w: attempts(c, w)) for w in ("all", "newest", "none")]

    assert counts == [[1], [1], []]


async def test_page_contains_the_end_of_the_output_of_failed_nodes(scene: Scene) -> None:
    pipeline = await scene.played()

    def tails(**options: Any) -> dict[str, str | None]:
        page = scene.client.nodes(TreeParams(id=pipeline, **options))
        return {node.path: node.tail for node in page.nodes}

    asked = await scene.ask(lambda _: tails(tails=True, attempts="newest"))
    unasked = await scene.ask(lambda _: tails())

    assert asked == {**dict.fromkeys(PATHS), "/group/bad": FAILURE}
    assert unasked == dict.fromkeys(PATHS)


async def test_a_page_after_a_node_of_elsewhere_is_refused(scene: Scene) -> None:
    pipeline = await scene.launched()
    query = TreeParams(id=pipeline, root="/group", after="/nowhere")

    with pytest.raises(ApiError, match="/nowhere: no such node") as caught:
        await scene.ask(lambda c: c.nodes(query))

    assert caught.value.status == 404


async def test_node_page_is_complete(scene: Scene) -> None:
    pipeline = await scene.played()

    detail = await scene.ask(lambda c: c.node(pipeline, "/group/bad"))

    assert (detail.node.path, detail.node.state) == ("/group/bad", State.ERROR)
    assert [a.exit_code for a in detail.node.attempts] != [0]


async def test_missing_node_is_an_error(scene: Scene) -> None:
    pipeline = await scene.launched()

    with pytest.raises(ApiError, match="/x: no such node") as caught:
        await scene.ask(lambda c: c.node(pipeline, "/x"))

    assert caught.value.status == 404


# ---- logs -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "count", "expected", "number"),
    [
        (0, 2, ["line 0 of ä", "line 1 of ä"], 0),
        (9, 5, ["line 9 of ä", "the end"], 9),
        (-1, 5, ["the end"], 10),
        (50, 5, [], 50),
    ],
)
async def test_lines_come_by_number(
    scene: Scene, first: int, count: int, expected: list[str], number: int
) -> None:
    pipeline = await scene.played()
    query = LogLinesParams(id=pipeline, path="/talk", first=first, count=count)

    found = await scene.ask(lambda c: c.log_lines(query))

    assert list(found.lines) == expected
    assert (found.first, found.total, found.size) == (number, 11, len(WHOLE))
    assert found.complete
    if expected:
        assert found.offset == WHOLE.index(expected[0].encode())


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"text": "line 3"}, [3]),
        ({"text": "LINE 3"}, []),
        ({"text": "LINE 3", "ignore_case": True}, [3]),
        ({"text": "ne [27] of"}, []),
        ({"text": "ne [27] of", "regex": True}, [2, 7]),
        ({"text": "end$", "regex": True}, [10]),
        ({"text": "of ä"}, list(range(10))),
    ],
    ids=str,
)
async def test_a_log_is_searched(
    scene: Scene, options: dict[str, Any], expected: list[int]
) -> None:
    pipeline = await scene.played()
    query = LogSearchParams(id=pipeline, path="/talk", **options)

    found = await scene.ask(lambda c: c.search_log(query))

    assert [match.line for match in found.matches] == expected
    assert found.next is None
    starts = [i for i in range(len(WHOLE)) if i == 0 or WHOLE[i - 1 : i] == b"\n"]
    assert [match.offset for match in found.matches] == [starts[line] for line in expected]


async def test_a_match_says_where_in_its_line_it_is(scene: Scene) -> None:
    pipeline = await scene.played()
    query = LogSearchParams(id=pipeline, path="/talk", text="ä")

    found = await scene.ask(lambda c: c.search_log(query))

    match = found.matches[0]
    assert match.text[match.start : match.end] == "ä"


async def test_search_continues_on_the_next_page(scene: Scene) -> None:
    pipeline = await scene.played()
    lines: list[int | None] = []
    query = LogSearchParams(id=pipeline, path="/talk", text="line", limit=4)

    while True:
        found = await scene.ask(lambda c, q=query: c.search_log(q))
        lines += [match.line for match in found.matches]
        if found.next is None:
            break
        query = query.model_copy(update={"offset": found.next})

    assert lines == list(range(10))


async def test_outline_covers_a_whole_log(scene: Scene) -> None:
    pipeline = await scene.played()
    query = LogOutlineParams(id=pipeline, path="/talk")

    found = await scene.ask(lambda c: c.outline_log(query))

    assert (found.lines, found.next, found.size, found.complete) == (
        WHOLE.count(b"\n"),
        len(WHOLE),
        len(WHOLE),
        True,
    )
    assert found.groups == ()


async def test_a_wrong_pattern_is_refused(scene: Scene) -> None:
    pipeline = await scene.played()
    query = LogSearchParams(id=pipeline, path="/talk", text="(", regex=True)

    with pytest.raises(ApiError, match="not a regular expression") as caught:
        await scene.ask(lambda c: c.search_log(query))

    assert caught.value.status == 409


async def test_a_log_is_downloaded_whole(scene: Scene) -> None:
    pipeline = await scene.played()

    chunks = await scene.ask(
        lambda c: list(c.download_log(LogFileParams(id=pipeline, path="/talk")))
    )

    assert b"".join(chunks) == WHOLE


async def test_a_log_that_has_ended_is_not_waited_for(scene: Scene) -> None:
    pipeline = await scene.played()

    chunk = await scene.ask(lambda c: c.log(pipeline, "/talk", offset=len(WHOLE), wait=30))

    assert (chunk.data, chunk.complete) == ("", True)


async def test_existing_output_is_returned_without_waiting(scene: Scene) -> None:
    pipeline = await scene.played()

    chunk = await scene.ask(lambda c: c.log(pipeline, "/group/bad", wait=30))

    assert base64.b64decode(chunk.data) == FAILURE.encode()


# ---- what a command used ----------------------------------------------------------------------


async def test_quick_command_has_no_usage(scene: Scene) -> None:
    pipeline = await scene.played()

    newest = await scene.ask(lambda c: c.resources(pipeline, "/group/bad"))
    first = await scene.ask(lambda c: c.resources(pipeline, "/group/bad", attempt=1))

    assert newest == first == Resources()


async def test_usage_of_an_unknown_attempt_is_not_found(scene: Scene) -> None:
    pipeline = await scene.played()

    with pytest.raises(ApiError, match="no attempt 7"):
        await scene.ask(lambda c: c.resources(pipeline, "/group/bad", attempt=7))
    with pytest.raises(ApiError, match="/nope") as caught:
        await scene.ask(lambda c: c.resources(pipeline, "/nope"))

    assert caught.value.status == 404


async def test_usage_of_a_node_that_never_ran_is_empty(scene: Scene) -> None:
    pipeline = await scene.launched()

    assert await scene.ask(lambda c: c.resources(pipeline, "/group/bad")) == Resources()


async def test_usage_stream_is_not_part_of_the_output(scene: Scene) -> None:
    pipeline = await scene.played()

    def status() -> int:
        connection = http.client.HTTPConnection(scene.endpoint.url.removeprefix("http://"))
        target = f"/api/v1/pipelines/{pipeline}/log?path=%2Fgroup%2Fbad&stream=resources"
        connection.request("GET", target, headers={"Authorization": f"Bearer {TOKEN}"})
        found = connection.getresponse().status
        connection.close()
        return found

    assert await asyncio.to_thread(status) == 422


# ---- images -----------------------------------------------------------------------------------


async def test_log_of_an_unknown_image_is_not_found(scene: Scene) -> None:
    pipeline = await scene.launched()

    with pytest.raises(ApiError, match="'nope'") as caught:
        await scene.ask(lambda c: c.image_log_page(ImageLogParams(id=pipeline, image="nope")))

    assert caught.value.status == 404


# ---- data -------------------------------------------------------------------------------------


@pytest.fixture(params=["pipeline", "user"])
async def owner(request: pytest.FixtureRequest, scene: Scene) -> str | None:
    """The owner of the data: a pipeline or the user."""
    return await scene.launched() if request.param == "pipeline" else None


async def test_a_file_comes_back_as_it_was_put(scene: Scene, owner: str | None) -> None:
    content = bytes(range(256)) * 100

    entry = await scene.ask(lambda c: c.write_data(owner, "a/b c/ä?&#.bin", content))
    back = await scene.ask(lambda c: b"".join(c.read_data(owner, "a/b c/ä?&#.bin")))

    assert (entry.name, entry.kind, entry.size) == ("a/b c/ä?&#.bin", "file", len(content))
    assert back == content


async def test_an_empty_file_comes_back_empty(scene: Scene, owner: str | None) -> None:
    await scene.ask(lambda c: c.write_data(owner, "empty", b""))

    assert await scene.ask(lambda c: b"".join(c.read_data(owner, "empty"))) == b""


async def test_file_is_sent_in_chunks(scene: Scene, owner: str | None) -> None:
    chunks = [b"one ", b"two ", b"three"]

    await scene.ask(lambda c: c.write_data(owner, "pieces", iter(chunks)))

    assert await scene.ask(lambda c: b"".join(c.read_data(owner, "pieces"))) == b"one two three"


async def test_a_directory_is_listed_by_name_in_pages(scene: Scene, owner: str | None) -> None:
    for name in ("b", "a/x", "a/y", "c"):
        await scene.ask(lambda c, n=name: c.write_data(owner, n, b"1"))

    top = await scene.ask(lambda c: list(c.data(owner, limit=1)))
    below = await scene.ask(lambda c: c.data_page(owner, ListUserDataParams(name="a")))

    assert [(one.name, one.kind) for one in top] == [
        ("a", "directory"),
        ("b", "file"),
        ("c", "file"),
    ]
    assert [one.name for one in below.entries] == ["a/x", "a/y"]


async def test_data_is_deleted_with_its_content(scene: Scene, owner: str | None) -> None:
    await scene.ask(lambda c: c.write_data(owner, "a/b/c", b"1"))

    deleted = await scene.ask(lambda c: c.delete_data(owner, "a/b"))

    assert deleted.name == "a/b"
    with pytest.raises(ApiError, match="a/b/c: no such data") as caught:
        await scene.ask(lambda c: list(c.read_data(owner, "a/b/c")))
    assert caught.value.status == 404


@pytest.mark.parametrize("name", ["../x", "a/../../x", "..", "a/.."])
async def test_a_name_that_leads_up_is_refused(scene: Scene, owner: str | None, name: str) -> None:
    for call in (
        lambda c: list(c.read_data(owner, name)),
        lambda c: c.write_data(owner, name, b""),
        lambda c: c.delete_data(owner, name),
        lambda c: list(c.data(owner, name)),
    ):
        with pytest.raises(ApiError, match=r"'\.\.' would leave") as caught:
            await scene.ask(call)
        assert caught.value.status == 409


async def test_directory_is_not_a_file(scene: Scene, owner: str | None) -> None:
    await scene.ask(lambda c: c.write_data(owner, "a/b", b"1"))

    with pytest.raises(ApiError, match="a: not a file"):
        await scene.ask(lambda c: list(c.read_data(owner, "a")))
    with pytest.raises(ApiError, match="a: is a directory"):
        await scene.ask(lambda c: c.write_data(owner, "a", b"1"))


async def test_a_part_of_a_file_is_answered_as_one(scene: Scene, owner: str | None) -> None:
    await scene.ask(lambda c: c.write_data(owner, "digits", b"0123456789"))
    place = "/api/v1/data/file" if owner is None else f"/api/v1/pipelines/{owner}/data/file"

    def part(span: str) -> tuple[int, bytes, str | None]:
        connection = http.client.HTTPConnection(scene.endpoint.url.removeprefix("http://"))
        headers = {"Authorization": f"Bearer {TOKEN}", "Range": span}
        connection.request("GET", f"{place}?name=digits", headers=headers)
        response = connection.getresponse()
        found = response.status, response.read(), response.getheader("content-range")
        connection.close()
        return found

    parts = [
        await asyncio.to_thread(part, span)
        for span in ("bytes=2-4", "bytes=-3", "bytes=8-", "bytes=0-99", "lines=1-2")
    ]
    outside = await asyncio.to_thread(part, "bytes=10-")

    assert parts == [
        (206, b"234", "bytes 2-4/10"),
        (206, b"789", "bytes 7-9/10"),
        (206, b"89", "bytes 8-9/10"),
        (200, b"0123456789", None),
        (200, b"0123456789", None),
    ]
    assert (outside[0], outside[2]) == (416, "bytes */10")
    assert json.loads(outside[1])["title"] == "wrong range"


async def test_the_output_of_a_pipeline_is_one_sequence(scene: Scene) -> None:
    pipeline = await scene.played()
    params = MergedPageParams(id=pipeline, limit=3)
    found: list[MergedLine] = []
    page = await scene.ask(lambda c: c.merged_output(params))
    assert page.next is not None
    while True:
        found[:0] = page.lines
        if page.back is None:
            break
        query = params.model_copy(update={"at": page.back})
        page = await scene.ask(lambda c, q=query: c.merged_output(q))

    assert page.left == 0
    assert [line.time for line in found] == sorted(line.time for line in found)
    text = "".join(f"{line.text}\n" for line in found)
    assert text.count(OUTPUT) == 1, text

    query = MergedPageParams(id=pipeline, text="LINE [37]", regex=True, ignore_case=True)
    matching = await scene.ask(lambda c: c.merged_output(query))
    assert [line.text for line in matching.lines] == ["line 3 of ä", "line 7 of ä"]
    assert [line.match for line in matching.lines] == [(0, 6)] * 2


async def test_nodes_are_left_out_of_a_sequence(scene: Scene) -> None:
    pipeline = await scene.played()
    params = MergedPageParams(id=pipeline)
    whole = await scene.ask(lambda c: c.merged_output(params))
    paths = sorted(node.path for node in whole.nodes)
    first = paths[0]

    async def shown(**query: Any) -> list[str]:
        chosen = params.model_copy(update=query)
        page = await scene.ask(lambda c: c.merged_output(chosen))
        return sorted(node.path for node in page.nodes)

    assert await shown(hidden=first) == paths[1:]
    assert await shown(nodes=first, hidden="/") == [first]
    assert await shown(nodes=f"/\n{first}", hidden=first) == paths
    failed = await shown(failed=True)
    assert failed != paths
    assert set(failed) <= set(paths)


async def test_a_sequence_of_an_unknown_node_or_cursor_is_refused(scene: Scene) -> None:
    pipeline = await scene.played()

    for query, status in (
        (MergedPageParams(id=pipeline, root="/nothing"), 404),
        (MergedPageParams(id=pipeline, at="nothing"), 409),
        (MergedPageParams(id=pipeline, text="(", regex=True), 409),
    ):
        with pytest.raises(ApiError) as caught:
            await scene.ask(lambda c, q=query: c.merged_output(q))
        assert caught.value.status == status
