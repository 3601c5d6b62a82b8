"""JSON schemas of everything that goes over a wire or into a store, and the table of calls.

Prose is left out: a docstring may change freely, a field may not.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from typing import Any

from pydantic.json_schema import models_json_schema

import conducto_core
from conducto_core.api.operation import Operation
from conducto_core.record import Record

#: Files that hold records and operations.
LAYERS = {
    "model",
    "operations",
    "names",
    "operation",
    "cloud_operations",
    "history",
    "git_launch",
    "terminal",
}


def records() -> dict[str, type[Record]]:
    """Return ``{module.Name: model}`` of every record that `conducto_core` defines."""
    return {
        f"{module.__name__.rpartition('.')[2]}.{name}": kind
        for module in _modules()
        for name, kind in sorted(vars(module).items())
        if isinstance(kind, type)
        and issubclass(kind, Record)
        and kind is not Record
        and kind.__module__ == module.__name__
    }


def operations() -> dict[str, Operation[Any, Any, Any]]:
    """Return ``{name: call}`` of every call that `conducto_core` defines."""
    found = {
        one.name: one
        for module in _modules()
        for one in vars(module).values()
        if isinstance(one, Operation)
    }
    return dict(sorted(found.items()))


def wire_schemas() -> dict[str, Any]:
    """Return ``{"calls": {name: call}, "records": {name: schema}}``."""
    asked = [(kind, "validation") for kind in records().values()]
    _, schemas = models_json_schema(asked, ref_template="{model}")
    return {
        "calls": {
            name: {
                "method": call.method,
                "path": call.path,
                "params": call.params.__name__,
                "body": None if call.body is None else call.body.__name__,
                "response": call.response.__name__,
                "max_body": call.max_body,
                "link_class": call.link_class,
            }
            for name, call in operations().items()
        },
        "records": {name: without_prose(one) for name, one in schemas["$defs"].items()},
    }


def without_prose(schema: Any) -> Any:
    """Return a schema without titles and descriptions; properties of these names stay."""
    if isinstance(schema, list):
        return [without_prose(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    kept: dict[str, Any] = {}
    for key, value in schema.items():
        if key == "properties":
            kept[key] = {name: without_prose(one) for name, one in value.items()}
        elif key in ("default", "const", "enum", "examples"):
            kept[key] = value
        elif key not in ("title", "description"):
            kept[key] = without_prose(value)
    return kept


def _modules() -> Iterator[Any]:
    for info in pkgutil.walk_packages(conducto_core.__path__, "conducto_core."):
        if LAYERS & set(info.name.split(".")):
            yield importlib.import_module(info.name)
