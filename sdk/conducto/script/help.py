"""The text of ``--help``: methods with their parameters, and the flags in groups."""

from __future__ import annotations

import contextlib
import shutil
import sys
import textwrap

from conducto.inspection.codecs.base import CodecError
from conducto.inspection.docstrings import parse
from conducto.inspection.signatures import node_type_of, returns_of, signature_of, unwrapped
from conducto.script.flags import described
from conducto.tree.text import paint, unindent, wants_color

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, List, Mapping, Optional, Tuple

    from conducto.inspection.signatures import Parameter, Signature

    Method = Callable[..., Any]

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
