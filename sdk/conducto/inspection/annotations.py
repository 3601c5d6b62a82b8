"""Values of string annotations, without importing typing unless they need it."""

# ruff: noqa: PLC0415
# imports wait until they are needed.

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict


def evaluate(text: str, names: Dict[str, Any]) -> Any:
    """Return the value of a string annotation in the module ``names``, or the text if unknown.

    ``int | None`` and ``list[int]`` work on every Python, as type checkers accept them in string
    annotations.
    """
    try:
        return resolve(text, names)
    except TypeError:
        return text


def resolve(text: str, names: Dict[str, Any]) -> Any:
    """Return the value of a string annotation in the module ``names``.

    Raises:
        TypeError: it cannot be evaluated.
    """
    try:
        meaning = _value(text, names)
    except Exception as error:  # noqa: BLE001 (the author's own expression)
        hint = "; import it at run time, not only for type checkers"
        raise TypeError(
            f"the annotation {text!r} cannot be evaluated: {error}"
            f"{hint if isinstance(error, NameError) else ''}"
        ) from None
    quoted = isinstance(meaning, str) and meaning != text  # under postponed evaluation
    return resolve(meaning, names) if quoted else meaning


def _value(text: str, names: Dict[str, Any]) -> Any:
    try:
        return eval(text, names)  # noqa: S307 (the author's own annotation, as typing does)
    except NameError as error:  # often of typing, imported for type checkers only
        missing = str(error).split("'")[1:2]
        import typing

        if not missing or missing[0] in names or missing[0] not in typing.__all__:
            raise
        return _value(text, {**names, missing[0]: getattr(typing, missing[0])})
    except TypeError:
        if sys.version_info >= (3, 10):  # noqa: UP036 (3.8 in containers)
            raise
        from conducto.inspection.old_syntax import value_on_old_python

        return value_on_old_python(text, names)
