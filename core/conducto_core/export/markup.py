"""HTML that is always escaped: text becomes part of a page only through `tag`."""

import base64
import hashlib
import re
import unicodedata
from collections.abc import Iterable
from datetime import UTC, datetime
from html import escape

from conducto_core.run.model.records import AttemptRecord, PipelineRecord
from conducto_core.run.model.requests import NodeView
from conducto_core.run.model.states import State


class Markup(str):
    """HTML that is inserted as it is; any other text is escaped."""

    __slots__ = ()


def tag(name: str, /, *inside: str, **attributes: str | float | bool | None) -> Markup:
    """Return an element.

    Args:
        name: Name of the element.
        inside: Its content: `Markup`, or text, which is escaped.
        attributes: ``class_`` is ``class``; True is an attribute without a value, None and False
            are left out.
    """
    return Markup(f"<{_opened(name, attributes)}>{joined(inside)}</{name}>")


def void(name: str, /, **attributes: str | float | bool | None) -> Markup:
    """Return an element without content, such as ``meta`` and the shapes of SVG."""
    return Markup(f"<{_opened(name, attributes)}/>")


def joined(parts: Iterable[str], between: str = "") -> Markup:
    """Return parts one after another, with text ``between`` them."""
    return Markup(_safe(between).join(map(_safe, parts)))


def _opened(name: str, attributes: dict[str, str | float | bool | None]) -> str:
    return name + "".join(
        f" {_name(key)}" if value is True else f' {_name(key)}="{escape(str(value))}"'
        for key, value in attributes.items()
        if value is not None and value is not False
    )


def _name(key: str) -> str:
    return key.rstrip("_").replace("_", "-")


def _safe(text: str) -> str:
    return text if isinstance(text, Markup) else escape(text)


# ----------------------------------------------------------------------------------------
# Text from users and commands, cleaned for a page, and the labels of the page.


#: A sign for each state: no state is shown by colour alone.
MARKS = {
    State.PENDING: "○",
    State.QUEUED: "◌",
    State.RUNNING: "●",
    State.DONE: "✔",
    State.ERROR: "✘",
    State.KILLED: "✘",
}
SKIPPED_MARK = "⊘"
_MAX_NAME = 100
#: As in the web app: CSI sequences; OSC and other strings up to their end; two-letter escapes.
_SEQUENCES = re.compile(
    r"\x1b\[[0-9:;<=>?]*[ -/]*[@-~]|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[ -/]*[0-~]"
)
#: Controls but for tab and line end; characters that change the direction of text; surrogates.
_UNFIT = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


def plain(output: str) -> str:
    """Return terminal output as text: without colours, each line in its final form."""
    return "\n".join(map(_plain_line, output.split("\n")))


def _plain_line(line: str) -> str:
    shown = line.rstrip("\r").rpartition("\r")[2]  # a progress bar overwrites itself
    return _UNFIT.sub("", _SEQUENCES.sub("", shown))


def last_lines(output: str, count: int) -> str:
    """Return the last lines of terminal output as text."""
    return "\n".join(plain(output).rstrip().split("\n")[-count:])


def visible(text: str) -> str:
    """Return a text that is safe in a page: controls are shown by their code.

    A name comes from a program: it must not change the display of the text around it.
    """
    return _UNFIT.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def clipped(text: str, maximum: int) -> str:
    """Return a text, shortened at its end to ``maximum`` characters."""
    return text if len(text) <= maximum else f"{text[:maximum]}…"


def short(text: str) -> str:
    """Return a name, shortened at its end."""
    return visible(clipped(text, 300))


def shown_path(path: str, maximum: int = 500) -> str:
    """Return a path, shortened at its start: its end tells nodes apart."""
    return visible(path if len(path) <= maximum else f"…{path[-maximum:]}")


def moment(time: float) -> str:
    """Return a time in UTC: a reader may be in any time zone."""
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def place(node: NodeView) -> str | None:
    """Return the source line of a node, without the directory: ``pipeline.py:41``."""
    if node.file is None:
        return None
    name = node.file.rpartition("/")[2]
    return visible(name if node.line is None else f"{name}:{node.line}")


def state_word(node: NodeView) -> str:
    """Return the word for the state of a node."""
    return "skipped" if node.skipped else node.state.value


def mark(node: NodeView) -> str:
    """Return the sign for the state of a node."""
    return SKIPPED_MARK if node.skipped else MARKS[node.state]


def seconds_of(attempt: AttemptRecord, now: float) -> float | None:
    """Return the running time of an attempt so far; None if it did not start."""
    if attempt.started is None:
        return None
    if attempt.ended is None and attempt.state is not State.RUNNING:
        return None
    return (now if attempt.ended is None else attempt.ended) - attempt.started


def file_name(record: PipelineRecord) -> str:
    """Return the file name of an export: its title, or its id without one."""
    title = unicodedata.normalize("NFC", record.title)
    fit = re.sub(r"[^\w.+-]+", "-", title).strip("-.")[:_MAX_NAME]
    return f"{fit or record.id}.html"


# ----------------------------------------------------------------------------------------
# The style sheet of the page, with the colours of the web app.


_LIGHT = """
--ground:#f6f7f8;--surface:#fff;--line:#e1e4e8;--strong:#c6cbd2;--text:#1a1d21;--muted:#59616b;
--accent:#1d4fd7;--pending:#59616b;--queued:#7a5600;--running:#1d4fd7;--done:#1a6e35;
--error:#b42318;--killed:#9a3d0c;--skipped:#59616b;--image:#8a2a9b;--start:#0b6b78;--code:#f0f2f4;--error-ground:#fdecea;
color-scheme:light;"""
_DARK = """
--ground:#0f1113;--surface:#16191c;--line:#282d33;--strong:#414850;--text:#e5e8eb;--muted:#9aa4ae;
--accent:#84a9ff;--pending:#9aa4ae;--queued:#e3b341;--running:#84a9ff;--done:#5fca7d;
--error:#ff8a80;--killed:#f2a672;--skipped:#9aa4ae;--image:#d9a0f0;--start:#5ed0dc;--code:#1f2429;--error-ground:#3a1a1a;
color-scheme:dark;"""
_RULES = """
*{box-sizing:border-box}
body{margin:0 auto;max-width:64rem;padding:1.5rem 1rem 3rem;background:var(--ground);
color:var(--text);font:15px/1.5 ui-sans-serif,system-ui,-apple-system,"Segoe UI",Roboto,
"Noto Sans",sans-serif;overflow-wrap:anywhere}
h1{font-size:1.5rem;line-height:1.25;margin:0}
h2{font-size:1.05rem;margin:2rem 0 .6rem}
h3{font-size:.95rem;margin:0}
p{margin:.4rem 0}
a{color:var(--accent)}
code,pre,.mono,summary,text{font-family:ui-monospace,"SF Mono","Cascadia Code",Menlo,Consolas,
"DejaVu Sans Mono",monospace;font-size:13px}
pre{margin:.5rem 0 0;padding:.5rem .7rem;background:var(--code);border-radius:4px;line-height:1.45;
white-space:pre-wrap;tab-size:4;unicode-bidi:plaintext}
.output{white-space:pre;overflow-x:auto}
.output:focus-visible{outline:2px solid var(--accent);outline-offset:1px}
.muted{color:var(--muted)}
.number{font-variant-numeric:tabular-nums}
.pending{color:var(--pending)}.queued{color:var(--queued)}.running{color:var(--running)}
.done{color:var(--done)}.error{color:var(--error)}.killed{color:var(--killed)}
.skipped{color:var(--skipped)}
.title{display:flex;flex-wrap:wrap;align-items:baseline;gap:.3rem .8rem}
.state{font-weight:600;white-space:nowrap}
.tag{border:1px solid var(--strong);border-radius:9px;padding:0 .5rem;font-size:12px}
.counts{display:flex;flex-wrap:wrap;gap:.2rem 1.1rem;list-style:none;padding:0;margin:.9rem 0 .4rem}
.counts b{margin-right:.35rem}
.facts{display:grid;grid-template-columns:repeat(auto-fit,minmax(9rem,1fr));gap:.5rem 1.2rem;
margin:1rem 0 0}
.facts dt{color:var(--muted);font-size:12px}
.facts dd{margin:0}
.doc{white-space:pre-wrap;margin:1rem 0 0;max-width:46rem}
.problem{border-left:3px solid var(--error);padding-left:.7rem}
.card,.tree,.chart,table{background:var(--surface);border:1px solid var(--line);border-radius:6px}
.card{border-left:3px solid var(--error);padding:.7rem .9rem;margin:0 0 .8rem}
.card h3 a{color:inherit;text-decoration:none}
.card h3 a:hover{text-decoration:underline}
.tree{padding:.4rem .6rem}
.below{border-left:1px solid var(--line);margin-left:.36rem;padding-left:.75rem}
summary{cursor:pointer;padding:.12rem .2rem;border-radius:4px;list-style:none;display:flex;
flex-wrap:wrap;gap:0 .7rem;align-items:baseline}
summary::-webkit-details-marker{display:none}
summary:hover{background:var(--code)}
summary:focus-visible,a:focus-visible{outline:2px solid var(--accent);outline-offset:1px}
.tree summary::before{content:"\\25B8";color:var(--muted);margin:0 -.35rem 0 -.1rem}
.tree [open]>summary::before{content:"\\25BE"}
.group>summary .name{font-weight:600}
.more{padding:.12rem .2rem;color:var(--muted);font-size:13px}
.detail{padding:.1rem 0 .5rem 1.3rem;font-size:14px}
.tree p{font-size:13px}
.attempts{margin:.4rem 0 0;padding:0;list-style:none;font-size:13px}
:target>summary{outline:2px solid var(--accent)}
.chart{padding:.6rem .8rem;overflow:hidden}
.chart svg{display:block;overflow:visible}
text{fill:var(--text)}
.axis text{fill:var(--muted);font-size:11px}
.axis line{stroke:var(--line)}
#strokes rect{fill:var(--image)}
.wait.turn{fill:var(--queued)}.wait.unknown{fill:var(--muted)}
.wait.start{fill:none;stroke:var(--start);stroke-width:1.5}
.legend{display:flex;flex-wrap:wrap;gap:0 1rem;list-style:none;margin:0 0 .5rem;padding:0;
font-size:12px}
.legend li{display:flex;align-items:center;gap:.35rem}
.track{fill:var(--line)}tspan.done{fill:var(--done)}tspan.error{fill:var(--error)}
tspan.killed{fill:var(--killed)}tspan.running{fill:var(--running)}tspan.queued{fill:var(--queued)}
rect.pending{fill:var(--pending)}rect.queued{fill:var(--queued)}rect.running{fill:var(--running)}
rect.done{fill:var(--done)}rect.error{fill:var(--error)}rect.killed{fill:var(--killed)}
.bar{display:block;border-radius:3px;margin-top:.6rem}
table{border-collapse:separate;border-spacing:0;width:100%;font-size:14px}
th,td{text-align:left;padding:.35rem .7rem;vertical-align:top;border-top:1px solid var(--line)}
thead th{border-top:0;color:var(--muted);font-weight:500;font-size:12px}
tbody th{font-weight:500}
th,td{overflow-wrap:normal}td:last-child{overflow-wrap:anywhere}td pre{margin:.3rem 0}
td pre:first-child{margin-top:0}
footer{margin-top:2.5rem;border-top:1px solid var(--line);padding-top:.8rem;color:var(--muted);
font-size:13px}
@media (max-width:30rem){body{padding:1rem .7rem 2rem}.below{padding-left:.45rem}
.detail{padding-left:.6rem}.card{padding:.6rem .7rem}th,td{padding:.35rem .5rem}}
@media print{body{max-width:none;padding:0;font-size:11pt;background:#fff}
.card,.chart,tr{break-inside:avoid}h2{break-after:avoid}summary{cursor:auto}
.output{white-space:pre-wrap}
details.group::details-content{content-visibility:visible;display:block;block-size:auto}}
"""
#: The whole style sheet. In print it is always light.
STYLE = (
    f":root{{{_LIGHT}}}@media screen and (prefers-color-scheme:dark){{:root{{{_DARK}}}}}{_RULES}"
).replace("\n", "")

_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
#: Nothing is loaded or executed, and no other style applies.
POLICY = f"default-src 'none'; style-src 'sha256-{_HASH}'; base-uri 'none'; form-action 'none'"
