"""Native functions: a Python function as the command of a node.

The command is ``conducto FILE FUNCTION --argument=value ...``: inside the container the file is
loaded and the function is called with the arguments, converted back (`conducto.main`).
"""

# ruff: noqa: PLC0415
# imports wait until they are needed.

from __future__ import annotations

import os
import shlex

from conducto.inspection.annotations import Signature, signature_of, unwrapped
from conducto.inspection.values import to_text
from conducto.wire import paths

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence

    from conducto.inspection.annotations import Parameter


class _Native:
    """An inspected function: its file, its parameters, and why a container cannot find it."""

    __slots__ = ("file", "name", "problem", "signature")

    def __init__(self, func: Callable[..., Any]) -> None:
        self.signature = _plain_signature(func)
        self.name = _name(func)
        self.file = _file_of(func)
        self.problem = _problem(func, self.name, self.file)


_known: Dict[Any, _Native] = {}


def _look(func: Callable[..., Any]) -> _Native:
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
            "- Only POSITIONAL_OR_KEYWORD is allowed."
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
    return _look(func).problem


def command_of(func: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
    """Return the command that calls ``func`` with these arguments, in a container.

    Raises:
        TypeError: the arguments do not fit the function's parameters or their annotations, or the
            function has ``*args``, ``**kwargs``, or positional- or keyword-only parameters.
    """
    native = _look(func)
    parts = ["conducto", paths.draft(native.file), shlex.quote(native.name)]
    for name, value in _bind(func, native.signature, args, kwargs).items():
        parameter = native.signature.parameters[name]
        _check(native.name, parameter, value)
        if value is None and parameter.has_default and parameter.default is None:
            continue  # like a missing argument: "None" would be read back as text
        parts.append(shlex.quote(_argument(parameter, value)))
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
        raise _misfit(func, args, kwargs)
    return {name: bound[name] for name in parameters if name in bound}


def _misfit(func: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> TypeError:
    """Return the error that Python itself would raise for that call."""
    import inspect

    try:
        if hasattr(unwrapped(func), "__code__"):
            inspect.getcallargs(unwrapped(func), *args, **kwargs)
        inspect.signature(func).bind(*args, **kwargs)
    except TypeError as error:
        return TypeError(*error.args)
    return TypeError(f"{_name(func)}() does not take these arguments")


def _check(function: str, parameter: Parameter, value: Any) -> None:
    if not parameter.annotated or parameter.kind.accepts(value):
        return
    raise TypeError(
        f"Argument {parameter.name}={value!r} {type(value)} for function {function} "
        f"is not compatible with expected type: {parameter.kind.annotation}"
    )


def _argument(parameter: Parameter, value: Any) -> str:
    if isinstance(value, bool):
        if parameter.kind.base is int:
            return f"--{parameter.name}={int(value)}"
        return "--{}{}".format("" if value else "no-", parameter.name)
    return f"--{parameter.name}={to_text(value)}"


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
