"""Native functions: a Python function as the command of a node.

The command is ``conducto FILE FUNCTION --argument=value ...``: inside the container the file is
loaded and the function is called with the arguments, converted back (`conducto.main`). The codecs
of `conducto.inspection.codecs` write and read them.
"""

# ruff: noqa: PLC0415
# imports wait until they are needed.

from __future__ import annotations

import os
import shlex

from conducto.inspection import call_site
from conducto.inspection.codecs.base import CodecError
from conducto.inspection.codecs.parameter import ByDefault, Untyped
from conducto.inspection.signatures import Signature, signature_of, unwrapped
from conducto.tree.references import found_in, word
from conducto.wire import paths
from conducto.wire.limits import check_word
from conducto.wire.printable import shown_argument
from conducto.wire.references import ITEM

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence

    from conducto.inspection.codecs.base import Codec
    from conducto.inspection.signatures import Parameter
    from conducto.tree.references import ResultReference

#: An argument that a map replaces by each of its items.
ANY_ITEM = object()
_OF_EVERY_SCRIPT = ("help", "version")  # conducto.main answers them before it reads arguments


class _Native:
    """An inspected function: its file, its parameters, and why a container cannot find it."""

    __slots__ = ("file", "name", "problem", "signature")

    def __init__(self, func: Callable[..., Any]) -> None:
        self.signature = _plain_signature(func)
        self.name = _name(func)
        self.file = _file_of(func)
        self.problem = _problem(func, self.name, self.file)


_known: Dict[Any, _Native] = {}


def _find_source(func: Callable[..., Any]) -> _Native:
    try:
        if func not in _known:
            _known[func] = _Native(func)
    except TypeError:
        if getattr(func, "__hash__", None) is not None:
            raise
        return _Native(func)
    return _known[func]


def _name(func: Any) -> str:
    return str(getattr(func, "__name__", type(func).__name__))


def _plain_signature(func: Callable[..., Any]) -> Signature:
    signature = signature_of(func)
    if signature.special:
        raise TypeError(
            f"Unsupported parameter types of {_name(func)}: {signature.special} "
            "- Only POSITIONAL_OR_KEYWORD is allowed. Conducto passes every argument by its name, "
            "so write ordinary parameters, without *args, **kwargs and the markers / and *"
        )
    return signature


def _file_of(func: Any) -> str:
    code = getattr(unwrapped(func), "__code__", None)
    if code is not None:
        return os.path.realpath(str(code.co_filename))
    import inspect

    try:
        return os.path.realpath(inspect.getsourcefile(func) or "")
    except TypeError as error:
        raise TypeError(
            f"{_name(func)} is not a function of a Python file; write one that calls it"
        ) from error


def _problem(func: Any, name: str, file: str) -> Optional[str]:
    called = f"{name} cannot be called in a container: "
    if call_site.is_cell(file):
        return (
            f"{called}it is defined in a notebook cell; move it to a .py file in the directory of "
            "the notebook and import it from there"
        )
    qualified = str(getattr(func, "__qualname__", name))
    if qualified != name or not name.isidentifier():
        return f"{called}it is not defined at the top level of {file}"
    if name.startswith("_"):
        return f"{called}its name begins with an underscore"
    if not file.endswith(".py"):
        return f"{called}it is not in a Python file"
    return None


def problem_of(func: Callable[..., Any]) -> Optional[str]:
    """Return why a container cannot find ``func``, or None if it can."""
    return _find_source(func).problem


def parameters_of(func: Callable[..., Any]) -> Mapping[str, Parameter]:
    """Return the parameters of ``func``, which has only ordinary ones.

    Raises:
        TypeError: it has others.
    """
    return _find_source(func).signature.parameters


def command_words(program: str, func: Callable[..., Any], *words: str) -> str:
    """Return the command ``conducto PROGRAM FILE FUNCTION WORDS``."""
    native = _find_source(func)
    parts = [
        "conducto",
        program,
        paths.draft(native.file),
        *map(shlex.quote, (native.name, *words)),
    ]
    return " ".join(parts)


def words_of(func: Callable[..., Any], named: Mapping[str, Any]) -> List[str]:
    """Return the words of a command line for arguments of ``func``.

    Raises:
        TypeError: one of them cannot be passed.
    """
    native = _find_source(func)
    parameters = native.signature.parameters
    return [_argument(native, parameters[name], value) for name, value in named.items()]


def has_parameter(func: Callable[..., Any], name: str) -> bool:
    """Return whether ``func`` has a parameter of that name."""
    return name in parameters_of(func)


def command_of(
    func: Callable[..., Any],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    references: List[ResultReference],
) -> str:
    """Return the command that calls ``func`` with these arguments, in a container.

    References to results among the arguments are added to ``references``; the command has marks in
    their places (`conducto.wire.references`). For `ANY_ITEM` it has `ITEM`.

    Raises:
        TypeError: the arguments do not fit the function's parameters or their annotations, or the
            function has ``*args``, ``**kwargs``, or positional- or keyword-only parameters.
    """
    native = _find_source(func)
    parts = ["conducto", paths.draft(native.file), shlex.quote(native.name)]
    for name, value in _bind(func, native.signature, args, kwargs).items():
        parameter = native.signature.parameters[name]
        if value is None and parameter.has_default and parameter.default is None:
            continue  # like a missing argument
        if value is ANY_ITEM:
            parts.append(ITEM)
        elif found_in(value):
            parts.append(shlex.quote(_reference(native, parameter, value, references)))
        else:
            parts.append(shlex.quote(_argument(native, parameter, value)))
    return " ".join(parts)


def _bind(
    func: Callable[..., Any], signature: Signature, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> Dict[str, Any]:
    parameters = signature.parameters
    bound = dict(zip(parameters, args))  # noqa: B905 (of Python 3.10)
    fits = len(args) <= len(parameters) and not set(kwargs) & set(bound)
    bound.update(kwargs)
    needed = (name for name, parameter in parameters.items() if not parameter.has_default)
    if not fits or not set(bound) <= set(parameters) or not set(needed) <= set(bound):
        hint = _hint([name for name in kwargs if name not in parameters], parameters, kwargs)
        raise _misfit(func, args, kwargs, hint)
    return {name: bound[name] for name in parameters if name in bound}


def _hint(unknown: List[str], parameters: Mapping[str, Any], kwargs: Mapping[str, Any]) -> str:
    """Return a remedy for keywords that the function does not have."""
    from conducto.tree.parameters import NAMES
    from conducto.wire.printable import suggestion

    for_node = [name for name in unknown if name in NAMES and name != "stop_on_error"]
    if for_node:
        numbers = {k: str(v) for k, v in kwargs.items() if isinstance(v, (int, float))}
        words = ", ".join(f"{name}={numbers.get(name, '...')}" for name in for_node)
        return f"; parameters of the node are given in params=co.Params({words})"
    return suggestion(unknown[0], parameters) if unknown else ""


def _misfit(
    func: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any], hint: str
) -> TypeError:
    """Return the error that Python itself would raise for that call, with a hint."""
    import inspect

    try:
        if hasattr(unwrapped(func), "__code__"):
            inspect.getcallargs(unwrapped(func), *args, **kwargs)
        inspect.signature(func).bind(*args, **kwargs)
    except TypeError as error:
        return TypeError(f"{error}{hint}")
    return TypeError(f"{_name(func)}() does not take these arguments{hint}")


def _argument(native: _Native, parameter: Parameter, value: Any) -> str:
    """Return the word for an argument.

    Raises:
        TypeError: it cannot be passed.
        ValueError: it is too long.
    """
    codec, name = _codec(native, parameter), parameter.name
    try:
        if isinstance(value, bool) and (codec.is_flag or isinstance(codec, Untyped)):
            _check_flag(native, name)
            return "--{}{}".format("" if value else "no-", name)
        found = f"--{name}={_checked(codec, value)}"
    except CodecError as error:
        raise _unfit(native, parameter, value, str(error)) from None
    check_word(found, name, native.name)
    return found


def _reference(
    native: _Native, parameter: Parameter, value: Any, references: List[ResultReference]
) -> str:
    """Return the word for an argument with references to results."""
    try:
        return f"--{parameter.name}={word(value, references)}"
    except CodecError as error:
        raise _unfit(native, parameter, value, str(error)) from None


def _codec(native: _Native, parameter: Parameter) -> Codec:
    try:
        return parameter.codec
    except TypeError as error:
        raise TypeError(f"Argument {parameter.name} of function {native.name}: {error}") from None


def _checked(codec: Codec, value: Any) -> str:
    if codec.base is float and isinstance(value, int) and not isinstance(codec, ByDefault):
        raise CodecError("expected a float")  # as the original: float(x) makes it one
    text = codec.encode(value)
    if "\0" in text:
        raise CodecError("a command cannot have the character NUL")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise CodecError("it is not valid Unicode text") from None
    return text


def _check_flag(native: _Native, name: str) -> None:
    """Refuse a flag that has another meaning on the command line."""
    if name in _OF_EVERY_SCRIPT:
        raise CodecError(f"--{name} is a flag of every script; rename the parameter")
    for flag, other in ((name, name[3:]), (f"no_{name}", f"no_{name}")):
        if flag.startswith("no_") and other != name and other in native.signature.parameters:
            raise CodecError(
                f"--{flag.replace('_', '-', 1)} could mean {name} or {other}; rename one"
            )


def _unfit(native: _Native, parameter: Parameter, value: Any, reason: str) -> TypeError:
    given = f"{parameter.name}={shown_argument(value)} {type(value)}"
    argument = f"Argument {given} for function {native.name}"
    if not parameter.annotated:
        return TypeError(f"{argument} cannot be passed: {reason}")
    plain = reason.startswith("expected a") and isinstance(parameter.annotation, type)
    return TypeError(
        f"{argument} is not compatible with expected type: {parameter.annotation}"
        f"{'' if plain else ': ' + reason}"
    )


def flag_problem(func: Callable[..., Any], name: str) -> Optional[str]:
    """Return why a bool cannot be passed for the parameter ``name``, or None if it can."""
    try:
        _check_flag(_find_source(func), name)
    except CodecError as error:
        return str(error)
    return None


def notebook_arguments(values: Mapping[str, Any]) -> str:
    """Return `` -p name value ...`` for the parameters of a notebook, with a leading space.

    Raises:
        TypeError: a value that is not text, a number or a bool.
    """
    parts: List[str] = []
    for name, value in values.items():
        if not isinstance(value, (str, int, float, bool)):
            raise TypeError(
                "compound datatypes not supported for conducto-notebook arguments, "
                f"only str, int, float, bool. Got '{name}={value}'"
            )
        parts += ["-p", name, str(value)]
    return "".join(" " + shlex.quote(part) for part in parts)
