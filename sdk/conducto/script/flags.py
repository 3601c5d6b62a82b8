"""Conducto's own flags on the command line of a script."""

# ruff: noqa: PLC0415
from __future__ import annotations

import contextlib
import shutil
import sys
import textwrap

from conducto.errors import UsageError
from conducto.inspection.codecs.base import CodecError
from conducto.inspection.docstrings import parse
from conducto.inspection.signatures import node_type_of, returns_of, signature_of, unwrapped
from conducto.script.arguments import underscored
from conducto.tree.text import paint, unindent, wants_color
from conducto.wire.fields import check_amount

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple

    from conducto.inspection.signatures import Parameter, Signature
    from conducto.script.arguments import Words
# imports wait until they are needed.

#: ``{group: {flag, with underscores: (value or "", meaning)}}``, as ``--help`` lists them.
GROUPS = {
    "target": {
        "local": ("", "Launch on this machine."),
        "cloud": ("", "Launch in the cloud installation that you are logged in to."),
        "k8s": ("", "Launch in Kubernetes; not available yet."),
        "profile": ("NAME", "The profile to use."),
        "engine": ("docker|process", "process runs plain processes: no images, no isolation."),
        "build": ("local|cloud", "Where images for the cloud are built; the cloud by default."),
    },
    "run and retention": {
        "run": ("", "Start at once and stay until the pipeline settles. Needs --local or --cloud."),
        "detach": ("", "With --run: return at once."),
        "run_at": (
            "TIME",
            "Start automatically at a time: 18:30, 2030-01-31T18:30 or epoch seconds.",
        ),
        "sleep_when_done": ("", "Put it to sleep once its root is done."),
        "no_cache": ("", "Run commands with a cache in any case, and store what they return."),
        "secret_set": ("NAME", "Set of secrets that the commands get, besides those without one."),
        "budget": ("DOLLARS", "Maximum cost of the pipeline in the cloud."),
        "retention": (
            "DAYS",
            "Days without activity until it is archived; after as many more, deleted. 0: never.",
        ),
        "snapshot_on_error": (
            "",
            "Keep the container files of a failed command, for conducto debug.",
        ),
    },
    "title, description and tags": {
        "title": ("TEXT", "Title of the pipeline; the command line by default."),
        "doc": ("TEXT", "Description of the pipeline, markdown."),
        "default_doc": ("TEXT", "Description where the root has none."),
        "tags": ("A,B", "Tags of the pipeline."),
    },
    "continue a pipeline with a changed script": {
        "into": ("ID", "Replace the tree of this pipeline; commands that are unchanged stay done."),
        "pipeline_id": ("ID", "The same, for older scripts."),
        "fresh": ("", "With --into: keep no results, run every command again."),
        "keep_secrets": ("", "With --into: keep commands that differ only in their secrets."),
        "yes": ("", "With --into: do not ask for a confirmation."),
    },
    "partitions": {
        "backfill": (
            "FROM..TO",
            "One pipeline over these partitions; FROM and TO may be left out: 2026-11-01..",
        ),
        "backfill_only": ("missing|failed|stale", "Only the partitions in this state."),
        "max_concurrent": ("N", "Maximum commands of the backfill at once; 10 by default."),
    },
    "output": {
        "plan": (
            "",
            "Print cost in the cloud and commands from the cache, or with --into those to run.",
        ),
        "plain": ("", "Print lines instead of the live view, even on a terminal."),
        "stream": ("", "Print the output of all nodes as it comes; the default where CI is set."),
        "no_stream": ("", "Do not print the output of nodes."),
        "junit": ("FILE", "Write the results as JUnit XML to a file at the end."),
        "app": (
            "",
            "Open the pipeline's page in a browser; so does show_app in the configuration.",
        ),
        "no_app": ("", "Do not open the web app."),
        "shell": ("", "Accepted for older scripts, no effect."),
        "no_shell": ("", "Accepted for older scripts, no effect."),
        "public": ("", "Show it to anyone with the link; no effect on this machine."),
    },
}
FLAGS = {name: flag for group in GROUPS.values() for name, flag in group.items()}
SWITCHES = frozenset(name for name, (value, _) in FLAGS.items() if not value)
VALUES = frozenset(FLAGS) - SWITCHES
NAMES = tuple("--" + name.replace("_", "-") for name in sorted(SWITCHES | VALUES))
#: Begins the spelling ``--conducto.run``, which no parameter of a method can have.
PREFIX = "conducto."
#: Targets of a launch; the first one given applies.
_MODES = ("local", "k8s", "cloud")
#: Flags of older scripts, and flags that have an effect without a launch.
_OF_PRINTING = frozenset(
    [
        *("title", "doc", "default_doc", "profile", "plan", "no_app", "no_shell"),
        *("backfill", "backfill_only", "max_concurrent"),
    ]
)
#: Flags that have an effect only together with ``--into``.
_OF_INTO = ("fresh", "keep_secrets", "yes")
#: Commands of a backfill at once.
MAX_CONCURRENT = 10
ENGINES = ("docker", "process")
#: States of the partitions of a backfill.
STATES = ("missing", "failed", "stale")
#: Places to build images for the cloud.
BUILDS = ("local", "cloud")


def plain_name(name: str) -> str:
    """Return the name of a flag, with underscores, for ``--name`` in any spelling."""
    return underscored(name[len(PREFIX) :] if name.startswith(PREFIX) else name)  # noqa: FURB188 (of Python 3.9)


def described() -> str:
    """Return the lines of ``--help`` about the flags, in groups."""
    forms = {
        name: "--{} {}".format(name.replace("_", "-"), value).strip()
        for name, (value, _) in FLAGS.items()
    }
    width = max(map(len, forms.values()))
    lines = []
    for title, group in GROUPS.items():
        lines.append(f"  {title}:")
        lines += [f"    {forms[name]:<{width}}  {meaning}" for name, (_, meaning) in group.items()]
    return "\n".join(lines)


class Flags:
    """The flags that were given.

    Attributes:
        given: ``{flag with underscores: text, or True for a switch}``.
    """

    def __init__(self) -> None:
        self.given: Dict[str, Any] = {}

    def knows(self, name: str, *, pipeline: bool) -> bool:
        """Return whether ``--name`` is a flag; without a pipeline, only --profile is."""
        plain = plain_name(name)
        return plain == "profile" or (pipeline and (plain in SWITCHES or plain in VALUES))

    def consume(self, name: str, value: Optional[str], words: Words) -> None:
        """Accept ``--name`` or ``--name=value``.

        Raises:
            UsageError: a switch with a value, or a flag without its value.
        """
        plain = plain_name(name)
        if plain in VALUES:
            self.given[plain] = words.value(name) if value is None else value
        elif value is not None:
            raise UsageError(f"--{name} accepts no arguments, but got: {value!r}")
        else:
            self.given[plain] = True

    def get(self, name: str) -> Any:
        """Return the text of a flag, True for a switch, or None."""
        return self.given.get(name)

    def mode(self) -> Optional[str]:
        """Return the target: ``local``, ``k8s``, ``cloud``, or None to print the tree."""
        default = None if self.into() is None else "local"
        return next((name for name in _MODES if name in self.given), default)

    def into(self) -> Optional[str]:
        """Return the pipeline to continue, or None."""
        return self.given.get("into", self.given.get("pipeline_id"))

    def check_target(self) -> None:
        """Check that a start that was requested has a target.

        Raises:
            UsageError: nothing would start.
        """
        starts = [name for name in ("run", "run_at") if self._on(name)]
        if starts and self.mode() is None:
            name = starts[0].replace("_", "-")
            raise UsageError(
                f"--{name} needs a target, and nothing was run: add --local or --cloud"
            )

    def reports(self) -> bool:
        """Return whether a JUnit report is written at the end of the run."""
        stays = self._on("run") and not self._on("detach") and not self._on("plan")
        return stays and self._on("junit") and self.mode() is not None

    def ignored(self) -> List[str]:
        """Return a sentence for each given flag that has no effect with the others."""
        mode = self.mode()
        if mode is None:
            return self._ignored_in_print()
        passed_over = [name for name in _MODES if name in self.given and name != mode]
        texts = [f"--{name} is ignored: --{mode} takes precedence" for name in passed_over]
        if "run" in self.given and "run_at" in self.given:
            texts.append("--run-at is ignored: --run starts the pipeline now")
        if self.into() is None:
            unused = [name.replace("_", "-") for name in _OF_INTO if self._on(name)]
            texts += [f"--{name} is ignored without --into" for name in unused]
        elif "engine" in self.given:
            texts.append("--engine is ignored: a pipeline keeps its engine")
        if "shell" in self.given:
            texts.append("--shell is ignored: the live view takes its place")
        if "public" in self.given:
            texts.append("--public is ignored: there are no public links yet")
        if mode == "cloud" and self._choice("app"):
            texts.append("--app is ignored with --cloud; open the page with conducto show ID --app")
        return texts

    def _ignored_in_print(self) -> List[str]:
        names = [name for name in self.given if name not in _OF_PRINTING]
        flags = ", ".join("--" + name.replace("_", "-") for name in names)
        if not names:
            return []
        verb = "has" if len(names) == 1 else "have"
        return [f"{flags} {verb} no effect without --local or --cloud; the tree is only printed"]

    def fields(self) -> Dict[str, Any]:
        """Return the fields of `LaunchOptions` that the flags set.

        Raises:
            UsageError: a value is invalid.
        """
        return {
            "run": self._on("run"),
            "detach": self._on("detach"),
            "run_at": _moment(self.get("run_at")),
            "sleep_when_done": self._on("sleep_when_done"),
            "no_cache": self._on("no_cache"),
            "secret_set": self.get("secret_set"),
            "tags": _tags(self.get("tags")),
            "retention": _retention(self.get("retention")),
            "engine": _one_of("engine", ENGINES, self.get("engine")),
            "build": _one_of("build", BUILDS, self.get("build")),
            "plain": self._on("plain"),
            "stream": self._choice("stream"),
            "junit": self.get("junit"),
            "shell": self._choice("shell"),
            "app": self._choice("app"),
            "public": self._on("public"),
            "snapshot_on_error": self._on("snapshot_on_error"),
            "into": self.into(),
            "fresh": self._on("fresh"),
            "keep_secrets": self._on("keep_secrets"),
            "yes": self._on("yes"),
            "plan": self._on("plan"),
            "profile": self.get("profile"),
            "k8s": self.mode() == "k8s",
        }

    def dollars(self, name: str) -> float:
        """Return the value of a flag in dollars.

        Raises:
            UsageError: the value is not a number above 0.
        """
        text = self.get(name)
        try:
            return check_amount("--" + name, float(text or ""))
        except ValueError as error:
            raise UsageError(f"--{name} must be dollars above 0, got {text!r}") from error

    def backfill_only(self) -> Optional[str]:
        """Return the state of the partitions that a backfill runs; None for all.

        Raises:
            UsageError: the state is unknown, or --backfill is missing.
        """
        return _one_of("backfill-only", STATES, self._of_backfill("backfill_only"))

    def max_concurrent(self) -> int:
        """Return the maximum number of commands of a backfill at once.

        Raises:
            UsageError: it is not a number above 0, or --backfill is missing.
        """
        text = self._of_backfill("max_concurrent")
        if text is None:
            return MAX_CONCURRENT
        if not text.isdigit() or int(text) < 1:
            raise UsageError(f"--max-concurrent must be a number from 1 on, got {text!r}")
        return int(text)

    def _of_backfill(self, name: str) -> Optional[str]:
        text: Optional[str] = self.get(name)
        if text is not None and self.get("backfill") is None:
            flag = name.replace("_", "-")
            raise UsageError(f"--{flag} is for a backfill; add --backfill FROM..TO")
        return text

    def _on(self, name: str) -> bool:
        return name in self.given

    def _choice(self, name: str) -> Optional[bool]:
        """Return the last one of ``--name`` (True) and ``--no-name`` (False), or None."""
        last = [flag for flag in self.given if flag in (name, "no_" + name)]
        return last[-1] == name if last else None


def _tags(text: Optional[str]) -> Any:
    return None if text is None else [tag.strip() for tag in text.split(",") if tag.strip()]


def _retention(text: Optional[str]) -> Optional[int]:
    if text is None:
        return None
    if not text.isdigit():
        raise UsageError(f"--retention must be a number of days, or 0 for no limit, got {text!r}")
    return int(text)


def _one_of(name: str, known: Tuple[str, ...], text: Optional[str]) -> Optional[str]:
    if text is not None and text not in known:
        raise UsageError("--{} must be one of {}, got {!r}".format(name, ", ".join(known), text))
    return text


def _moment(text: Optional[str]) -> Optional[float]:
    """Return seconds since the epoch for an ISO date and time, a time of day or a number."""
    if text is None:
        return None
    import datetime as dt

    try:
        return float(text)
    except ValueError:
        pass
    now = dt.datetime.now().astimezone()
    try:
        if len(text) <= len("HH:MM:SS"):
            clock = dt.time.fromisoformat(text)
            moment = dt.datetime.combine(now.date(), clock).astimezone()
            return (moment if moment > now else moment + dt.timedelta(days=1)).timestamp()
        return dt.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()  # noqa: FURB162 (3.8 too)
    except ValueError as error:
        raise UsageError(
            f"--run-at must be a time such as 18:30 or 2030-01-31T18:30, got {text!r}"
        ) from error


# ----------------------------------------------------------------------------------------
# The text of ``--help``: methods with their parameters, and the flags in groups.


_WIDTH = 100  # maximum width of a line
_FORM = 30  # maximum width of a parameter's form that has its description beside it
_MARGIN = 8
_SPELLING = "  if a parameter has the name of a flag, the flag is --conducto.NAME: --conducto.run"


def usage(
    program: str, methods: Mapping[str, Method], default: Optional[Method], only: Optional[str]
) -> str:
    """Return the help of a script, or of its method ``only``."""
    shown = {name: method for name, method in methods.items() if only in (None, name)}
    lines = [f"usage: {program}  [-h] <method> [method arguments] [flags]"]
    if default is not None:
        name = getattr(default, "__name__", "main")
        lines.append(f"       {program}  [arguments of {name}] [flags]")
    if only is None:
        lines.append(f"       {program}  <method> --help")
    pipelines = {name: m for name, m in shown.items() if node_type_of(m) is not None}
    others = {name: m for name, m in shown.items() if name not in pipelines}
    for title, group in (
        ("methods that return conducto pipelines:", pipelines),
        ("other methods:", others),
    ):
        if group:
            lines += ["", title]
        for name, method in group.items():
            lines += _method(name, method, is_default=method is default, whole=only is not None)
    if pipelines:
        lines += ["", "flags of methods that return pipelines:", described(), "", _SPELLING]
    return "\n".join(lines)


def _method(name: str, method: Method, *, is_default: bool, whole: bool) -> List[str]:
    """Return the lines about a method; ``whole``: with all of its docstring's text."""
    doc = getattr(unwrapped(method), "__doc__", None) or ""
    text, descriptions = parse(unindent(doc).strip())
    painted = paint(name, "blue", on=wants_color(sys.stderr))  # where main prints it
    returns = "" if (kind := _returns(method)) is None else f" -> {kind}"
    lines = [f"    {painted}{returns}{'  (default)' if is_default else ''}"]
    paragraphs = text.split("\n") if whole else text.split("\n\n")[0].split("\n")
    lines += [f"      {line}".rstrip() for line in paragraphs if whole or line.strip()]
    try:
        signature = signature_of(method)
    except (TypeError, ValueError):
        return [*lines, _MARGIN * " " + "(...)"]
    return lines + _parameters(signature, descriptions)


def _returns(method: Method) -> Optional[str]:
    annotation = returns_of(method)
    return None if annotation is None else str(getattr(annotation, "__name__", annotation))


def _parameters(signature: Signature, descriptions: Mapping[str, str]) -> List[str]:
    rows = [
        (_form(parameter), _meaning(parameter, descriptions.get(name, "")))
        for name, parameter in signature.parameters.items()
    ]
    for kind, (form, meaning) in _REST.items():
        parameter = signature.rest.get(kind)
        if parameter is not None:
            text = descriptions.get(parameter.name, "")
            rows.append((form.format(_type(parameter)), f"{text} {meaning}".strip()))
    width = max((len(form) for form, _ in rows if len(form) <= _FORM), default=0)
    return [line for row in rows for line in _row(row, width)]


_REST = {
    "VAR_POSITIONAL": ("{} ...", "[any number]"),
    "VAR_KEYWORD": ("--NAME {}", "[any other name]"),
}


def _row(row: Tuple[str, str], width: int) -> List[str]:
    form, text = row
    columns = min(shutil.get_terminal_size((_WIDTH, 24)).columns, _WIDTH)
    indent = " " * (_MARGIN + width + 2)
    wrapped = textwrap.wrap(text, max(columns - len(indent), 30), break_on_hyphens=False) or [""]
    first = f"{'':{_MARGIN}}{form:<{width}}"
    if len(form) > width:
        return [first, *(indent + line for line in wrapped if line)]
    return [f"{first}  {wrapped[0]}".rstrip(), *(indent + line for line in wrapped[1:])]


def _type(parameter: Parameter) -> str:
    try:
        return parameter.codec.help
    except TypeError:  # values cannot be passed: the default is always used
        return str(getattr(parameter.annotation, "__name__", parameter.annotation))


def _form(parameter: Parameter) -> str:
    name = parameter.name.replace("_", "-")
    try:
        is_flag = parameter.codec.is_flag
    except TypeError:
        is_flag = False
    return f"--{name}, --no-{name}" if is_flag else f"--{name} {_type(parameter)}"


def _meaning(parameter: Parameter, text: str) -> str:
    with contextlib.suppress(TypeError):  # as in _type
        text = f"{text} {parameter.codec.details()}".strip()
    if not parameter.has_default:
        return f"{text} [required]".strip()
    default = _default(parameter)
    mark = "[optional]" if default.startswith("<") else f"[default: {default}]"
    return f"{text} {mark}".strip()


def _default(parameter: Parameter) -> str:
    """Return the default as it is written on a command line."""
    value = parameter.default
    try:
        if parameter.codec.is_flag and value is not None:
            return "--{}{}".format("" if value else "no-", parameter.name.replace("_", "-"))
        return "None" if value is None else (parameter.codec.encode(value) or "''")
    except (CodecError, TypeError):
        return repr(value)


if TYPE_CHECKING:
    Method = Callable[..., Any]
