"""``conducto show ID PATH``: all about one node, and where each of its parameters comes from."""

import textwrap
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Any

from conducto.wire.approvals import Field, described
from conducto_cli.app.exit import DONE
from conducto_cli.app.output import as_json
from conducto_cli.programs.attempt_diff import ending
from conducto_cli.target import lookup as selection
from conducto_cli.text.text import WIDEST, Line, Marks, Role, TextSpan, printable, table
from conducto_cli.view.rows import ROLE_OF_STATE, place, progress
from conducto_client import Client
from conducto_core.annotations.model import AnnotationParams, NodeAnnotation, line_of
from conducto_core.approvals.model import ApprovalView
from conducto_core.command.server import FORKED
from conducto_core.command.usage import SHORTEST_SECONDS, summary
from conducto_core.results.model import MetricSeries
from conducto_core.run.model.labels import (
    decision_text,
    failure_text,
    saved_text,
    wait_text,
)
from conducto_core.run.model.records import AttemptRecord
from conducto_core.run.model.requests import NodeView
from conducto_core.run.model.responses import NodeDetail, Parameter
from conducto_core.run.model.states import FAILED

_MAX_ATTEMPTS = 20
_MAX_RESULT_LINES = 50
_MAX_NOTES = 50
_MESSAGE_COLUMNS = 100
#: Failures that are named of a group.
_MAX_FAILURES = 5
#: Attempts of which it is asked what they used.
_MAX_ASKED = 5
_UNITS = {"mem": " GB", "max_time": " s"}


def show_node(client: Client, pipeline_id: str, text: str, *, json: bool) -> int:
    from conducto_cli.view.session import page, write_lines  # noqa: PLC0415

    path = selection.one(client, pipeline_id, text)
    detail = client.node(pipeline_id, path)
    if json:
        outputs = _outputs_document(client, pipeline_id, detail.node)
        print(as_json({**detail.model_dump(mode="json"), **outputs}))
    else:
        asked = [each for each in detail.node.attempts if _may_have_samples(each)][-_MAX_ASKED:]
        used = {}
        for each in asked:
            words = summary(client.resources(pipeline_id, path, attempt=each.number))
            if words is not None:
                used[each.number] = words
        lines = _lines(detail, page().marks, used, _failures(client, pipeline_id, detail.node))
        notes = map(line_of, _annotations(client, pipeline_id, detail.node))
        problems = _section("problems", map(printable, notes))
        write_lines(chain(lines, problems, _outputs(client, pipeline_id, detail.node)))
    return DONE


def _failures(client: Client, pipeline_id: str, node: NodeView) -> list[tuple[str, str]]:
    """Return ``[(path, why)]`` of the first nodes that explain why a group failed."""
    if node.counts is None or node.state not in FAILED:
        return []
    found = client.tree(pipeline_id, root=node.path, failed=True, attempts="newest")
    return [(view.path, failure_text(view)) for view in islice(found, _MAX_FAILURES)]


def _lines(
    detail: NodeDetail,
    marks: Marks,
    used: Mapping[int, str],
    failed: Sequence[tuple[str, str]] = (),
) -> Iterator[Line]:
    node = detail.node
    yield from _head(node, marks)
    for line in () if node.doc is None else node.doc.splitlines():
        yield (TextSpan(printable(line), Role.FAINT),)
    if node.skip_reason is None:
        yield from _section("waits", _rows(_wait(node)))
    else:
        yield from _section("skipped", [printable(node.skip_reason)])
    yield from _section("failed because of", _rows(failed))
    if node.command is not None:
        yield from _section("command", node.command.splitlines())
    if node.approval is not None:
        yield from _section("approval", _asked(node.approval))
    yield from _section("parameters", _rows([_parameter(p) for p in detail.parameters]))
    yield from _section(
        "environment", _rows([(f"{v.name}={v.value}", f"({_from(v.source)})") for v in detail.env])
    )
    yield from _section(
        "callbacks", (f"{c.event}: {c.name}  ({_from(c.source)})" for c in detail.callbacks)
    )
    yield from _section("attempts", _attempts(node.attempts, used))
    yield from _section(
        "notifications",
        _rows(
            [
                (each.state.value, each.callback, each.delivery.value, each.error or "")
                for each in node.notifications[-_MAX_ATTEMPTS:]
            ]
        ),
    )


def _wait(node: NodeView) -> list[tuple[str, str]]:
    """Return why a node does not run, since when, for whom, and how to end that."""
    since = node.wait_since
    rows = (
        ("why", node.waits_for),
        ("since", None if since is None else _moment(since)),
        ("held by", node.wait_holder),
        ("remedy", node.wait_remedy),
    )
    return [(name, " ".join(text.split())) for name, text in rows if text is not None]


def _moment(seconds: float) -> str:
    return time.strftime("%m-%d %H:%M:%S", time.localtime(seconds))


def _word(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _asked(approval: ApprovalView) -> list[str]:
    deciders = ", ".join(approval.who)
    lines = [printable(line) for line in approval.message.splitlines()]
    lines += [f"asked again: {printable(why)}" for why in approval.withdrawn]
    for asked in approval.fields:
        given = "" if asked.default is None else f"; default: {_word(asked.default)}"
        words = described(Field(asked.name, asked.type, asked.choices))
        lines.append(printable(f"--set {asked.name}=… : {words}{given}"))
    return [*lines, f"decided by: {deciders}"] if deciders else lines


def _annotations(client: Client, pipeline_id: str, node: NodeView) -> Sequence[NodeAnnotation]:
    """Return the annotations of the newest attempt of an Exec, if it may have some."""
    newest = node.attempts[-1] if node.attempts else None
    noted = newest is not None and newest.outputs is not None and newest.outputs.annotations
    if newest is None or not (noted or newest.state in FAILED):
        return ()
    query = AnnotationParams(id=pipeline_id, path=node.path, limit=_MAX_NOTES)
    return client.annotations(query).annotations


def _outputs_document(client: Client, pipeline_id: str, node: NodeView) -> dict[str, Any]:
    """Return the result, metrics and artifacts of the newest attempt that left any."""
    attempt = _attempt_with_outputs(node)
    if attempt is None or attempt.outputs is None:
        return {}
    place: dict[str, Any] = {"path": node.path, "attempt": attempt.number}
    document: dict[str, Any] = {}
    if notes := _annotations(client, pipeline_id, node):
        document["annotations"] = [each.model_dump(mode="json") for each in notes]
    if attempt.outputs.result is not None:
        document["result"] = client.get_result(pipeline_id, **place).value
    if attempt.outputs.metrics:
        document["metrics"] = [
            each.model_dump(mode="json") for each in client.metrics(pipeline_id, **place)
        ]
    if attempt.outputs.artifacts:
        document["artifacts"] = [
            each.model_dump(mode="json") for each in client.artifacts(pipeline_id, **place)
        ]
    return document


def _attempt_with_outputs(node: NodeView) -> AttemptRecord | None:
    return next((each for each in reversed(node.attempts) if each.outputs), None)


def _outputs(client: Client, pipeline_id: str, node: NodeView) -> Iterator[Line]:
    """List the result, metrics and artifacts of the newest attempt that left any."""
    attempt = _attempt_with_outputs(node)
    if attempt is None or attempt.outputs is None:
        return
    number, there = attempt.number, attempt.outputs
    of = "" if number == node.attempts[-1].number else f" of attempt {number}"
    if there.result is not None:
        found = client.get_result(pipeline_id, node.path, attempt=number)
        yield from _section(f"result{of}", result_lines(found.value))
    if there.metrics:
        series = client.metrics(pipeline_id, node.path, attempt=number)
        yield from _section(f"metrics{of}", _rows([_metric(each) for each in series]))
    if there.artifacts:
        files = client.artifacts(pipeline_id, node.path, attempt=number)
        rows = [(each.name, f"{each.size:,} bytes", each.title) for each in files]
        yield from _section(f"artifacts{of}", _rows(rows))


def result_lines(value: object) -> Iterator[str]:
    """Return a result as indented JSON, with at most `_MAX_RESULT_LINES` lines."""
    lines = as_json(value).splitlines()
    yield from lines[:_MAX_RESULT_LINES]
    if len(lines) > _MAX_RESULT_LINES:
        yield f"... {len(lines) - _MAX_RESULT_LINES:,} more lines; --json shows all"


def _metric(series: MetricSeries) -> tuple[str, str, str, str]:
    numbers = [value for value in series.values if value is not None]
    last = series.values[-1] if series.values else None
    shown = "null" if last is None else f"{last:.6g}"
    reach = f"from {min(numbers):.6g} to {max(numbers):.6g}" if len(numbers) > 1 else ""
    points = "1 point" if series.count == 1 else f"{series.count:,} points"
    if len(series.values) < series.count:
        points += f", {len(series.values):,} kept"
    return (series.name, shown, reach, points)


def _head(node: NodeView, marks: Marks) -> Iterator[Line]:
    state = "skipped" if node.skipped else node.state.value
    spans = [
        TextSpan(printable(node.path), Role.STRONG),
        TextSpan(f"  {node.type.value}  ", Role.FAINT),
        TextSpan(state, ROLE_OF_STATE[node.state]),
        *progress(node.counts, marks),
    ]
    where = place(node.file, node.line)
    yield (*spans, TextSpan(f"  {where}" if where else "", Role.FAINT))


def _section(title: str, lines: Iterable[str]) -> Iterator[Line]:
    first = True
    for line in lines:
        if first:
            yield (TextSpan(title, Role.STRONG),)
        first = False
        yield (TextSpan(f"  {printable(line)}".rstrip()),)


def _parameter(parameter: Parameter) -> tuple[str, str, str]:
    value = "" if parameter.value is None else _value(parameter.value)
    unit = _UNITS.get(parameter.name, "") if value else ""
    changed = ", modified" if parameter.modified else ""
    return (parameter.name, f"{value}{unit}" or "-", f"({_from(parameter.source)}{changed})")


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    return " ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _from(source: str | None) -> str:
    return "default" if source is None else source


def _rows(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    return table(rows, widest=WIDEST) if rows else iter(())


def _interpreter(kept: str) -> str:
    if kept == FORKED:
        return "ran in a fork of the interpreter that had imported its file"
    return f"ran in a new interpreter: {kept}"


def _may_have_samples(attempt: AttemptRecord) -> bool:
    if attempt.started is None:
        return False
    return attempt.ended is None or attempt.ended - attempt.started >= SHORTEST_SECONDS


def _cache_lines(attempt: AttemptRecord) -> Iterator[str]:
    """Yield where an attempt comes from, or why it ran."""
    source = attempt.from_cache
    if source is not None:
        saved = saved_text(source)
        yield f"   from cache {printable(source.text)}{saved and f', {saved}'}"
    if attempt.cache is not None:
        yield f"   cache: {printable(attempt.cache)}"
    if attempt.not_stored is not None:
        yield f"   not stored: {printable(attempt.not_stored)}"


def _attempts(attempts: tuple[AttemptRecord, ...], used: Mapping[int, str]) -> Iterator[str]:
    rows = []
    shown = attempts[-_MAX_ATTEMPTS:]
    for attempt in shown:
        began = attempt.started if attempt.started is not None else attempt.queued
        when = "" if began is None else _moment(began)
        where = "" if attempt.container is None else f"in {attempt.container}"
        rows.append((f"{attempt.number}", when, ending(attempt), where, wait_text(attempt) or ""))
    hidden = len(attempts) - len(rows)
    if hidden:
        yield f"{hidden:,} earlier ones"
    for attempt, line in zip(shown, table(rows) if rows else (), strict=True):
        yield line
        if attempt.actor is not None:
            yield f"   requested by {printable(attempt.actor.text)}"
        yield from _cache_lines(attempt)
        if attempt.interpreter is not None:
            yield f"   {_interpreter(attempt.interpreter)}"
        if attempt.number in used:
            yield f"   {used[attempt.number]}"
        if attempt.decision is not None and attempt.decision.approved:
            words = printable(decision_text(attempt.decision))
            yield from (f"   {line}" for line in textwrap.wrap(words, _MESSAGE_COLUMNS))
        if attempt.message:  # the reason of its end, or gaps in its output
            yield from (f"   {words}" for words in textwrap.wrap(attempt.message, _MESSAGE_COLUMNS))
