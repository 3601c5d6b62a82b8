"""The tree: expandable groups, with the command and the attempts of each Exec."""

from collections.abc import Iterator, Mapping

from conducto_core.api.export.attempts import attempt_lines, ending, output
from conducto_core.api.export.markup import Markup, joined, tag
from conducto_core.api.export.outline import Branch
from conducto_core.api.export.report import Report
from conducto_core.api.export.text import (
    clipped,
    mark,
    place,
    short,
    shown_path,
    state_word,
    visible,
)
from conducto_core.model.labels import duration
from conducto_core.model.requests import NodeView
from conducto_core.model.states import FAILED, IN_FLIGHT, State

_COMMAND, _DOC, _NAME = 400, 400, 200


class TreeView:
    """The tree of a run; ``anchors`` is ``{path: id of the node's element}``."""

    def __init__(self, run: Report, anchors: Mapping[str, str]) -> None:
        self._run = run
        self._anchors = anchors

    def section(self, root: Branch) -> Markup:
        """Return the tree below a root."""
        return tag("section", tag("h2", "Tree"), tag("div", self._node(root), class_="tree"))

    def _node(self, branch: Branch) -> Markup:
        return self._group(branch) if branch.is_group else self._exec(branch)

    def _group(self, branch: Branch) -> Markup:
        node = branch.node
        inside = [*self._words(node.doc, _DOC, "muted"), *map(self._node, branch.children)]
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
        yield from self._words(node.doc, _DOC, "muted")
        yield from self._words(node.waits_for, _DOC, "muted")
        if node.command:
            yield tag("pre", f"$ {visible(clipped(node.command.strip(), _COMMAND))}")
        facts = [fact for fact in (place(node), _image(node)) if fact is not None]
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


def _image(node: NodeView) -> str | None:
    return None if node.image is None else f"image {short(node.image)}"


def _is_urgent(branch: Branch) -> bool:
    return any(count and state in FAILED | IN_FLIGHT for state, count in branch.counts().items())


def _hidden(counts: Mapping[State, int]) -> str:
    """Return the hidden Execs in one line: ``… 8,412 more done, 3 pending``."""
    told = [f"{count:,} {{more}}{state.value}" for state, count in counts.items()]
    if not told:
        return ""
    return f"… {', '.join(told)}".replace("{more}", "more ", 1).replace("{more}", "")
