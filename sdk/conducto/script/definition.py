"""The use of the tree that a method returned: print it, output it in a node, or launch it."""

# ruff: noqa: PLC0415, PTH113, SLF001
# imports wait until they are needed; the modules of the tree share its nodes' slots.

from __future__ import annotations

import os
import sys

from conducto.inspection.docstrings import parse
from conducto.platforms import is_inside_node
from conducto.script import user_errors
from conducto.tree.image_form import names_of_execs
from conducto.tree.launch import start
from conducto.tree.left_out import warn_texts, warn_unlaunchable, warn_unnamed
from conducto.tree.serialize import pretty
from conducto.tree.text import count, unindent
from conducto.tree.validate import validate

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple

    from conducto.script.flags import Flags
    from conducto.tree.launch import LaunchOptions
    from conducto.tree.nodes import Node


class Definition:
    """A tree and its origin; ``recorded``: further fields of the record of its call."""

    def __init__(
        self,
        root: Node,
        method: Callable[..., Any],
        program: str,
        argv: List[str],
        recorded: Mapping[str, Any],
    ) -> None:
        self._root = root
        self._method = method
        self._program = program
        self._argv = argv
        self._more = recorded

    def apply(self, settings: Mapping[str, Any]) -> None:
        """Set the node parameters that `conducto.main.main` received on the root.

        Raises:
            ValueError: the root has its own value.
        """
        root = self._root
        for name, value in settings.items():
            if value is None:
                continue
            if name == "env":
                _merge_env(root, value)
                continue
            own = root._own_image_name() if name == "image" else getattr(root, name)
            if own is not None:
                raise ValueError(f"Trying to overwrite `{name}`={own!r} that is already set.")
            setattr(root, name, value)

    def execute(
        self,
        flags: Optional[Flags],
        *,
        default: Optional[str],
        call: Tuple[str, Mapping[str, Any], Sequence[Any]],
    ) -> int:
        """Print the tree or launch it, as requested by the flags; return the exit code.

        Args:
            flags: Those of the command line.
            default: Name of the method, if the command line does not have it.
            call: Name of the method, ``{parameter: value}``, and the values for ``*args``.
        """
        assert flags is not None  # noqa: S101 (a pipeline's command line has them)
        mode = flags.mode()
        self._entitle(flags, default)
        fields = flags.fields()  # an invalid value is an error even if nothing is launched
        if flags.get("plan") and flags.into() is None:
            from conducto._host import plan

            options = self._options(fields, call, flags, by_default=default is not None)
            return plan(self._root, options, "cloud" if mode == "cloud" else "local")
        if mode is not None or not is_inside_node():
            flags.check_target()
            for text in flags.ignored():
                user_errors.warn(text, self._program)
        if mode is not None:
            options = self._options(fields, call, flags, by_default=default is not None)
            return start(self._root, options, local=mode == "local")
        if is_inside_node():
            self._hand_out()
        else:
            self._print()
        return 0

    def _options(
        self,
        fields: Mapping[str, Any],
        call: Tuple[str, Mapping[str, Any], Sequence[Any]],
        flags: Flags,
        *,
        by_default: bool,
    ) -> LaunchOptions:
        from conducto.tree.launch import LaunchOptions

        return LaunchOptions(
            **fields,
            title=self._root.title,
            doc=self._root.doc,
            argv=[sys.argv[0] if sys.argv else self._program, *self._argv],
            call=self._recorded(call, flags, by_default=by_default),
        )

    def _recorded(
        self, call: Tuple[str, Mapping[str, Any], Sequence[Any]], flags: Flags, *, by_default: bool
    ) -> Optional[Dict[str, Any]]:
        """Return the record of the call that made the tree; None without a script."""
        from conducto.inspection.signatures import signature_of
        from conducto.script.program import describe, invocation

        script = sys.argv[0] if sys.argv else ""
        if not os.path.isfile(script):
            return None
        name, named, extra = call
        return {
            "function": name,
            "title": flags.get("title"),
            **invocation(script, None if by_default else name),
            **describe(self._method, signature_of(self._method), named, extra),
            **self._more,
        }

    def _entitle(self, flags: Flags, default: Optional[str]) -> None:
        root = self._root
        title = flags.get("title")
        if title is None and root.title is None and flags.into() is None:
            from conducto.tree.titles import title_of

            title = title_of(self._program, _without_flags(self._argv, self._method), default)
            key = self._more.get("partition")
            if key is not None and key not in title:
                title += f" {key}"
            if "backfill" in self._more:
                title += " ({})".format(count(len(self._more["backfill"]), "partition"))
        if title is not None:
            root.title = title
        if flags.get("doc") is not None:
            root.doc = flags.get("doc")
        if root.doc is None:
            root.doc = flags.get("default_doc")
        if flags.get("budget") is not None:
            root.budget = flags.dollars("budget")
        if root.doc is None and self._method.__doc__:
            # Its parameters are in the launch form.
            root.doc = parse(unindent(self._method.__doc__).strip())[0] or None

    def _hand_out(self) -> None:
        """Print the tree for the runner, which extracts the tagged block, and for people."""
        warn_unnamed(self._root)
        from conducto.tree.serialize import CLOSE, OPEN, encode, to_document

        validate(self._root, check_images=False)
        block = OPEN + encode(to_document(self._root, resolve=True)) + CLOSE
        _write(f"\n{block}\n\n{pretty(self._root, strict=False)}")

    def _print(self) -> None:
        validate(self._root)
        warn_unnamed(self._root)
        warn_unlaunchable(self._root)
        warn_texts(self._root)
        nodes = sum(1 for _ in self._root.stream())
        images = len(names_of_execs(self._root))
        summary = "{}, {}".format(count(nodes, "node"), count(images, "image"))
        _write(f"{pretty(self._root, strict=False)}\n\n{summary}")


def _merge_env(root: Node, env: Mapping[str, str]) -> None:
    twice = sorted(key for key in env if key in root.env and root.env[key] != env[key])
    if twice:
        own = {key: root.env[key] for key in twice}
        raise ValueError(f"Trying to overwrite `env`={own!r} that is already set.")
    root.env.update(env)


def _without_flags(argv: List[str], method: Callable[..., Any]) -> List[str]:
    """Return a command line without our flags, and without values that look like secrets."""
    from conducto.inspection.signatures import signature_of
    from conducto.script.arguments import MethodCall, Words
    from conducto.script.flags import SWITCHES, VALUES, plain_name
    from conducto.wire.secret_names import looks_secret

    kept: List[str] = []
    call = MethodCall("", signature_of(method))
    words = Words(argv)
    while words:
        name, value = words.next()
        plain = None if name is None or call.owns(name) else plain_name(name)
        if plain in VALUES:
            if value is None:
                words.value(str(name))
        elif plain not in SWITCHES:
            if name is None:
                kept.append(str(value))
            elif looks_secret(name) and (value is not None or not words.at_name):
                if value is None:
                    words.value(name)
                kept.append(f"--{name}=***")
            else:
                kept.append("--" + name if value is None else f"--{name}={value}")
    return kept


def _write(text: str) -> None:
    """Print ``text``; characters that the terminal's encoding lacks are replaced."""
    try:
        print(text, flush=True)  # noqa: T201
    except UnicodeEncodeError:
        encoding = sys.stdout.encoding or "ascii"
        print(text.encode(encoding, "replace").decode(encoding))  # noqa: T201
    except BrokenPipeError:  # e.g. "| head" has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
