"""Values of typed parameters as words of a command line and as JSON, and back.

`codec_of` returns the codec of a type. `to_json` and `word_of` write any supported value without
its type.
"""

from __future__ import annotations

from conducto.inspection.codecs.base import CodecError as CodecError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Optional

    from conducto.inspection.codecs.base import Codec


def codec_of(annotation: Any, names: Optional[Dict[str, Any]] = None) -> Codec:
    """Return the codec of a type; string annotations are evaluated with ``names``.

    Raises:
        TypeError: values of the type cannot be passed; the message has the reason.
    """
    from conducto.inspection.codecs.factory import make  # noqa: PLC0415 (when needed)

    return make(annotation, {} if names is None else names)


def to_json(value: Any) -> Any:
    """Return ``value`` as data for `json.dumps`.

    It takes the types that parameters have: see `conducto.inspection.codecs.untyped`.

    Raises:
        CodecError: a part of the value has no JSON form; the message names the part.
    """
    from conducto.inspection.codecs import untyped  # noqa: PLC0415 (when needed)

    return untyped.to_json(value)


def word_of(value: Any) -> str:
    """Return ``value`` as a word of a command line, as its own type would be written.

    Raises:
        CodecError: it has no text.
    """
    from conducto.inspection.codecs.base import dumps  # noqa: PLC0415 (when needed)
    from conducto.inspection.codecs.parameter import of_default  # noqa: PLC0415 (when needed)

    if value is None:
        return "None"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple, set, frozenset, dict)):
        return dumps(to_json(value))
    return of_default(value).encode(value)
