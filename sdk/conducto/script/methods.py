"""The functions of a script that can be called from the command line, and their help."""

# ruff: noqa: PLC0415
# imports wait until they are needed.

from __future__ import annotations

import sys

from conducto.inspection.annotations import node_type_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Mapping

    Method = Callable[..., Any]


def discover(variables: Mapping[str, Any]) -> Dict[str, Method]:
    """Return the methods among a script's names: callable, no class, no leading underscore.

    If there is ``__all__``, only the names in it count. ``List`` and other names of `typing` are
    left out.
    """
    listed = variables.get("__all__")
    return {
        name: value
        for name, value in variables.items()
        if not name.startswith("_")
        and (listed is None or name in listed)
        and callable(value)
        and not isinstance(value, type)
        and type(value).__module__ != "typing"
    }


def usage(program: str, methods: Mapping[str, Method]) -> str:
    """Return the text of ``--help``: methods, those that return pipelines first, and flags."""
    from conducto.script.flags import described

    lines = [f"usage: {program}  [-h] <method> [method arguments] [flags]"]
    pipelines = {name: m for name, m in methods.items() if node_type_of(m) is not None}
    others = {name: m for name, m in methods.items() if name not in pipelines}
    width = max((len(name) for name in methods), default=0)
    for title, group in (
        ("methods that return conducto pipelines:", pipelines),
        ("other methods:", others),
    ):
        if group:
            lines.append(title)
            lines.extend(_line(name, group[name], width) for name in group)
    if pipelines:
        lines += ["flags of methods that return pipelines:", described()]
    return "\n".join(lines)


def _line(name: str, method: Method, width: int) -> str:
    from conducto.tree.text import paint, wants_color

    colors = wants_color(sys.stderr)  # where main prints it
    text = "    {}{}  {}".format(
        paint(name, "blue", on=colors),
        " " * (width - len(name)),
        _signature(method),
    )
    doc = (getattr(method, "__doc__", None) or "").strip().split("\n")[0]
    return text + ("    " + doc if doc else "")


def _signature(method: Method) -> str:
    import inspect

    try:
        signature = inspect.signature(method)
    except (TypeError, ValueError):
        return "(...)"
    parts: List[str] = []
    for parameter in signature.parameters.values():
        text = str(parameter).partition(":")[0].partition("=")[0]
        if parameter.annotation is not parameter.empty:
            text += ":" + _type_name(parameter.annotation)
        if parameter.default is not parameter.empty:
            text += f"={parameter.default!r}"
        parts.append(text)
    returns = signature.return_annotation
    tail = "" if returns is signature.empty else " -> " + _type_name(returns)
    return "({}){}".format(", ".join(parts), tail)


def _type_name(annotation: Any) -> str:
    if isinstance(annotation, str):
        return annotation
    return str(getattr(annotation, "__name__", annotation))
