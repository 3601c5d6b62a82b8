"""Writes the pages of ``docs/reference`` from the code: ``python docs/generate.py``.

Descriptions of parameters, commands and callbacks come from the signatures, docstrings and help
texts of the code. Other texts, such as how a value is inherited, are in `generate_texts`, in tables
that must have exactly the names of the code. ``--check`` writes nothing, and fails if a page
differs from the code.
"""

import argparse
import contextlib
import inspect
import io
import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import generate_texts as texts

import conducto as co
from conducto import callback
from conducto.script import flags
from conducto.tools import data_tools, notebook, profile, slack
from conducto.tree.image import UNRESOLVED
from conducto.tree.nodes import Node
from conducto.tree.parameters import INHERITED_DEFAULTS
from conducto.wire import fields, launching, limits, outputs, secret_names
from conducto.wire.result_order import MAX_RESULTS
from conducto_cli.app.exit import MEANINGS
from conducto_cli.app.parser import build_parser
from conducto_core.api.cloud_operations import MAX_CONTEXT
from conducto_core.assistants.rules.tools import TOOLS, Tool
from conducto_core.children.rules import MAX_CHILDREN, MAX_DEPTH
from conducto_core.results.outputs import MAX_ALL_POINTS, MAX_ARTIFACTS
from conducto_core.results.rules import MAX_INPUTS
from conducto_core.run.rules.outcomes import RETRIES
from conducto_core.workers.model import MAX_TREE

OPENAPI = Path(__file__).resolve().parents[1] / "tests/golden/openapi.json"
REFERENCE = Path(__file__).resolve().parent / "reference"
_HEAD = "<!-- Written by docs/generate.py from the code. Do not edit it here. -->"

#: As `conducto.wire.fields.parse_duration` knows them.
_UNITS = ("ns", "us", "ms", "s", "m", "h", "d", "w", "mm", "y")


# ---- parts ------------------------------------------------------------------------------------


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a markdown table."""
    names = list(head)
    lines = [names, ["---"] * len(names), *([*row] for row in rows)]
    return "\n".join("| {} |".format(" | ".join(line)) for line in lines)


def prose(text: str) -> str:
    """Return a docstring's words on one line, as markdown that a table can hold."""
    return " ".join(text.replace("``", "`").split()).replace("|", "\\|")


def described_attributes(kind: type) -> dict[str, str]:
    """Return ``{attribute: meaning}`` from the ``Attributes:`` section of a class's docstring."""
    lines = inspect.cleandoc(str(kind.__doc__)).splitlines()
    found: dict[str, str] = {}
    name = ""
    for line in lines[lines.index("Attributes:") + 1 :]:
        if line and not line.startswith(" "):
            break
        entry = re.match(r" {4}(\w+): (.*)", line)
        if entry is not None:
            name, found[entry[1]] = entry[1], entry[2]
        elif name:
            found[name] += f" {line}"
    return {key: prose(value) for key, value in found.items()}


def captured(call: Callable[[], object]) -> str:
    """Return the output of ``call``."""
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        call()
    return output.getvalue().strip()


def exactly(written: Mapping[str, Any], needed: Iterable[str], what: str) -> None:
    """Check that a table has exactly the names of the code.

    Raises:
        SystemExit: Names are missing or unknown.
    """
    missing, extra = set(needed) - set(written), set(written) - set(needed)
    if missing or extra:
        sys.exit(
            f"docs/generate_texts.py: {what}: missing {sorted(missing)}, unknown {sorted(extra)}"
        )


def keywords(function: Callable[..., object]) -> dict[str, inspect.Parameter]:
    """Return the parameters of a constructor but for ``self`` and catch-alls."""
    kinds = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    found = inspect.signature(function).parameters
    return {n: p for n, p in found.items() if n != "self" and p.kind not in kinds}


# ---- node parameters --------------------------------------------------------------------------


def node_parameters() -> str:
    """Return the page of the parameters of nodes and images."""
    shared, serial = keywords(Node.__init__), keywords(co.Serial.__init__)
    exactly(texts.INHERITANCE, {*shared, *serial}, "INHERITANCE")
    rows = [_node_row(name, shared, serial) for name in sorted(texts.INHERITANCE)]
    head = ("Parameter", "Default", "On", "Inherited", "Meaning")
    return "\n\n".join(
        [texts.NODE_INTRODUCTION, table(head, rows), _DETAILS, _durations(), _images()]
    )


def _node_row(
    name: str, shared: Mapping[str, inspect.Parameter], serial: Mapping[str, inspect.Parameter]
) -> list[str]:
    parameter = shared[name] if name in shared else serial[name]
    return [
        f"`{name}`",
        _default(name, parameter),
        _kinds(name, shared),
        texts.INHERITANCE[name],
        _meaning(name),
    ]


def _default(name: str, parameter: inspect.Parameter) -> str:
    value = INHERITED_DEFAULTS.get(name, parameter.default)
    return f"`{value!r}`"


def _kinds(name: str, shared: Mapping[str, object]) -> str:
    if name == "max_concurrent":
        return "Serial, Parallel"
    return "all" if name in shared else "Serial"


def _meaning(name: str) -> str:
    attributes = {**described_attributes(Node), **described_attributes(co.Serial), **texts.MEANINGS}
    if name in attributes:
        return attributes[name]
    return prose(str(getattr(Node, name).__doc__).split("\n\n", maxsplit=1)[0])


_DETAILS = f"""Values are checked when the tree is printed or launched, and errors name the node:

- `cpu` and `mem` are numbers above 0; fractions are fine. `mem` is in GB (2**30 bytes). Sizes that
  are larger than the machine are refused at launch.
- `gpu` is a whole number from 0 to 16.
- `env` contains strings: `{{"NAME": "value"}}`. Write numbers as strings.
- `max_concurrent` is a whole number of at least 1.
- `docker_run_args` are flags of `docker run`, as a list or one string. {", ".join(f"`{a}`" for a in fields.FORBIDDEN_DOCKER_ARGS)}
  are refused: use `cpu` and `mem`; the nodes of a pipeline share their own network. The profile of
  `--security-opt seccomp=FILE` is read when the pipeline is launched.
- A command can have up to {limits.MAX_COMMAND_BYTES // 2**20} MB and no NUL character.
- `container_reuse_context` is `co.ContainerReuseContext.NEW` (`{fields.NEW!r}`), `.GLOBAL`
  (`{fields.GLOBAL!r}`) or `None`. The older `co.SameContainer.NEW` and `.ESCAPE` mean the same."""  # noqa: E501


def _durations() -> str:
    rows = [[f"`{unit}`", f"{fields.parse_duration('1' + unit):.10g}"] for unit in _UNITS]
    return f"""## Durations

`max_time` is a number of seconds, or a string of numbers and units without blanks: `"90s"`,
`"1h30m"`, `"1.5d"`. The default is {fields.DEFAULT_MAX_TIME / 3600:g} hours for each Exec.

{table(("Unit", "Seconds"), rows)}"""


def _images() -> str:
    meanings = described_attributes(co.Image)
    meanings["name"] = "Name for `image_name=`; by default made from the definition."
    older = [name for name in UNRESOLVED if name.startswith("reqs_")]
    parameters = {n: p for n, p in keywords(co.Image.__init__).items() if n not in older}
    exactly(meanings, parameters, "attributes of Image")
    rows = [[f"`{n}`", f"`{p.default!r}`", meanings[n]] for n, p in parameters.items()]
    names = ", ".join(f"`{name}`" for name in older)
    return f"""## Images

`co.Image(image=None, *, ...)`. See [images](../concepts/images.md).

{table(("Parameter", "Default", "Meaning"), rows)}

{names} are older names of the
`install_*` parameters. `co.Image.AUTO` is `{co.Image.AUTO!r}`: bash if the image has it, else ash,
zsh, sh."""


# ---- callbacks --------------------------------------------------------------------------------


def callbacks() -> str:
    """Return the page of the callbacks."""
    made = {
        name: value
        for name, value in vars(callback).items()
        if inspect.isfunction(value) and not name.startswith("_")
    }
    del made["deserialize_into_node"]
    decide = [_callback(n, f) for n, f in made.items() if n in RETRIES]
    tell = [_callback(n, f) for n, f in made.items() if n not in RETRIES]
    return "\n\n".join([texts.CALLBACKS_HEAD, *decide, texts.CALLBACKS_TELL, *tell])


def _callback(name: str, function: Callable[..., object]) -> str:
    signature = ", ".join(
        str(p).partition(":")[0] + ("" if p.default is p.empty else f"={p.default!r}")
        for p in inspect.signature(function).parameters.values()
        if p.name not in {"inherited", "user_display"}
    )
    text = inspect.cleandoc(str(function.__doc__)).replace("Return a callback", "A callback", 1)
    return f"### co.callback.{name}\n\n`co.callback.{name}({signature})`\n\n{_sections(text)}"


def _sections(text: str) -> str:
    """Return a docstring as markdown: its arguments become a list."""
    words, _, arguments = text.partition("\nArgs:\n")
    lines = [
        f"- `{name}`: {prose(meaning)}"
        for name, meaning in re.findall(r"^ {4}(\w+): (.*(?:\n {8}.*)*)", arguments, re.MULTILINE)
        if name not in {"inherited", "user_display"}
    ]
    paragraphs = [prose(paragraph) for paragraph in words.split("\n\n")]
    return "\n\n".join([*paragraphs, *(["\n".join(lines)] if lines else [])])


# ---- the command line -------------------------------------------------------------------------


def command_line() -> str:
    """Return the page of the commands and of a script's own flags."""
    parser = build_parser()
    verbs = next(a for a in parser._actions if isinstance(a, argparse._SubParsersAction))  # noqa: SLF001
    summaries = {choice.dest: str(choice.help) for choice in verbs._choices_actions}  # noqa: SLF001
    rows = [[f"[`conducto {name}`](#conducto-{name})", summaries[name]] for name in verbs.choices]
    parts = [
        texts.CLI_HEAD,
        _script_flags(),
        "## The conducto command",
        table(("Command", "Effect"), rows),
        texts.CLI_NOTES,
        texts.CLI_OPTIONS,
        "\n".join(_options(parser)),
        *(_verb(name, verb) for name, verb in verbs.choices.items()),
        _tools(),
        texts.EXIT_CODES,
        table(("Code", "Meaning"), [[str(code), said] for code, said in MEANINGS.items()]),
    ]
    return "\n\n".join(parts)


def _script_flags() -> str:
    rows = [
        [f"`{'--' + name.replace('_', '-')} {value}".strip().replace("|", "\\|") + "`", meaning]
        for name, (value, meaning) in flags.FLAGS.items()
    ]
    return table(("Flag", "Meaning"), rows)


def _verb(name: str, parser: argparse.ArgumentParser) -> str:
    shown = [a for a in parser._actions if a.help != argparse.SUPPRESS]  # noqa: SLF001
    positional = [a for a in shown if not a.option_strings]
    inner = [a for a in positional if isinstance(a, argparse._SubParsersAction)]  # noqa: SLF001
    usage = parser.usage or " ".join(["conducto", name, *map(_usage_word, positional)])
    options = list(_options(parser))
    lines = [f"### conducto {name}", f"`{usage}`", prose(str(parser.description))]
    below = (_verb(f"{name} {each}", p) for one in inner for each, p in one.choices.items())
    return "\n\n".join([*lines, *(["\n".join(options)] if options else []), *below])


def _usage_word(action: argparse.Action) -> str:
    shown = str(action.metavar) if action.choices is None else "|".join(action.choices)
    forms = {None: shown, "?": f"[{shown}]", "*": f"[{shown} ...]", "+": f"{shown} [{shown} ...]"}
    forms[argparse.PARSER] = f"{shown} ..."
    return forms[action.nargs if isinstance(action.nargs, str) else None]


def _options(parser: argparse.ArgumentParser) -> Iterator[str]:
    for action in parser._actions:  # noqa: SLF001
        if not action.option_strings or action.dest == "help":
            continue
        value = f" {_value_of(action)}".rstrip()
        names = ", ".join(f"`{name}{value}`" for name in action.option_strings)
        yield f"- {names}: {prose(action.help)}" if action.help is not None else f"- {names}"


def _value_of(action: argparse.Action) -> str:
    if action.metavar is not None:
        return str(action.metavar)
    return "|".join(filter(None, action.choices)) if action.choices is not None else ""


def _tools() -> str:
    usages = {
        "conducto-data-pipeline": captured(lambda: data_tools.pipeline(["--help"])),
        "conducto-data-user": captured(lambda: data_tools.user(["--help"])),
        "conducto-notebook": captured(lambda: notebook.main(["--help"])),
        "conducto-profile": captured(lambda: profile.main(["--help"])),
        "conducto-slack": captured(lambda: slack.main(["--help"])),
    }
    blocks = [
        f"### {name}\n\n{texts.TOOLS[name]}\n\n```\n{text}\n```" for name, text in usages.items()
    ]
    return "\n\n".join(["## The small tools", *blocks])


# ---- limits -----------------------------------------------------------------------------------


def tree_limits() -> str:
    """Return the page of the limits of trees, secrets and images."""
    values = {name: value for name, value in vars(limits).items() if name.startswith("MAX_")}
    exactly(texts.TREE_LIMITS, values, "TREE_LIMITS")
    rows = [[of, where, f"{values[n]:,}"] for n, (where, of) in texts.TREE_LIMITS.items()]
    others = [
        ["Bytes of the tree that a Lazy prints", f"{MAX_TREE:,}"],
        ["Bytes of a result", f"{outputs.MAX_RESULT:,}"],
        ["Results that one Exec uses", f"{MAX_RESULTS:,}"],
        ["Bytes of the results that one Exec uses", f"{MAX_INPUTS:,}"],
        ["Metrics of an attempt", f"{outputs.MAX_METRIC_NAMES:,}"],
        ["Points of a metric of an attempt, before they are thinned", f"{outputs.MAX_POINTS:,}"],
        ["Points of all metrics of an attempt", f"{MAX_ALL_POINTS:,}"],
        ["Artifacts of an attempt", f"{MAX_ARTIFACTS:,}"],
        ["Pipelines above one that a command launches", f"{MAX_DEPTH:,}"],
        ["Pipelines that an attempt launches", f"{MAX_CHILDREN:,}"],
        ["Bytes of a pipeline that a command launches, as a request", f"{launching.MAX_BODY:,}"],
        ["Bytes of a secret", f"{secret_names.MAX_VALUE:,}"],
        ["Bytes of all secrets together", f"{secret_names.MAX_TOTAL:,}"],
        ["Bytes of a directory that an image of the cloud is built from", f"{MAX_CONTEXT:,}"],
    ]
    return "\n\n".join(
        [
            texts.LIMITS_HEAD,
            table(("Limit", "Target", "Maximum"), rows),
            "## Other limits",
            table(("Limit", "Maximum"), others),
            texts.LIMITS_REST,
        ]
    )


# ---- the API ---------------------------------------------------------------------------------


def http_api() -> str:
    """Return the page of all operations of the API, from its OpenAPI document."""
    document = json.loads(OPENAPI.read_text(encoding="utf-8"))
    groups: dict[str, list[str]] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            groups.setdefault(path.split("/")[1], []).append(_operation(method, path, operation))
    parts = [f"## {name}\n\n" + "\n\n".join(found) for name, found in groups.items()]
    return "\n\n".join([texts.HTTP_API_HEAD, *parts])


def _operation(method: str, path: str, operation: Mapping[str, Any]) -> str:
    permission = operation.get("x-permission")
    needs = f" Permission: `{permission}`." if permission else ""
    lines = [
        f"- `{one['name']}` ({one['in']}{', required' if one.get('required') else ''}): "
        f"{_schema(one['schema'])}"
        for one in operation.get("parameters", ())
    ]
    body = operation.get("requestBody", {}).get("content", {})
    lines += [f"- body: {_schema(one.get('schema', {}))}" for one in body.values()]
    for status, response in operation["responses"].items():
        kinds = [_schema(one.get("schema", {})) for one in response.get("content", {}).values()]
        if status != "default":
            lines.append(f"- {status}: {', '.join(kinds) or response['description']}")
    summary = prose(operation.get("summary", ""))
    return f"### {method.upper()} {path}\n\n{summary}{needs}\n\n" + "\n".join(lines)


def _schema(schema: Mapping[str, Any]) -> str:
    """Return a schema in a few words."""
    if "$ref" in schema:
        return f"`{schema['$ref'].rpartition('/')[2]}`"
    either = [_schema(one) for key in ("anyOf", "oneOf", "allOf") for one in schema.get(key, ())]
    if either:
        return " or ".join(either)
    if "enum" in schema:
        return " or ".join(f"`{value}`" for value in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_schema(schema.get('items', {}))}"
    return str(schema.get("type", "anything")).replace("null", "nothing")


# ---- writing ----------------------------------------------------------------------------------


def assistant_tools() -> str:
    """Return the page with the tools of assistants."""
    parts = [
        "# Tools of assistants",
        "",
        _ABOUT_TOOLS,
    ]
    for tool in TOOLS:
        acts = "; acts" if tool.acts else ""
        parts += ["", f"## `{tool.name}`", "", f"{tool.text} Scope: `{tool.scope}`{acts}.", ""]
        rows = [_argument(name, schema, tool) for name, schema in tool.properties.items()]
        parts.append(table(["Argument", "Type", "Description"], rows))
    return "\n".join(parts) + "\n"


def _argument(name: str, schema: Mapping[str, Any], tool: Tool) -> list[str]:
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    kind = " or ".join(kinds)
    if "enum" in schema:
        kind = ", ".join(f"`{one}`" for one in schema["enum"])
    bounds = [f"{word} {schema[key]}" for word, key in _BOUNDS if key in schema]
    words = [schema.get("description", ""), *bounds]
    needed = "required" if name in tool.required else ""
    return [f"`{name}`", kind, ", ".join(one for one in (needed, *words) if one) or "-"]


_ABOUT_TOOLS = (
    "The tools that `conducto mcp` and `/mcp` offer to [coding assistants](../assistants.md). A "
    "tool that acts returns its effect and a token at first; the same call with `token` acts."
)
#: Words for the limits of arguments.
_BOUNDS = (
    ("default", "default"),
    ("from", "minimum"),
    ("to", "maximum"),
    ("at most", "maxItems"),
)

PAGES: dict[str, Callable[[], str]] = {
    "callbacks.md": callbacks,
    "cli.md": command_line,
    "http-api.md": http_api,
    "limits.md": tree_limits,
    "assistants.md": assistant_tools,
    "node-parameters.md": node_parameters,
}


def text_of(name: str) -> str:
    """Return a page as it must be on disk."""
    head, _, rest = PAGES[name]().partition("\n")
    return f"{head}\n\n{_HEAD}\n{rest}\n"


def main(arguments: list[str]) -> int:
    """Write all pages, or check them; return the exit code."""
    stale = [name for name in PAGES if on_disk(name) != text_of(name)]
    for name in stale:
        if "--check" in arguments:
            sys.stderr.write(f"docs/reference/{name} is out of date: python docs/generate.py\n")
        else:
            (REFERENCE / name).write_text(text_of(name), encoding="utf-8")
    return int(bool(stale) and "--check" in arguments)


def on_disk(name: str) -> str | None:
    """Return a page as it is, or None where it is not."""
    page = REFERENCE / name
    return page.read_text(encoding="utf-8") if page.is_file() else None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
