"""The sections for the pipeline as a whole: head, images, and foot."""

from collections.abc import Iterator

from conducto_core.api.export.markup import Markup, joined, tag, void
from conducto_core.api.export.report import Report
from conducto_core.api.export.text import MARKS, clipped, last_lines, moment, short, visible
from conducto_core.model.labels import duration
from conducto_core.model.records import ImageRecord
from conducto_core.model.states import State
from conducto_core.semantics.activity import active_time, wall_time
from conducto_core.semantics.user_secrets import withheld

_DOC, _TAGS = 8_000, 50
_IMAGES, _ERROR_LINES, _ERROR = 50, 20, 1_000


def title_of(run: Report) -> str:
    """Return the title of the page."""
    record = run.summary.pipeline
    return short(record.title) or record.id


def head(run: Report) -> Markup:
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


def _counts(run: Report) -> Iterator[Markup]:
    for state in State:
        count = getattr(run.summary.counts, state.value)
        words = (tag("b", state.value[0].upper()), f"{count:,} ", state.value)
        yield tag("li", *words, class_=state.value if count else "muted")
    if run.summary.counts.skipped:
        yield tag("li", f"{run.summary.counts.skipped:,} of them skipped", class_="skipped")


def _proportions(run: Report) -> Markup:
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


def _facts(run: Report) -> Iterator[tuple[str, str]]:
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


def _period(run: Report, over: float | None) -> str:
    end = run.made if over is None else over
    active, wall = active_time(run.summary, end), wall_time(run.summary, end)
    took = "" if active is None else duration(active)
    return took if wall is None else f"{took} at work, {duration(wall)} in all"


def _fact(name: str, value: str) -> Markup:
    return tag("div", tag("dt", name), tag("dd", value))


def _status(run: Report) -> Iterator[Markup]:
    """Yield why it is paused or runs without secrets, and whether it is still in progress."""
    if run.summary.pipeline.problem is not None:
        problem = visible(clipped(run.summary.pipeline.problem, _DOC))
        yield tag("p", f"Paused: {problem}", class_="problem")
    foreign = withheld(run.summary.pipeline)
    if foreign is not None:
        yield tag("p", visible(clipped(foreign, _DOC)), class_="problem")
    if not run.summary.settled:
        yield tag("p", f"Still in progress; this is its state at {moment(run.made)}.")


def _docs(run: Report) -> Iterator[str]:
    doc = run.summary.pipeline.doc
    if doc is not None and doc.strip():
        yield doc


def images(run: Report) -> Markup:
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


def foot(run: Report) -> Markup:
    """Return how the page was made, and what it leaves out."""
    command = tag("code", f"conducto export {run.summary.pipeline.id}")
    made = (f"Made by Conducto {run.version} at {moment(run.made)} with ", command, ". ")
    parts = "" if run.whole else f"Of a large tree {len(run.nodes):,} nodes are shown. "
    left_out = (
        "Output is shown in parts, as text. Variables of the environment are left out, and values "
        "of secrets are masked. Times are in UTC."
    )
    return tag("footer", tag("p", *made, parts, left_out))
