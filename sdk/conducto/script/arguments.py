"""The arguments of one method on a command line."""

from __future__ import annotations

from conducto.errors import UsageError
from conducto.inspection.codecs.base import Codec, CodecError
from conducto.inspection.codecs.parameter import Untyped
from conducto.inspection.codecs.unions import Maybe
from conducto.results import is_reference
from conducto.wire.printable import suggestion

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

    from conducto.inspection.signatures import Parameter, Signature


class Words:
    """Splits a command line into names with values and positional values."""

    def __init__(self, argv: Sequence[str]) -> None:
        self._words = list(argv)
        self._at = 0

    def __bool__(self) -> bool:
        return self._at < len(self._words)

    def next(self) -> Tuple[Optional[str], Optional[str]]:
        """Return ``(name, value)``: name without dashes, or None for a positional value.

        The value is None if the name has no ``=value``; call `value` for it then.
        """
        word = self._words[self._at]
        self._at += 1
        if not word.startswith("--") or word == "--":
            return None, word
        name, equals, value = word[2:].partition("=")
        return name, value if equals else None

    def value(self, name: str, kind: str = "") -> str:
        """Return the next word, the value of ``--name``; ``kind`` is its type, for messages.

        Raises:
            UsageError: there is none.
        """
        if self.at_name:
            next_word = f"; to pass {self._words[self._at]!r}, write --{name}=..." if self else ""
            raise UsageError(f"--{name} needs a value{kind and f' ({kind})'}{next_word}")
        self._at += 1
        return self._words[self._at - 1]

    @property
    def at_name(self) -> bool:
        """Whether no value follows: the end, or another name."""
        return not self or self._words[self._at].startswith("--")


def underscored(name: str) -> str:
    """Return a name with ``_`` for ``-``: both spellings mean the same parameter."""
    return name.replace("-", "_")


class MethodCall:
    """The arguments of a call, collected argument by argument.

    Attributes:
        function: Name of the method.
        named: ``{parameter: value}``.
        extra: Values for ``*args``.
    """

    def __init__(self, function: str, signature: Signature, flags: Sequence[str] = ()) -> None:
        self.named: Dict[str, Any] = {}
        self.extra: List[Any] = []
        self.function = function
        self._flags = flags
        self._signature = signature
        self._positional: List[str] = []
        self._special = {kind: name for name, kind in signature.special}

    @property
    def parameters(self) -> Mapping[str, Parameter]:
        """The parameters of the method by their names."""
        return self._signature.parameters

    def copy(self) -> MethodCall:
        """Return another call of the method, with the same arguments."""
        made = MethodCall(self.function, self._signature, self._flags)
        made.named, made.extra = dict(self.named), list(self.extra)
        return made

    def owns(self, name: str) -> bool:
        """Return whether ``--name`` (or ``--no-name`` of a bool) is a parameter of the method."""
        return self._target(name) is not None

    @property
    def takes_any(self) -> bool:
        """Whether the method has ``**kwargs``."""
        return "VAR_KEYWORD" in self._special

    def _target(self, name: str) -> Optional[Tuple[Parameter, bool]]:
        parameters = self._signature.parameters
        plain = underscored(name)
        if plain in parameters:
            return parameters[plain], True
        if plain.startswith("no_") and plain[3:] in parameters:
            parameter = parameters[plain[3:]]
            if _codec(parameter).is_flag or _is_untyped(parameter):
                return parameter, False
        return None

    def accept_option(self, name: str, value: Optional[str], words: Words) -> None:
        """Accept ``--name`` or ``--name=value``.

        Raises:
            UsageError: there is no such parameter, its value is missing, or cannot be converted.
        """
        target = self._target(name)
        if target is None:
            if not self.takes_any:
                raise UsageError(f"Unknown argument: --{_again(name, value)}{self._near(name)}")
            text = words.value(name) if value is None else value
            self.named[underscored(name)] = _convert(self._signature.rest["VAR_KEYWORD"], text)
            return
        parameter, positive = target
        if positive and is_reference(value):
            self._put(parameter, _from_result(parameter, str(value)))
            return
        if _codec(parameter).is_flag or not positive:
            self._take_flag(parameter, name, value, positive=positive)
        elif value is None and _is_untyped(parameter) and words.at_name:
            self._put(parameter, True)  # how a native call writes True for an untyped parameter
        else:
            kind = _codec(parameter).help
            text = words.value(name, kind) if value is None else value
            self._put(parameter, _convert(parameter, text))

    def _take_flag(
        self, parameter: Parameter, name: str, value: Optional[str], *, positive: bool
    ) -> None:
        if value is None:
            self._put(parameter, positive)
        elif positive and value == "None" and isinstance(_codec(parameter), Maybe):
            self._put(parameter, None)
        else:
            plain = parameter.name.replace("_", "-")
            raise UsageError(
                f"--{name} accepts no arguments, but got: {value!r}; "
                f"write --{plain} or --no-{plain}"
            )

    def _near(self, name: str) -> str:
        """Return a hint with the name that was probably meant, or all valid names."""
        known = {parameter.replace("_", "-") for parameter in self._signature.parameters}
        near = suggestion(name.replace("_", "-"), [*known, *self._flags], prefix="--")
        return near or f"; {self.function} takes {self._names()}"

    def _names(self) -> str:
        names = [f"--{name.replace('_', '-')}" for name in self._signature.parameters]
        return ", ".join(names) or "no arguments"

    def _put(self, parameter: Parameter, value: Any) -> None:
        if parameter.name in self.named:
            raise self._misfit(f"{parameter.name} is given twice")
        self.named[parameter.name] = value

    def _misfit(self, why: str, word: Optional[str] = None) -> UsageError:
        return UsageError(f"wrong parameters for {self.function}(): {why}", word)

    def take_positional(self, value: str) -> None:
        """Accept a value without a name."""
        self._positional.append(value)

    def finish(self) -> None:
        """Assign the positional values to the parameters without a value, in order.

        Raises:
            UsageError: there are too many or too few values, or one cannot be converted.
        """
        keyword_only = {name for name, kind in self._signature.special if kind == "KEYWORD_ONLY"}
        places = [p for n, p in self._signature.parameters.items() if n not in keyword_only]
        taken = places[: len(self._positional)]
        for parameter, text in zip(taken, self._positional):  # noqa: B905 (of Python 3.10)
            self._put(parameter, _placed(parameter, text))
        rest = self._positional[len(taken) :]
        if rest and "VAR_POSITIONAL" not in self._special:
            why = f"nothing takes {rest[0]!r}; its arguments are {self._names()}"
            raise self._misfit(why, rest[0])
        self.extra = [_placed(self._signature.rest["VAR_POSITIONAL"], text) for text in rest]
        for name, parameter in self._signature.parameters.items():
            if not parameter.has_default and name not in self.named:
                raise self._misfit(f"no value for {name} ({_codec(parameter).help})")

    def arguments(self) -> Tuple[List[Any], Dict[str, Any]]:
        """Return ``(positional, keyword)`` arguments to call the method with."""
        special = self._signature.special
        by_place = {name for name, kind in special if kind == "POSITIONAL_ONLY"}
        if self.extra:
            only = {name for name, kind in special if kind == "KEYWORD_ONLY"}
            by_place = {name for name in self._signature.parameters if name not in only}
        placed = [
            self.named.pop(n) for n in self._signature.parameters if n in by_place & set(self.named)
        ]
        return [*placed, *self.extra], self.named


def _again(name: str, value: Optional[str]) -> str:
    return name if value is None else f"{name}={value}"


def _codec(parameter: Parameter) -> Codec:
    try:
        return parameter.codec
    except TypeError as error:
        raise UsageError(f"parameter {parameter.name!r}: {error}") from error


def _is_untyped(parameter: Parameter) -> bool:
    return isinstance(_codec(parameter), Untyped)


def _from_result(parameter: Parameter, text: str) -> Any:
    from conducto.results import argument  # noqa: PLC0415 (when needed)

    try:
        return argument(parameter, text)
    except (CodecError, LookupError) as error:
        raise UsageError(f"parameter {parameter.name!r}: {text}: {error}") from error


def _placed(parameter: Parameter, text: str) -> Any:
    """Return the value of an argument without a name."""
    try:
        return _convert(parameter, text)
    except UsageError as error:
        raise UsageError(str(error), text) from error


def _convert(parameter: Parameter, text: str) -> Any:
    try:
        return _codec(parameter).decode(text)
    except CodecError as error:
        raise UsageError(f"parameter {parameter.name!r}: {error}") from error
