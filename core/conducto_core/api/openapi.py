"""The API's OpenAPI 3.1 document, generated from the operations and the models.

``python -m conducto_core.api.openapi`` prints it.
"""

import json
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic.json_schema import models_json_schema

from conducto_core.api.common_operations import OPERATIONS
from conducto_core.api.downloads import OCTETS
from conducto_core.api.operation import (
    API_ROOT,
    IDEMPOTENCY_KEY,
    MAX_IDEMPOTENCY_KEY,
    AnyOperation,
    Bytes,
)
from conducto_core.api.problems import MEDIA_TYPE
from conducto_core.debug.terminal import CLIENT_TEXTS, SERVER_TEXTS
from conducto_core.run.model.requests import Problem

API_VERSION = "1"
_REF = "#/components/schemas/{model}"
_JSON = "application/json"
_BYTES = {"type": "string", "format": "binary"}

#: ``{(model, mode): reference to its schema}``
_Refs = Mapping[Any, dict[str, Any]]


def openapi_document(operations: Iterable[AnyOperation] = OPERATIONS) -> dict[str, Any]:
    """Return the document as JSON values.

    Streams, which OpenAPI does not cover, are under ``x-streams`` in the form of paths, and the
    messages of a debug shell's terminal under ``x-terminal``.
    """
    table = tuple(operations)
    refs, definitions = models_json_schema(_models(table), ref_template=_REF)
    paths: dict[str, dict[str, Any]] = {}
    streams: dict[str, dict[str, Any]] = {}
    for operation in table:
        if operation.is_stream:
            streams[operation.path] = _operation(operation, refs)
        else:
            methods = paths.setdefault(operation.path, {})
            methods[operation.method.lower()] = _operation(operation, refs)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Conducto", "version": API_VERSION},
        "servers": [{"url": API_ROOT}],
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "schemas": definitions["$defs"],
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "x-streams": streams,
        "x-terminal": {
            "client": [refs[record, "validation"] for record in CLIENT_TEXTS],
            "server": [refs[record, "serialization"] for record in SERVER_TEXTS],
        },
    }


def _models(operations: Iterable[AnyOperation]) -> list[Any]:
    found: dict[Any, None] = {(Problem, "serialization"): None}
    found |= dict.fromkeys((record, "validation") for record in CLIENT_TEXTS)
    found |= dict.fromkeys((record, "serialization") for record in SERVER_TEXTS)
    for operation in operations:
        if operation.response is not Bytes:
            found[operation.response, "serialization"] = None
        if operation.body not in (None, Bytes):
            found[operation.body, "validation"] = None
    return list(found)


def _operation(operation: AnyOperation, refs: _Refs) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.summary,
        "parameters": [*_parameters(operation), *_headers(operation)],
        "responses": {
            **_responses(operation, refs),
            "default": _content("a problem", MEDIA_TYPE, refs[Problem, "serialization"]),
        },
        "x-permission": operation.permission,
    }
    if operation.body is not None:
        described["requestBody"] = {
            "required": True,
            "content": _body(operation, refs),
            "x-max-bytes": operation.max_body,
        }
    return described


def _responses(operation: AnyOperation, refs: _Refs) -> dict[str, Any]:
    if operation.response is not Bytes:
        schema = refs[operation.response, "serialization"]
        return {"200": _content("the response", _JSON, schema)}
    return {
        "200": _content("the content", OCTETS, _BYTES),
        "206": _content("the part that the Range header asks for", OCTETS, _BYTES),
    }


def _body(operation: AnyOperation, refs: _Refs) -> dict[str, Any]:
    if operation.body is Bytes:
        return {OCTETS: {"schema": _BYTES}}
    return {_JSON: {"schema": refs[operation.body, "validation"]}}


def _parameters(operation: AnyOperation) -> list[dict[str, Any]]:
    schema = operation.params.model_json_schema(ref_template=_REF)
    required = schema.get("required", [])
    return [
        {
            "name": name,
            "in": "path" if f"{{{name}}}" in operation.path else "query",
            "required": name in required,
            "schema": _inlined(field, schema.get("$defs", {})),
        }
        for name, field in schema.get("properties", {}).items()
    ]


def _inlined(field: Any, definitions: Mapping[str, Any]) -> Any:
    """Return the schema of a URL parameter: without references, without null."""
    if "$ref" in field:
        rest = {key: value for key, value in field.items() if key != "$ref"}
        return {**definitions[field["$ref"].rpartition("/")[2]], **rest}
    if "anyOf" in field:
        (one,) = [part for part in field["anyOf"] if part != {"type": "null"}]
        rest = {k: v for k, v in field.items() if k not in ("anyOf", "default")}
        return {**_inlined(one, definitions), **rest}
    return field


def _headers(operation: AnyOperation) -> list[dict[str, Any]]:
    if operation.remembered:
        schema: dict[str, Any] = {
            "type": "string",
            "minLength": 1,
            "maxLength": MAX_IDEMPOTENCY_KEY,
            "pattern": "^[ -~]*$",
        }
        return [{"name": IDEMPOTENCY_KEY, "in": "header", "required": False, "schema": schema}]
    if operation.response is Bytes:
        return [{"name": "Range", "in": "header", "required": False, "schema": {"type": "string"}}]
    return []


def _content(description: str, media_type: str, schema: Any) -> dict[str, Any]:
    return {"description": description, "content": {media_type: {"schema": schema}}}


if __name__ == "__main__":
    json.dump(openapi_document(), sys.stdout, indent=1)
    sys.stdout.write("\n")
