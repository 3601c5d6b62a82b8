"""The page of an export: parsed as a browser would, and checked for forbidden content."""

import base64
import hashlib
import re
from collections.abc import Iterable
from html.parser import HTMLParser
from typing import Any

import pytest
from tests.fakes.pipelines import MemoryPipelines

from conducto_core.export import collect as limits
from conducto_core.export.collect import collect
from conducto_core.export.page import MAX_BYTES, page_of
from conducto_core.export.texts import file_name, last_lines, plain, visible
from conducto_core.export.timeline import MAX_BARS
from conducto_core.run.model.params import PipelineParams
from conducto_core.run.model.records import AttemptRecord, ImageRecord, ImageState, PipelineRecord
from conducto_core.run.model.requests import NodeView
from conducto_core.run.model.states import Cause, NodeType, State

NOW = 1_800_000_000.0
EVIL = "</pre></title><script>alert(1)</script><img src=x onerror=alert(2)>&\"'{{7*7}}"
VOID = {"meta", "rect", "line"}


class Page(HTMLParser):
    """The parts of a page.

    Attributes:
        tags: ``(name, attributes)`` of every element, in order.
        texts: ``{name of the element: texts right in it}``.
    """

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self.open: list[str] = []
        self.source = page.decode()
        self.feed(self.source)
        self.close()
        assert self.open == [], "every element is closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in VOID
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open:
            self.texts.setdefault(self.open[-1], []).append(data)

    def all(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.tags if tag == name]

    @property
    def text(self) -> str:
        inside = self.source.partition("<body>")[2]
        shown = re.sub(r"<[^>]+>", " ", inside)
        for entity, char in (("&lt;", "<"), ("&gt;", ">"), ("&#34;", '"'), ("&#39;", "'")):
            shown = shown.replace(entity, char)
        return " ".join(shown.replace("&amp;", "&").split())


def a_exec(path: str, state: State = State.DONE, **fields: Any) -> NodeView:
    """An Exec with one attempt that took two seconds, one of them in the queue."""
    failed = state in (State.ERROR, State.KILLED)
    cause = fields.pop("cause", Cause.EXIT_CODE if failed else None)
    attempt = AttemptRecord(
        path=path,
        number=1,
        state=state,
        cause=cause,
        exit_code=fields.pop("exit_code", 3 if failed else 0),
        env={"PLACE": "an-env-value"},
        container=fields.pop("container", "box-1"),
        message=fields.pop("message", None),
        queued=NOW - 10,
        image_ready=fields.pop("image_ready", None),
        admitted=fields.pop("admitted", None),
        started=NOW - 9,
        ended=None if state is State.RUNNING else NOW - 8,
    )
    tried = state not in (State.PENDING, State.QUEUED)
    given = {"command": f"do {path}", "attempts": (attempt,) if tried else (), "cause": cause}
    return NodeView(path=path, type=NodeType.EXEC, state=state, **{**given, **fields})


def group(path: str, state: State = State.DONE, **fields: Any) -> NodeView:
    return NodeView(path=path, type=NodeType.PARALLEL, state=state, **fields)


async def exported(fake: MemoryPipelines, pipeline_id: str = "abc") -> Page:
    return Page(page_of(await collect(fake, PipelineParams(id=pipeline_id), NOW)))


def fake_with(
    nodes: Iterable[NodeView], outputs: dict[tuple[str, str], bytes] | None = None, **record: Any
) -> MemoryPipelines:
    fake = MemoryPipelines()
    fake.add("abc", nodes, PipelineRecord(**{"id": "abc", "title": "Nightly", **record}))
    for (path, stream), data in (outputs or {}).items():
        fake.write("abc", path, data, stream=stream)
    return fake


def failing() -> MemoryPipelines:
    return fake_with(
        [
            group("/", State.ERROR, doc="All of it."),
            a_exec("/fine"),
            group("/tests", State.ERROR),
            a_exec("/tests/ok"),
            a_exec("/tests/bad", State.ERROR, file="/home/ann/work/pipe.py", line=41),
            a_exec("/last", State.PENDING, waits_for="waits for /tests: reset or skip it"),
        ],
        {
            ("/tests/bad", "stdout"): b"".join(b"line %d\n" % n for n in range(100)),
            ("/fine", "stdout"): b"1\n2\n3\n4\n5\n6\n7\n",
        },
        tags=("main", "slow"),
        owner="ann",
        doc="What it is for.",
        program="/home/ann/work/pipe.py",
    )


async def test_head_shows_the_title_and_the_status() -> None:
    page = await exported(failing())

    for fact in ("Nightly", "✘ error", "abc", "main", "slow", "ann", "What it is for.", "pipe.py"):
        assert fact in page.text
    for count in (
        "P 1 pending",
        "Q 0 queued",
        "R 0 running",
        "D 2 done",
        "E 1 error",
        "K 0 killed",
    ):
        assert count in page.text
    assert "/home/ann" not in page.source


async def test_failure_comes_first_with_its_explanation() -> None:
    page = await exported(failing())

    assert page.texts["h2"] == ["Failures (1)", "Timeline", "Tree"]
    card = page.text.partition("Failures (1)")[2].partition("Timeline")[0]
    for fact in ("/tests/bad", "error", "exit 3", "pipe.py:41", "$ do /tests/bad", "in box-1"):
        assert fact in card
    assert "line 60 line 61" in card
    assert "line 99" in card
    assert "line 59" not in card


async def test_a_failure_leads_to_its_place_in_the_tree() -> None:
    page = await exported(failing())

    (link,) = page.all("a")
    (there,) = [d for d in page.all("details") if f"#{d.get('id')}" == link["href"]]
    assert page.tags.index(("details", there)) > page.tags.index(("a", link))


async def test_message_of_a_failure_without_output_is_shown() -> None:
    bad = a_exec("/a", State.ERROR, cause=Cause.IMAGE, exit_code=None, message="no such image: x")
    page = await exported(fake_with([group("/", State.ERROR), bad]))

    card = page.text.partition("Failures")[2]
    assert "not started" in card
    assert "no such image: x" in card


async def test_the_tree_is_open_where_something_is_wrong_and_closed_where_all_is_done() -> None:
    nodes = [
        group("/", State.ERROR),
        group("/good"),
        a_exec("/good/a"),
        group("/bad", State.ERROR),
        a_exec("/bad/b", State.ERROR),
    ]
    page = await exported(fake_with(nodes))

    groups = [d for d in page.all("details") if d.get("class") == "group"]
    assert ["open" in one for one in groups] == [True, False, True]
    tree = page.text.rpartition("Tree")[2]
    assert "good Parallel done 1 of 1 done" in tree
    assert "attempt 1: done , exit 0, 1.0s, in box-1" in tree


async def test_end_of_the_output_of_other_execs_is_shown() -> None:
    page = await exported(failing())

    assert "3\n4\n5\n6\n7" in page.texts["pre"]
    assert "waits for /tests: reset or skip it" in page.text


async def test_running_nodes_are_shown_with_their_last_state() -> None:
    nodes = [group("/", State.RUNNING), a_exec("/a", State.RUNNING)]
    page = await exported(fake_with(nodes, {("/a", "stdout"): b"half way\n"}))

    assert "Still in progress; this is its state at 2027-01-15 08:00:00 UTC" in page.text
    assert "half way" in page.texts["pre"]
    assert "Failures" not in page.text


async def test_skipped_warning_and_paused_are_labelled() -> None:
    nodes = [group("/", warning=True), a_exec("/a", State.PENDING, skipped=True)]
    page = await exported(fake_with(nodes, problem="the disk is full"))

    assert "with suppressed errors" in page.text
    assert "⊘ a skipped" in page.text
    assert "Paused: the disk is full" in page.text


async def test_images_are_listed_with_why_one_was_not_built() -> None:
    fake = fake_with([group("/"), a_exec("/a")])
    done = ImageRecord(name="good", state=ImageState.DONE, reference="repo/good:1")
    fake.set_image("abc", done.model_copy(update={"started": NOW - 70, "ended": NOW}))
    fake.set_image("abc", ImageRecord(name="bad", state=ImageState.ERROR, error="\x1b[31mno\x1b[m"))

    page = await exported(fake)

    assert "good done 1m 10s repo/good:1" in page.text
    assert "bad error no" in page.text


async def test_a_bar_is_thin_while_it_waits_and_thick_while_it_runs() -> None:
    page = await exported(fake_with([group("/"), a_exec("/a")]))

    assert shapes(page) == [
        ("wait unknown", "0.00%", "50.00%", "1"),
        ("done", "50.00%", "50.00%", "8"),
    ]
    assert "/a, attempt 1: done, waited 1.0s, ran 1.0s" in page.texts["title"]
    assert page.texts["li"].count("waits for unknown reasons") == 1


async def test_waits_are_drawn_by_reason_with_a_legend() -> None:
    times = {"image_ready": NOW - 9.6, "admitted": NOW - 9.2}
    page = await exported(fake_with([group("/"), a_exec("/a", **times)]))

    assert shapes(page) == [
        ("wait image", "0.00%", "20.00%", "6"),
        ("wait turn", "20.00%", "20.00%", "3"),
        ("wait start", "40.00%", "10.00%", "5"),
        ("done", "50.00%", "50.00%", "8"),
    ]
    told = "waited 0.4s for its image, 0.4s for its turn, 0.2s for its container, ran 1.0s"
    assert f"/a, attempt 1: done, {told}" in page.texts["title"]
    assert [text for text in page.texts["li"] if text.startswith("waits")] == [
        "waits for its image",
        "waits for its turn",
        "waits for its container",
    ]


def shapes(page: Page) -> list[tuple[str | None, ...]]:
    """Return the shapes on the chart: class, place, width and height of each."""
    rects = [rect for rect in page.all("rect") if "%" in (rect.get("x") or "") and "y" in rect]
    return [tuple(rect[name] for name in ("class", "x", "width", "height")) for rect in rects]


async def test_longest_of_many_attempts_have_a_bar() -> None:
    nodes = [group("/"), *(a_exec(f"/a{n}") for n in range(MAX_BARS + 5))]
    page = await exported(fake_with(nodes))

    assert len(page.all("g")) == MAX_BARS + 1  # the axis
    assert f"{MAX_BARS} attempts: the longest" in page.text


async def test_a_pipeline_that_has_not_run_has_no_timeline() -> None:
    page = await exported(fake_with([group("/", State.PENDING), a_exec("/a", State.PENDING)]))

    assert page.texts["h2"] == ["Tree"]


# ---- forbidden content ------------------------------------------------------------------------


async def test_nothing_is_executed_and_nothing_is_asked_for() -> None:
    evil = a_exec(
        f"/{EVIL.replace('/', '|')}",
        State.ERROR,
        command=EVIL,
        doc=EVIL,
        file=f"/x/{EVIL}",
        line=1,
        image=EVIL,
        container=EVIL,
        message=EVIL,
        waits_for=EVIL,
    )
    fake = fake_with(
        [group("/", State.ERROR, doc=EVIL), evil],
        {(evil.path, "stderr"): EVIL.encode()},
        title=EVIL,
        doc=EVIL,
        tags=(EVIL,),
        owner=EVIL,
        problem=EVIL,
        program=EVIL,
    )
    image = ImageRecord(name=EVIL, state=ImageState.ERROR, reference=EVIL, error=EVIL)
    fake.set_image("abc", image)

    page = await exported(fake)

    names = {name for name, _ in page.tags}
    assert names.isdisjoint({"script", "img", "link", "iframe", "object", "form", "base"})
    attributes = {key for _, found in page.tags for key in found}
    assert not {key for key in attributes if key.startswith("on") or key in ("src", "style")}
    assert {link["href"][:1] for link in page.all("a") if link["href"]} <= {"#"}
    assert min(page.text.count(part) for part in ("alert(1)", "{{7*7}}")) > 10


async def test_the_policy_allows_the_one_style_and_nothing_else() -> None:
    page = await exported(failing())

    (policy,) = [m["content"] for m in page.all("meta") if "http-equiv" in m]
    (style,) = page.texts["style"]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy is not None
    assert policy.startswith(f"default-src 'none'; style-src 'sha256-{digest}';")
    assert "url(" not in style
    assert "@import" not in style


async def test_the_environment_is_left_out() -> None:
    page = await exported(failing())

    assert "an-env-value" not in page.source


@pytest.mark.parametrize(
    ("output", "text"),
    [
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("10 %\r20 %\rdone\r\nnext", "done\nnext"),
        ("\x1b]8;;http://x\x07link\x1b]8;;\x07", "link"),
        ("a\x00\x08b\u202ec", "abc"),
        ("tab\there", "tab\there"),
    ],
)
def test_output_becomes_text(output: str, text: str) -> None:
    assert plain(output) == text


def test_control_characters_are_escaped() -> None:
    assert visible("a\u202eb\x07\ud800") == "a\\u202eb\\x07\\ud800"
    assert last_lines("a\nb\nc\n\n", 2) == "b\nc"


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("Nightly build", "Nightly-build.html"),
        ("../../etc/passwd", "etc-passwd.html"),
        ("Überprüfung", "Überprüfung.html"),
        ("?/:", "abc.html"),
        ("", "abc.html"),
        ("x" * 500, f"{'x' * 100}.html"),
    ],
)
def test_a_file_is_called_after_the_title(title: str, name: str) -> None:
    assert file_name(PipelineRecord(id="abc", title=title)) == name


# ---- large trees ------------------------------------------------------------------------------


def large(groups: int, size: int) -> list[NodeView]:
    """A tree in which the last Exec of the last group failed and the one before it runs."""
    nodes = [group("/", State.ERROR)]
    for number in range(groups):
        last = number == groups - 1
        nodes.append(group(f"/g{number}", State.ERROR if last else State.DONE))
        nodes += [a_exec(f"/g{number}/e{n}") for n in range(size)]
    nodes[-1] = a_exec(nodes[-1].path, State.ERROR)
    nodes[-2] = a_exec(nodes[-2].path, State.RUNNING)
    return nodes


async def test_large_tree_is_reduced_to_urgent_nodes_and_counts_the_rest() -> None:
    run = await collect(fake_with(large(30, 70)), PipelineParams(id="abc"), NOW)
    page = Page(page_of(run))

    paths = [node.path for node in run.nodes]
    assert (len(paths), len(set(paths)), run.whole) == (limits.MAX_NODES, limits.MAX_NODES, False)
    assert {"/g29/e69", "/g29/e68", *(f"/g{n}" for n in range(30))} <= set(paths)
    assert "… 68 more done" in page.text
    assert "Of a large tree 2,000 nodes are shown." in page.text
    hidden = [int(n.replace(",", "")) for n in re.findall(r"… ([\d,]+) more done", page.text)]
    shown = sum(d.get("class") != "group" for d in page.all("details"))
    assert sum(hidden) + shown == 2_100


async def test_some_of_many_failures_are_shown_some_named_and_the_rest_counted() -> None:
    nodes = [group("/", State.ERROR)]
    nodes += [a_exec(f"/e{n}", State.ERROR) for n in range(300)]
    page = await exported(fake_with(nodes))

    assert len(page.all("article")) == limits.MAX_OUTPUTS
    assert "Failures (300)" in page.text
    assert "… 50 more" in page.text


async def test_killed_ones_come_after_failed_ones_within_the_same_limits() -> None:
    nodes = [group("/", State.ERROR)]
    nodes += [a_exec(f"/k{n}", State.KILLED, cause=Cause.TIMEOUT) for n in range(60)]
    nodes += [a_exec(f"/e{n}", State.ERROR) for n in range(30)]
    run = await collect(fake_with(nodes), PipelineParams(id="abc"), NOW)

    assert [node.path for node in run.failed[:31]] == [*(f"/e{n}" for n in range(30)), "/k0"]
    assert sum(node.tail is not None for node in run.failed) == limits.MAX_OUTPUTS
    assert len(run.failed) == 90


async def test_the_largest_texts_stay_within_the_limit() -> None:
    wide = "<&\"'" * 2_000
    nodes = [group("/", State.ERROR, doc=wide)]
    for number in range(limits.MAX_NODES - 1):
        state = State.ERROR if number % 20 == 0 else State.DONE
        nodes.append(a_exec(f"/{number}{'&' * 900}", state, command=wide, doc=wide, message=wide))
    fake = fake_with(nodes, title=wide, doc=wide)
    for node in nodes[1:]:
        if node.state is State.ERROR:
            fake.write("abc", node.path, wide.encode() * 4)

    page = page_of(await collect(fake, PipelineParams(id="abc"), NOW))

    assert len(page) <= MAX_BYTES
    assert "nodes are shown." in Page(page).text


async def test_a_very_deep_tree_is_not_cut_by_the_browser() -> None:
    paths = ["/" + "/".join("d" * level) for level in range(1, 300)]
    nodes = [group("/", State.ERROR), *(group(p, State.ERROR) for p in paths)]
    nodes.append(a_exec(f"{paths[-1]}/bad", State.ERROR))
    page = await exported(fake_with(nodes))

    deepest = level = 0
    for chunk in re.findall(r"</?(?:details|div)\b", page.source):
        level += -1 if chunk.startswith("</") else 1
        deepest = max(deepest, level)
    assert deepest < 200
    assert "/d/bad error" in page.text
