"""``co.main``: a script's functions as commands; those that return nodes are pipelines.

Every native function imports this module in its container, so imports that only a printed or
launched tree needs are local.
"""

# ruff: noqa: PLC0415, PTH119, SLF001
# Imports wait until they are needed; pathlib is heavy; modules of the tree share its slots.

from __future__ import annotations

import os
import sys

from conducto.errors import DefinitionError, NodeMethodError, UsageError
from conducto.inspection import call_site
from conducto.inspection.signatures import node_type_of
from conducto.script import methods
from conducto.tree import unused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple, Union

    from conducto.script.arguments import MethodCall
    from conducto.script.flags import Flags
    from conducto.tree.image import Image
    from conducto.tree.launch import LaunchOptions as LaunchOptions  # noqa: PLC0414 (exported)
    from conducto.tree.nodes import Node
    from conducto.wire.partitions import PartitionSet

_PROBABLY_MISTYPED = 0.8  # similarity of a word and the name of a method
_BY_NAME = "KEYWORD_ONLY"  # of inspect
_ONE_LINE = 70  # maximum length of a text that pprint never wraps


class Loading:
    """Disables calls of `main` in a file while it is loaded for one of its functions.

    Without it a file that calls ``co.main`` outside of ``if __name__ == "__main__"`` would execute
    the command line twice: while it is loaded, and afterwards. A file that ends with
    ``sys.exit(co.main())`` also loads.
    """

    active = False
    _is_called = False

    @classmethod
    def call(cls) -> int:
        """Return the result of `main` for the file."""
        cls._is_called = True
        return 0

    def __enter__(self) -> None:
        Loading.active, Loading._is_called = True, False

    def __exit__(self, _kind: object, error: Optional[BaseException], _trace: object) -> bool:
        Loading.active = False
        return Loading._is_called and isinstance(error, SystemExit) and not error.code


def pretty_print(value: Any) -> None:
    """Print ``value`` as `pprint.pprint` does, importing it only if it makes a difference."""
    short = isinstance(value, str) and len(value) < _ONE_LINE
    if short or isinstance(value, (bool, int, float)):
        print(repr(value))  # noqa: T201
        return
    import pprint

    pprint.pprint(value)  # noqa: T203


def main(  # noqa: PLR0917 (the order is a contract)
    variables: Optional[Mapping[str, Any]] = None,
    default: Optional[Callable[..., Any]] = None,
    argv: Optional[Sequence[str]] = None,
    env: Optional[Dict[str, str]] = None,
    cpu: Optional[float] = None,
    gpu: Optional[int] = None,
    mem: Union[float, str, None] = None,
    requires_docker: bool = False,
    image: Union[str, Image, None] = None,
    filename: Optional[str] = None,
    printer: Callable[[Any], object] = pretty_print,
    partitions: Optional[PartitionSet] = None,
) -> int:
    """Call the function that the command line names.

    A function annotated to return a node is a pipeline: without ``--local`` or ``--cloud`` its tree
    is printed. The result of another function is printed with ``printer``, unless it is None.

    Args:
        variables: ``{name: object}`` with the functions; the caller's names by default.
        default: Function for a command line that is empty or starts with ``--``.
        argv: The command line without the program; that of the process by default.
        env: For the root of the pipeline, besides its own.
        cpu: For the root of the pipeline, which must not have its own; likewise the next ones.
        gpu: See ``cpu``.
        mem: See ``cpu``.
        requires_docker: See ``cpu``.
        image: See ``cpu``.
        filename: Name of the program in messages; the script by default.
        printer: Prints the result of a function that returns no pipeline.
        partitions: Those of the functions that have a parameter ``partition``, such as
            ``co.daily("2024-01-01")``.

    Returns:
        0.

    Raises:
        SystemExit: with the exit code: 2 for an invalid definition or command line, 1 if the
            function raised; after a launch, the launch's.
    """
    unused.mark_used()
    if Loading.active:
        return Loading.call()
    _refuse_foreign_distribution()
    program = filename
    if program is None:
        program = os.path.basename(sys.argv[0]) if sys.argv else "conducto"
    settings = {
        "env": env,
        "cpu": cpu,
        "gpu": gpu,
        "mem": mem,
        "requires_docker": requires_docker or None,
        "image": image,
    }
    names = _callers_names() if variables is None else variables
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        invocation = _Invocation(program, names, default, words, partitions)
        code = invocation.run(settings, printer)
        print(end="", flush=True)  # noqa: T201 - a reader that has left is noticed here
    except Exception as error:
        from conducto.script import user_errors

        if user_errors.debugging():
            raise
        code = user_errors.report(error, program)
    if code:
        sys.exit(code)
    return code


def _refuse_foreign_distribution() -> None:
    """End with an error if another publisher's client has overwritten some of our files."""
    from conducto.platforms import is_inside_node

    if is_inside_node():
        return
    from conducto.distribution import foreign

    problem = foreign()
    if problem is not None:
        print(f"conducto: {problem}", file=sys.stderr)  # noqa: T201
        sys.exit(2)


def _callers_names() -> Dict[str, Any]:
    frame = sys._getframe(1)
    while call_site.is_ours(frame.f_code.co_filename) and frame.f_back is not None:
        frame = frame.f_back
    return dict(frame.f_locals)


class _Invocation:
    """The execution of one command line."""

    def __init__(
        self,
        program: str,
        names: Mapping[str, Any],
        default: Optional[Callable[..., Any]],
        argv: List[str],
        partitions: Optional[PartitionSet] = None,
    ) -> None:
        self.program = program
        self._partitions = partitions
        self.methods = methods.discover(names)
        self._names = names
        self.default = default
        self.argv = argv

    def run(self, settings: Mapping[str, Any], printer: Callable[[Any], object]) -> int:
        if "-h" in self.argv or "--help" in self.argv:
            self._print_help(self._named() if self.argv else None)
            return 0
        if "-v" in self.argv or "--version" in self.argv:
            from conducto import version

            print(f"{version.__version__} (sha1={version.__sha1__})")  # noqa: T201
            return 0
        name, method, words = self._choose()
        expected = node_type_of(method)
        try:
            call, flags, key = _parse(
                name,
                method,
                words,
                pipeline=expected is not None,
                check=self._refuse_late_method,
                partitions=self._partitions,
            )
        except UsageError as error:
            raise self._with_methods(error) from None
        if flags is not None and flags.reports():
            from conducto import _host

            _host.begin_junit(flags.get("junit"))
        if flags is not None and flags.get("profile"):
            os.environ["CONDUCTO_PROFILE"] = flags.get("profile")
        if flags is not None and expected is not None:
            return self._launch(method, call, flags, settings, key)
        args, kwargs = call.arguments()
        result = _awaited(method(*args, **kwargs))
        _refuse_node(name, result)
        if result is not None:
            printer(result)
        if os.environ.get("CONDUCTO_RUN_DIR"):
            from conducto import results

            results.store_return_value(result)
        return 0

    def _launch(
        self,
        method: Callable[..., Any],
        call: MethodCall,
        flags: Flags,
        settings: Mapping[str, Any],
        key: Optional[str],
    ) -> int:
        """Print or launch the tree of a method; ``key`` is its partition."""
        from conducto.api.calls import Launching
        from conducto.script.definition import Definition

        name, only, most = call.function, flags.backfill_only(), flags.max_concurrent()
        recorded: Dict[str, Any] = {}
        if self._partitions is not None and "partition" in call.parameters:
            recorded = {"partitions": self._partitions.to_wire(), "partition": key}
        named, extra = dict(call.named), list(call.extra)
        with Launching(flags.mode()):  # the method may declare secrets
            if flags.get("backfill") is None:
                result = tree_of(method, call)
            else:
                from conducto.partitions import Backfill, chosen

                assert self._partitions is not None  # noqa: S101 (checked by _parse)
                keys = chosen(self._partitions, flags, name, only)
                if not keys:
                    print(f"nothing to do: none of these partitions is {only}")  # noqa: T201
                    return 0
                del named["partition"]
                backfill = Backfill(
                    method, call, self._partitions, keys, make=tree_of, max_concurrent=most
                )
                result = backfill.tree(whole=bool(flags.get("plan")))
                print(backfill.summary(), file=sys.stderr)  # noqa: T201
                recorded["backfill"] = list(keys)
        definition = Definition(result, method, self.program, self.argv, recorded)
        definition.apply(settings)
        default = name if self._by_default else None
        return definition.execute(flags, default=default, call=(name, named, extra))

    @property
    def _by_default(self) -> bool:
        if self.default is None:
            return False
        return not self.argv or self.argv[0].startswith("--") or self._begins_with_argument()

    def _begins_with_argument(self) -> bool:
        """Whether the first word is an argument of the default method, not a name of a method."""
        from conducto.inspection.signatures import signature_of

        word = self.argv[0]
        if self._named() or word.startswith("_") or self._near(_PROBABLY_MISTYPED):
            return False
        assert self.default is not None  # noqa: S101 (an internal invariant)
        signature = signature_of(self.default)
        special = dict(signature.special)
        placed = any(special.get(name) != _BY_NAME for name in signature.parameters)
        return placed or "VAR_POSITIONAL" in special.values()

    def _refuse_late_method(self, word: str) -> None:
        """Raise an error if an argument without a name, after flags, is the name of a method."""
        if not (self._by_default and self.argv[0].startswith("--") and word in self.methods):
            return
        import shlex

        rest = list(self.argv)
        rest.remove(word)
        first = " ".join(map(shlex.quote, [word, *rest]))
        raise UsageError(
            f"error: {word} is a method, which comes first: {self.program} {first}\n"
            "to pass it as an argument, write the name of the parameter before it"
        )

    def _with_methods(self, error: UsageError) -> UsageError:
        """Return an error about the first word with the names of the methods."""
        if not self._by_default or error.word is None or error.word != self.argv[0]:
            return error
        return UsageError(f"{error}; it is not a method either: {', '.join(self._listed())}")

    def _listed(self) -> Dict[str, Callable[..., Any]]:
        """Return the methods that help names."""
        return methods.listed(self.methods, self._names)

    def _named(self) -> Optional[str]:
        """Return the method that the first word names, or None."""
        word = self.argv[0]
        return next((name for name in (word, word.replace("-", "_")) if name in self.methods), None)

    def _near(self, cutoff: float = 0.6) -> str:
        from conducto.wire.printable import suggestion

        return suggestion(self.argv[0], self.methods, cutoff=cutoff)

    def _print_help(self, only: Optional[str] = None) -> None:
        from conducto.script.flags import usage

        shown = self._listed() if only is None else self.methods
        text = usage(self.program, shown, self.default, only)
        print(text, file=sys.stderr)  # noqa: T201

    def _choose(self) -> Tuple[str, Callable[..., Any], List[str]]:
        if self._by_default:
            assert self.default is not None  # noqa: S101 (an internal invariant)
            return str(getattr(self.default, "__name__", "main")), self.default, self.argv
        if not self.argv:
            self._print_help()
            raise UsageError("error: must specify method")
        name = self._named()
        if name is None:
            raise UsageError(f"error: {self.argv[0]} is not a valid method{self._hint()}")
        return name, self.methods[name], self.argv[1:]

    def _hint(self) -> str:
        if self.argv[0].startswith("_"):
            return "; names that begin with an underscore cannot be called"
        near = self._near()
        if self.default is None:
            return near or f"; the methods are {', '.join(self._listed()) or 'none'}"
        import shlex

        method = getattr(self.default, "__name__", "main")
        rest = " ".join(map(shlex.quote, self.argv))
        if near:
            return f"{near} As an argument of {method}: {self.program} {method} {rest}"
        return f"; {method} takes no arguments without names"


def _parse(
    name: str,
    method: Callable[..., Any],
    argv: Sequence[str],
    *,
    pipeline: bool,
    check: Callable[[str], None],
    partitions: Optional[PartitionSet],
) -> Tuple[MethodCall, Optional[Flags], Optional[str]]:
    """Split the command line into arguments of the method, which take precedence, and flags.

    Return them with the key of the partition, if it is one.
    """
    from conducto.inspection.signatures import signature_of
    from conducto.script.arguments import MethodCall, Words

    flags: Optional[Flags] = None
    known: Sequence[str] = ()
    if pipeline:
        from conducto.script.flags import NAMES, Flags

        flags = Flags()
        known = [flag[2:] for flag in NAMES]
    call = MethodCall(name, signature_of(method), known)
    words = Words(argv)
    while words:
        word, value = words.next()
        if word is None:
            check(str(value))
            call.take_positional(str(value))
        elif not call.owns(word) and _is_flag(word, flags):
            if flags is None:
                from conducto.script.flags import Flags

                flags = Flags()
            flags.consume(word, value, words)
        else:
            if not (pipeline or call.owns(word) or call.takes_any):
                _refuse_flag(name, word)
            call.accept_option(word, value, words)
    key: Optional[str] = None
    if partitions is not None:
        from conducto.partitions import bind

        key = bind(partitions, call, flags)
    elif flags is not None and flags.get("backfill") is not None:
        raise UsageError(
            "--backfill needs the partitions of the script: co.main(partitions=co.daily(...))"
        )
    call.finish()
    return call, flags, key


def _refuse_flag(name: str, word: str) -> None:
    """Raise an error for a launch flag of a function that is not annotated to return a node."""
    from conducto.script.flags import Flags

    if Flags().knows(word, pipeline=True):
        raise UsageError(
            f"Unknown argument: --{word} is for functions that return a pipeline; if {name} "
            f"does, annotate it: 'def {name}(...) -> co.Serial:'"
        )


def _is_flag(word: str, flags: Optional[Flags]) -> bool:
    names = ("profile", "conducto.profile")
    return word in names or (flags is not None and flags.knows(word, pipeline=True))


def _awaited(result: Any) -> Any:
    if hasattr(result, "__await__"):
        import asyncio

        async def wait() -> Any:
            return await result

        return asyncio.run(wait())
    return result


def _is_node(value: Any) -> bool:
    module = sys.modules.get("conducto.tree.nodes")
    return module is not None and isinstance(value, module.Node)


def tree_of(method: Callable[..., Any], call: MethodCall) -> Node:
    """Return the tree that a call of a method returns; raises `DefinitionError`."""
    args, kwargs = call.arguments()
    result: Node = _awaited(method(*args, **kwargs))
    _check_node(call.function, result)
    return result


def _check_node(name: str, result: Any) -> None:
    if not _is_node(result):
        raise NodeMethodError(
            f"Expected {name} to return a Node, but instead it returned {result!r}"
        )
    if result.parent is not None:
        raise DefinitionError(
            f"{result}: {name} returned a node inside a tree; return its root",
            path=str(result),
            file=result.file,
            line=result.line,
        )


def _refuse_node(name: str, result: Any) -> None:
    if _is_node(result):
        raise NodeMethodError(
            f"{name} returned a {type(result).__name__} but is not annotated to; "
            f"write 'def {name}(...) -> co.{type(result).__name__}:'"
        )


class _CallableModule(type(sys)):  # type: ignore[misc]
    """Keeps ``co.main`` callable after ``import conducto.main`` replaces it by this module."""

    def __call__(self, *args: Any, **kwargs: Any) -> int:
        return main(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        if name == "LaunchOptions":
            from conducto.tree.launch import LaunchOptions

            return LaunchOptions
        raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")


sys.modules[__name__].__class__ = _CallableModule
