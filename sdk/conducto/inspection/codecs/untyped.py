"""JSON of values whose type is not declared, such as the result of a function."""

from __future__ import annotations

from conducto.inspection.codecs.base import CodecError, at, shown
from conducto.inspection.codecs.scalars import plain_float

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List

_MAX_DEPTH = 100


def to_json(value: Any, depth: int = 0) -> Any:
    """Return ``value`` as data for `json.dumps`.

    Lists, tuples and sets become lists; dicts, dataclasses and NamedTuples become objects;
    pydantic models write their own JSON; Enums are written by name; dates, durations, paths and
    bytes become text, as on a command line; numbers and arrays of numpy become plain ones; NaN and
    infinities become the texts ``NaN``, ``Infinity`` and ``-Infinity``.

    Raises:
        CodecError: a part has no JSON form; the message names the part.
    """
    if depth > _MAX_DEPTH:
        raise CodecError(f"more than {_MAX_DEPTH} levels: does it contain itself?")
    if value is None or type(value) in (bool, int, str):
        return value
    if type(value) is float:
        return plain_float(value)
    if isinstance(value, dict):
        return _object(value, depth)
    if isinstance(value, (list, tuple, set, frozenset)) and not hasattr(value, "_fields"):
        return _array(value, depth)
    return _other(value, depth)


def _array(value: Any, depth: int) -> List[Any]:
    data = [
        at(f"item {i}", lambda item: to_json(item, depth + 1), item) for i, item in enumerate(value)
    ]
    return sorted(data, key=repr) if isinstance(value, (set, frozenset)) else data


def _object(value: Any, depth: int) -> Dict[str, Any]:
    data: Dict[str, Any] = {}
    for key, item in value.items():
        name = at("a key", _key, key)
        if name in data:
            raise CodecError(f"two keys are written as {name!r}")
        data[name] = at(f"[{shown(key)}]", lambda inner: to_json(inner, depth + 1), item)
    return data


def _key(key: Any) -> str:
    from conducto.inspection.codecs.factory import of_class  # noqa: PLC0415 (when needed)

    if type(key) is str:
        return key
    try:
        codec = of_class(type(key))
    except TypeError:
        codec = None
    if codec is None or not codec.is_word(key):
        raise CodecError(f"{shown(key)} is a {type(key).__name__}, which cannot be a key in JSON")
    return codec.encode(key)


def _other(value: Any, depth: int) -> Any:
    from conducto.inspection.codecs.factory import of_class  # noqa: PLC0415 (when needed)

    kind: Any = type(value)
    if kind.__module__.partition(".")[0] == "numpy" and hasattr(value, "tolist"):
        return to_json(value.tolist(), depth + 1)
    fields = getattr(kind, "_fields", None) or getattr(kind, "__dataclass_fields__", None)
    if fields is not None and not hasattr(kind, "__pydantic_validator__"):
        return _record(value, list(fields), depth)
    if hasattr(kind, "model_dump_json"):
        return _pydantic(value)
    for plain in (int, float, str):  # subclasses, but no Enum
        if isinstance(value, plain) and not hasattr(kind, "__members__"):
            return to_json(plain(value), depth + 1)
    try:
        return of_class(kind).to_json(value)
    except TypeError:
        raise CodecError(f"{shown(value)} is a {kind.__name__}, which has no JSON form") from None


def _record(value: Any, fields: List[str], depth: int) -> Dict[str, Any]:
    name = type(value).__name__
    return {
        field: at(f"{name}.{field}", lambda item: to_json(item, depth + 1), getattr(value, field))
        for field in fields
    }


def _pydantic(value: Any) -> Any:
    import json  # noqa: PLC0415 (when needed)

    try:
        return json.loads(value.model_dump_json(by_alias=True))
    except Exception as error:  # noqa: BLE001 (pydantic's, and those of its user's code)
        raise CodecError(f"{type(value).__name__} has no JSON: {error}") from None
