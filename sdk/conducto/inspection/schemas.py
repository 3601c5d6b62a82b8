"""JSON schemas of typed parameters, for forms that launch a program again.

Only a launch needs them, so containers never import this module. A value has the text that it has
on a command line; the schema is that of the value.
"""

# ruff: noqa: SLF001
# The codecs keep their parts to themselves; a public property of each would be used here only.

from __future__ import annotations

from conducto.inspection.codecs.arrays import Array
from conducto.inspection.codecs.parameter import ByDefault
from conducto.inspection.codecs.scalars import BUILT_IN, Choice, FlagCodec, Scalar
from conducto.inspection.codecs.unions import Maybe, Union

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List

    from conducto.inspection.codecs.base import Codec

    Schema = Dict[str, Any]

_NULL = {"type": "null"}
_PLAIN = {int: "integer", float: "number", bool: "boolean", str: "string", type(None): "null"}
_FORMATS = {"date": "date", "datetime": "date-time", "time": "time", "timedelta": "duration"}


def schema_of(codec: Codec) -> Schema:
    """Return the JSON schema of a type; an empty one takes any text.

    >>> schema_of(BUILT_IN[int])
    {'type': 'integer'}
    """
    if isinstance(codec, ByDefault):
        return schema_of(codec._inner)
    if isinstance(codec, (Maybe, Union)):
        return {"anyOf": _members(codec)}
    if isinstance(codec, Choice) and not isinstance(codec, FlagCodec):
        return {"enum": list(codec._words)}
    if isinstance(codec, Array) and codec._element.is_simple:
        return {"type": "array", "items": schema_of(codec._element)}
    if isinstance(codec, Scalar):
        return _scalar(codec)
    return {}


def _members(codec: Codec) -> List[Schema]:
    if isinstance(codec, Maybe):
        return [schema_of(codec.inner), dict(_NULL)]
    return [schema_of(member) for member in codec._members]  # type: ignore[attr-defined]


def _scalar(codec: Scalar) -> Schema:
    if codec.base in _PLAIN and BUILT_IN[codec.base] is codec:
        return {"type": _PLAIN[codec.base]}
    if codec.base.__module__ == "datetime":
        return {"type": "string", "format": _FORMATS[codec.base.__name__]}
    return {"type": "string", "format": "path"} if codec.help == "path" else {"type": "string"}
