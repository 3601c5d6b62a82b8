"""The sections for the pipeline as a whole: head, images, and foot."""

from collections.abc import Iterator, Mapping

from conducto_core.export.collect import MAX_FAILED, MAX_OUTPUTS, OUTPUT_LINES, Branch, ExportReport
from conducto_core.export.markup import (
    MARKS,
    Markup,
    clipped,
    joined,
    last_lines,
    mark,
    moment,
    place,
    seconds_of,
    short,
    shown_path,
    state_word,
    tag,
    visible,
    void,
)
from conducto_core.run.model.labels import cause_text, duration, failure_text
from conducto_core.run.model.records import AttemptRecord, ImageRecord
from conducto_core.run.model.requests import NodeView
from conducto_core.run.model.states import FAILED, IN_FLIGHT, State
from conducto_core.run.rules.actions import active_time, wall_time
from conducto_core.secrets.rules import withheld

_DOC, _TAGS = 8_000, 50
_IMAGES, _ERROR_LINES, _ERROR = 50, 20, 1_000


def title_of(run: ExportReport) -> str:
    """Return the title of the page."""
    record = run.summary.pipeline
    return short(record.title) or record.id


def head(run: ExportReport) -> Markup:
    """Return the header with the name and the state of the pipeline."""
    summary, record = run.summary, run.summary.pipeline
    state = summary.state
    return tag(
        "header",
        tag(
            "div",
            tag("h1", title_of(run)),
            tag("span", f"{MARKS[state]} {state.value}", class_=f"state {state.value}"),
            tag("code", record.id, class_="muted"),
            *(tag("span", short(each), class_="tag") for each in record.tags[:_TAGS]),
            class_="title",
        ),
        tag("ul", *_counts(run), class_="counts"),
        _proportions(run),
        tag("dl", *(_fact(name, value) for name, value in _facts(run)), class_="facts"),
        *_status(run),
        *(tag("p", visible(clipped(text.strip(), _DOC)), class_="doc") for text in _docs(run)),
    )


def _counts(run: ExportReport) -> Iterator[Markup]:
    for state in State:
        count = getattr(run.summary.counts, state.value)
        words = (tag("b", state.value[0].upper()), f"{count:,} ", state.value)
        yield tag("li", *words, class_=state.value if count else "muted")
    if run.summary.counts.skipped:
        yield tag("li", f"{run.summary.counts.skipped:,} of them skipped", class_="skipped")


def _proportions(run: ExportReport) -> Markup:
    counts = {state: getattr(run.summary.counts, state.value) for state in State}
    total, at = sum(counts.values()), 0
    shapes = [void("rect", width="100%", height=6, class_="track")]
    # Finished states come first.
    for state in (State.DONE, State.ERROR, State.KILLED, State.RUNNING, State.QUEUED):
        if counts[state]:
            x, width = f"{100 * at / total:.3f}%", f"{100 * counts[state] / total:.3f}%"
            shapes.append(void("rect", x=x, width=width, height=6, class_=state.value))
            at += counts[state]
    return tag("svg", *shapes, width="100%", height=6, class_="bar", aria_hidden="true")


def _facts(run: ExportReport) -> Iterator[tuple[str, str]]:
    summary, record = run.summary, run.summary.pipeline
    if summary.started is not None:
        over = summary.ended if summary.settled else None
        yield "Began", moment(summary.started)
        if over is not None:
            yield "Ended", moment(over)
        yield "Took" if over is not None else "Runs for", _period(run, over)
    if record.owner:
        yield "Owner", short(record.owner)
    yield "Ran", "in the cloud" if record.mode == "cloud" else f"locally, {record.engine}"
    if record.program is not None:
        yield "Script", short(record.program.rpartition("/")[2])


def _period(run: ExportReport, over: float | None) -> str:
    end = run.made if over is None else over
    active, wall = active_time(run.summary, end), wall_time(run.summary, end)
    took = "" if active is None else duration(active)
    return took if wall is None else f"{took} at work, {duration(wall)} in all"


def _fact(name: str, value: str) -> Markup:
    return tag("div", tag("dt", name), tag("dd", value))


def _status(run: ExportReport) -> Iterator[Markup]:
    """Yield why it is paused or runs without secrets, and whether it is still in progress."""
    if run.summary.pipeline.problem is not None:
        problem = visible(clipped(run.summary.pipeline.problem, _DOC))
        yield tag("p", f"Paused: {problem}", class_="problem")
    foreign = withheld(run.summary.pipeline)
    if foreign is not None:
        yield tag("p", visible(clipped(foreign, _DOC)), class_="problem")
    if not run.summary.settled:
        yield tag("p", f"Still in progress; this is its state at {moment(run.made)}.")


def _docs(run: ExportReport) -> Iterator[str]:
    doc = run.summary.pipeline.doc
    if doc is not None and doc.strip():
        yield doc


def images(run: ExportReport) -> Markup:
    """Return the images and the states of their builds; empty if there are none."""
    found = run.summary.images
    if not found:
        return Markup("")
    rows = [_image(image, run.made) for image in found[:_IMAGES]]
    if len(found) > _IMAGES:
        rows.append(tag("tr", tag("td", f"… {len(found) - _IMAGES:,} more", colspan=4)))
    names = ("Image", "State", "Took", "Reference")
    top = tag("thead", tag("tr", *(tag("th", name, scope="col") for name in names)))
    table = tag("table", top, tag("tbody", *rows))
    return tag("section", tag("h2", "Images"), table)


def _image(image: ImageRecord, now: float) -> Markup:
    took = ""
    if image.started is not None:
        took = duration((now if image.ended is None else image.ended) - image.started)
    reference = "" if image.reference is None else tag("code", short(image.reference))
    why = [reference]
    if image.error:
        why.append(tag("pre", clipped(last_lines(image.error, _ERROR_LINES), _ERROR)))
    kind = image.state.value if image.state.value in ("done", "error", "pending") else "running"
    return tag(
        "tr",
        tag("th", short(image.name), scope="row"),
        tag("td", tag("span", image.state.value, class_=kind)),
        tag("td", took, class_="number"),
        tag("td", joined(why)),
    )


def foot(run: ExportReport) -> Markup:
    """Return how the page was made, and what it leaves out."""
    command = tag("code", f"conducto export {run.summary.pipeline.id}")
    made = (f"Made by Conducto {run.version} at {moment(run.made)} with ", command, ". ")
    parts = "" if run.whole else f"Of a large tree {len(run.nodes):,} nodes are shown. "
    left_out = (
        "Output is shown in parts, as text. Variables of the environment are left out, and values "
        "of secrets are masked. Times are in UTC."
    )
    return tag("footer", tag("p", *made, parts, left_out))


# ----------------------------------------------------------------------------------------
# The attempts of an Exec, in the sections for failures and for the tree.


#: Maximum number of attempts shown per node, the newest ones.
_MAX = 5
_MESSAGE_LINES, _MESSAGE = 20, 2_000


def attempt_lines(node: NodeView, now: float) -> Iterator[Markup]:
    """Yield a line for each of the newest attempts."""
    hidden = len(node.attempts) - _MAX
    if hidden > 0:
        yield tag("li", f"{hidden:,} earlier attempts", class_="muted")
    for attempt in node.attempts[-_MAX:]:
        state = tag("span", attempt.state.value, class_=attempt.state.value)
        yield tag("li", f"attempt {attempt.number}: ", state, *_rest(attempt, now))


def _rest(attempt: AttemptRecord, now: float) -> Iterator[str]:
    facts = []
    if attempt.state in FAILED:
        facts.append(cause_text(attempt.cause, attempt.exit_code))
    elif attempt.exit_code is not None:
        facts.append(f"exit {attempt.exit_code}")
    seconds = seconds_of(attempt, now)
    if seconds is not None:
        facts.append(duration(seconds))
    facts += container_line(attempt)
    yield "".join(f", {fact}" for fact in facts)


def container_line(attempt: AttemptRecord) -> Iterator[str]:
    """Yield the container or worker of an attempt, if there was one."""
    if attempt.container is not None:
        others = attempt.position or 0
        used = f" (after {others:,} other{'' if others == 1 else 's'})" if others else ""
        yield f"in {short(attempt.container)}{used}"


def ending(node: NodeView, now: float) -> Iterator[str]:
    """Yield the result of an Exec's newest attempt, and its duration."""
    newest = node.attempts[-1] if node.attempts else None
    if node.state in FAILED:
        yield failure_text(node)
    if newest is None:
        return
    seconds = seconds_of(newest, now)
    if seconds is not None and node.state is not State.PENDING:
        yield duration(seconds)
    if newest.number > 1:
        yield f"attempt {newest.number}"


def output(text: str, node: NodeView) -> Markup:
    """Return the end of an Exec's output; long lines scroll, also by keyboard."""
    label = f"Last output of {shown_path(node.path)}"
    return tag("pre", text, class_="output", role="group", aria_label=label, tabindex=0)


def message(node: NodeView) -> Iterator[Markup]:
    """Yield the message of a failure besides its output, e.g. the end of an image's build."""
    text = node.attempts[-1].message if node.attempts else None
    if text:
        yield tag("pre", clipped(last_lines(text, _MESSAGE_LINES), _MESSAGE))


# ----------------------------------------------------------------------------------------
# The section for failures: for each Exec the cause, its source, its command and last output.


#: Maximum number of failures listed by name, after those with details.
_NAMED = 200
_COMMAND = 2_000


def failures(run: ExportReport, anchors: Mapping[str, str]) -> Markup:
    """Return the section; empty if nothing failed."""
    counts = run.summary.counts
    known = len(run.failed)
    total = known if known < MAX_FAILED else max(known, counts.error + counts.killed)
    if not run.failed:
        return Markup("")
    told = run.failed[:MAX_OUTPUTS]
    named = run.failed[MAX_OUTPUTS : MAX_OUTPUTS + _NAMED]
    rest = total - len(told) - len(named)
    return tag(
        "section",
        tag("h2", f"Failures ({total:,})"),
        *(_card(node, run, anchors) for node in told),
        *((_named(named, run, rest),) if named else ()),
        id="failures",
    )


def _card(node: NodeView, run: ExportReport, anchors: Mapping[str, str]) -> Markup:
    path = shown_path(node.path)
    anchor = anchors.get(node.path)
    name = path if anchor is None else tag("a", path, href=f"#{anchor}")
    sign = tag("span", mark(node), class_=node.state.value)
    return tag(
        "article",
        tag("h3", tag("code", sign, " ", name)),
        tag("p", joined(_facts_failures(node, run.made), " · ")),
        *(tag("pre", f"$ {_command(text)}") for text in (node.command,) if text),
        *message(node),
        *_output(node),
        class_="card",
    )


def _facts_failures(node: NodeView, now: float) -> Iterator[str]:
    why, *rest = ending(node, now)
    yield tag("span", state_word(node), class_=f"state {node.state.value}")
    yield tag("b", why)
    yield from rest
    written = place(node)
    if written is not None:
        yield tag("code", written)
    if node.image is not None:
        yield joined(("image ", tag("code", short(node.image))))
    if node.attempts:
        yield from container_line(node.attempts[-1])


def _command(text: str) -> str:
    return visible(clipped(text.strip(), _COMMAND))


def _output(node: NodeView) -> Iterator[Markup]:
    text = last_lines(node.tail or "", OUTPUT_LINES)
    if text.strip():
        yield output(text, node)
    elif node.attempts:
        yield tag("p", "It printed nothing.", class_="muted")


def _named(nodes: tuple[NodeView, ...], run: ExportReport, rest: int) -> Markup:
    lines = [
        tag("li", tag("code", shown_path(node.path)), "  ", ", ".join(ending(node, run.made)))
        for node in nodes
    ]
    if rest > 0:
        lines.append(tag("li", f"… {rest:,} more", class_="muted"))
    return tag("ul", *lines)


# ----------------------------------------------------------------------------------------
# The tree: expandable groups, with the command and the attempts of each Exec.


_COMMAND_TREE, _DOC_TREE, _NAME = 400, 400, 200


class TreeView:
    """The tree of a run; ``anchors`` is ``{path: id of the node's element}``."""

    def __init__(self, run: ExportReport, anchors: Mapping[str, str]) -> None:
        self._run = run
        self._anchors = anchors

    def section(self, root: Branch) -> Markup:
        """Return the tree below a root."""
        return tag("section", tag("h2", "Tree"), tag("div", self._node(root), class_="tree"))

    def _node(self, branch: Branch) -> Markup:
        return self._group(branch) if branch.is_group else self._exec(branch)

    def _group(self, branch: Branch) -> Markup:
        node = branch.node
        inside = [*self._words(node.doc, _DOC_TREE, "muted"), *map(self._node, branch.children)]
        hidden = _hidden(branch.hidden())
        if hidden:
            inside.append(tag("div", hidden, class_="more"))
        return tag(
            "details",
            tag("summary", joined(self._group_facts(branch))),
            tag("div", *inside, class_="below"),
            class_="group",
            id=self._anchors.get(node.path),
            open=branch.level == 0 or _is_urgent(branch),
        )

    def _group_facts(self, branch: Branch) -> Iterator[Markup]:
        node = branch.node
        yield _name(branch)
        yield tag("span", node.type.value, class_="muted")
        yield _state(node)
        counts = branch.counts()
        yield tag("span", f"{counts[State.DONE]:,} of {sum(counts.values()):,} done")
        for state in (State.ERROR, State.KILLED, State.RUNNING, State.QUEUED):
            if counts[state]:
                yield tag("span", f"{counts[state]:,} {state.value}", class_=state.value)
        if node.warning:
            yield tag("span", "with suppressed errors", class_="queued")
        if node.started is not None:
            end = self._run.made if node.ended is None else node.ended
            yield tag("span", duration(end - node.started), class_="muted number")

    def _exec(self, branch: Branch) -> Markup:
        return tag(
            "details",
            tag("summary", joined(self._exec_facts(branch))),
            tag("div", *self._inside(branch.node), class_="detail"),
            id=self._anchors.get(branch.node.path),
        )

    def _exec_facts(self, branch: Branch) -> Iterator[Markup]:
        node = branch.node
        yield _name(branch)
        yield _state(node)
        for fact in ending(node, self._run.made):
            yield tag("span", fact, class_="muted number")

    def _inside(self, node: NodeView) -> Iterator[Markup]:
        yield from self._words(node.doc, _DOC_TREE, "muted")
        yield from self._words(node.waits_for, _DOC_TREE, "muted")
        if node.command:
            yield tag("pre", f"$ {visible(clipped(node.command.strip(), _COMMAND_TREE))}")
        facts = [fact for fact in (place(node), _image_tree(node)) if fact is not None]
        if facts:
            yield tag("p", ", ".join(facts), class_="muted")
        if node.attempts:
            yield tag("ul", *attempt_lines(node, self._run.made), class_="attempts")
        if node.path in self._run.ends:
            yield output(self._run.ends[node.path], node)

    def _words(self, text: str | None, maximum: int, kind: str) -> Iterator[Markup]:
        if text:
            yield tag("p", visible(clipped(text.strip(), maximum)), class_=kind)


def _name(branch: Branch) -> Markup:
    node = branch.node
    kind = "skipped" if node.skipped else node.state.value
    name = tag("span", shown_path(branch.name, _NAME), class_="name")
    return tag("span", tag("span", mark(node), class_=kind), " ", name)


def _state(node: NodeView) -> Markup:
    word = state_word(node)
    return tag("span", word, class_=word)


def _image_tree(node: NodeView) -> str | None:
    return None if node.image is None else f"image {short(node.image)}"


def _is_urgent(branch: Branch) -> bool:
    return any(count and state in FAILED | IN_FLIGHT for state, count in branch.counts().items())


def _hidden(counts: Mapping[State, int]) -> str:
    """Return the hidden Execs in one line: ``… 8,412 more done, 3 pending``."""
    told = [f"{count:,} {{more}}{state.value}" for state, count in counts.items()]
    if not told:
        return ""
    return f"… {', '.join(told)}".replace("{more}", "more ", 1).replace("{more}", "")
