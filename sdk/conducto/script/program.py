"""The record of the call that made a tree, with which its program can be launched again.

It names the script and the function, describes each parameter, and has the arguments as the words
that they are on a command line. A value whose parameter's name looks like that of a secret is never
recorded.
"""

# ruff: noqa: PTH100, PTH109, PTH120, PTH123
# pathlib is a heavy import.

from __future__ import annotations

import os
import sys

from conducto.inspection.codecs.base import CodecError
from conducto.inspection.codecs.parameter import Untyped
from conducto.inspection.docstrings import parse
from conducto.inspection.schemas import schema_of
from conducto.inspection.signatures import unwrapped
from conducto.tree.text import unindent
from conducto.wire import git_files
from conducto.wire.secret_names import looks_secret

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple

    from conducto.inspection.codecs.base import Codec
    from conducto.inspection.signatures import Parameter, Signature

    Record = Dict[str, Any]

#: Maximum characters of one recorded argument; a longer one is left out, as a secret is.
MAX_ARGUMENT = 10_000


def describe(
    method: Callable[..., Any],
    signature: Signature,
    named: Mapping[str, Any],
    extra: Sequence[Any] = (),
) -> Record:
    """Return the parameters of a method and the arguments of a call of it.

    Args:
        method: The method.
        signature: Its signature.
        named: ``{parameter: value}`` of the call; those of ``**kwargs``, too.
        extra: The values for ``*args``.
    """
    doc = getattr(unwrapped(method), "__doc__", None) or ""
    _, meanings = parse(unindent(doc).strip())
    keyword_only = {name for name, kind in signature.special if kind == "KEYWORD_ONLY"}
    parameters: List[Record] = []
    arguments: Dict[str, str] = {}
    withheld: List[str] = []
    for name, parameter in signature.parameters.items():
        made = _parameter(parameter, meanings.get(name, ""), named)
        if made is None:
            continue
        made["keyword_only"] = name in keyword_only
        parameters.append(made)
    known = {made["name"] for made in parameters}
    rest = signature.rest.get("VAR_KEYWORD")
    for name, value in named.items():
        word = _word(signature.parameters.get(name) or rest, value)
        if name not in known and rest is not None and name not in signature.parameters:
            parameters.append({"name": name, "label": "text", "secret": looks_secret(name)})
        if word is None or looks_secret(name):
            withheld.append(name)
        else:
            arguments[name] = word
    values = signature.rest.get("VAR_POSITIONAL")
    words = [_word(values, value) for value in extra]
    return {
        "parameters": parameters,
        "arguments": arguments,
        "withheld": withheld,
        "rest": [word for word in words if word is not None],
    }


def _parameter(parameter: Parameter, meaning: str, named: Mapping[str, Any]) -> Optional[Record]:
    """Return the description of a parameter; None if its values cannot be passed."""
    try:
        codec = parameter.codec
    except TypeError:  # the default always applies
        return None
    secret = looks_secret(parameter.name)
    default = _word(parameter, parameter.default) if parameter.has_default else None
    is_switch = isinstance(codec, Untyped) and isinstance(named.get(parameter.name), bool)
    return {
        "name": parameter.name,
        "type": {"type": "boolean"} if is_switch else schema_of(codec),
        "label": "bool" if is_switch or codec.is_flag else codec.help,
        "help": f"{meaning} {codec.details()}".strip(),
        "required": not parameter.has_default,
        "default": None if secret else default,
        "secret": secret,
    }


def _word(parameter: Optional[Parameter], value: Any) -> Optional[str]:
    """Return a value as a word of a command line; None if it has none."""
    if parameter is None:
        return None
    try:
        codec: Codec = parameter.codec
        if isinstance(value, bool) and (codec.is_flag or isinstance(codec, Untyped)):
            return "true" if value else "false"
        word = "None" if value is None else codec.encode(value)
    except (CodecError, TypeError):
        return None
    return word if len(word) <= MAX_ARGUMENT else None


def invocation(script: str, method: Optional[str]) -> Record:
    """Return how this process was started: the words before the arguments, and its directory.

    Args:
        script: The file with the method.
        method: Name of the method, or None if the command line need not name it.
    """
    full = os.path.abspath(script)
    name = [] if method is None else [method]
    return {
        "script": full,
        "command": [sys.executable, *_starter(full), *name],
        "directory": os.getcwd(),
        "digest": digest_of(full),
        "repository": _repository(full),
    }


def _starter(script: str) -> Tuple[str, ...]:
    """Return the words between the interpreter and the method."""
    main = sys.modules.get("__main__")
    spec = getattr(main, "__spec__", None)
    if spec is not None and spec.name:
        package, _, last = spec.name.rpartition(".")
        return ("-m", package if last == "__main__" else spec.name)
    file = getattr(main, "__file__", None)
    if file is None or os.path.abspath(file) == script:
        return (script,)
    return (os.path.abspath(file), script)  # conducto FILE METHOD


def digest_of(file: str) -> Optional[str]:
    """Return the SHA-256 of a file, or None if it cannot be read."""
    import hashlib  # noqa: PLC0415 (when needed)

    try:
        with open(file, "rb") as stream:
            return hashlib.sha256(stream.read()).hexdigest()
    except OSError:
        return None


def _repository(script: str) -> Optional[Record]:
    """Return the place of a script in a git repository with a remote, or None."""
    root = git_files.find_root(os.path.dirname(script))
    url = None if root is None else git_files.origin_url(root)
    commit = None if root is None else git_files.commit(root)
    if root is None or not url or commit is None:
        return None
    return {
        "url": git_files.without_credentials(url),
        "commit": commit,
        "branch": git_files.branch(root),
        "path": os.path.relpath(script, root).replace(os.sep, "/"),
    }
