"""A check of the user's modules for values at import that are valid for one call only."""

# ruff: noqa: PTH123, SIM905
# pathlib is a heavy import.

from __future__ import annotations

import ast

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, Iterable, Iterator, List, Optional, Set, Tuple

#: Clocks, the process, and the presence of files: each call needs its own.
_OF_ONE_CALL = frozenset(
    "now utcnow today time time_ns monotonic monotonic_ns perf_counter perf_counter_ns "
    "process_time thread_time times getpid getppid getpgrp getsid localtime gmtime strftime ctime "
    "uuid1 uuid4 urandom getrandom token_hex token_bytes token_urlsafe randbits exists lexists "
    "isfile isdir islink is_file is_dir stat lstat getmtime getctime getatime getsize parse_args "
    "parse_known_args".split()
)
#: Random draws, which each call repeats only if the import sets the seed.
_DRAWS = frozenset(
    "random randint randrange choice choices shuffle sample uniform gauss normal normalvariate "
    "rand randn getrandbits permutation".split()
)
#: Generators that seed themselves if they get no argument.
_GENERATORS = frozenset(
    "default_rng RandomState SeedSequence Random SystemRandom PCG64 MT19937".split()
)
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


class SourceCheck:
    """The result of a check of the user's modules.

    Attributes:
        reason: Why a fork would differ from a new interpreter; None if no reason was found.
        seeds: Modules whose generator the import seeds: ``random``, ``numpy``.
    """

    def __init__(self, files: Iterable[str]) -> None:
        self.reason: Optional[str] = None
        self.seeds: Set[str] = set()
        self._functions: Dict[str, List[Tuple[str, ast.AST]]] = {}
        self._todo: List[Tuple[str, ast.AST]] = []
        self._seen: Set[int] = set()
        for file in sorted(files):
            with open(file, "rb") as stream:
                tree = ast.parse(stream.read(), file)
            self._index(file, tree)
            self._todo.append((file, tree))
        while self._todo and self.reason is None:
            self._visit(*self._todo.pop())

    def _index(self, file: str, tree: ast.AST) -> None:
        """Note each function by its name, and the methods of a class also by the class's."""
        for node in ast.walk(tree):
            if isinstance(node, _FUNCTIONS):
                self._functions.setdefault(node.name, []).append((file, node))
            elif isinstance(node, ast.ClassDef):
                methods = [(file, each) for each in node.body if isinstance(each, _FUNCTIONS)]
                self._functions.setdefault(node.name, []).extend(methods)

    def _visit(self, file: str, root: ast.AST) -> None:
        for node in run_with(root):
            if self.reason is not None:
                return
            if isinstance(node, _FUNCTIONS):
                for decorator in node.decorator_list:
                    self._follow(_name_of(decorator))
            elif isinstance(node, ast.Attribute) and node.attr in {"argv", "stdin"}:
                if isinstance(node.value, ast.Name) and node.value.id == "sys":
                    self._refuse(file, node, f"uses sys.{node.attr}")
            elif isinstance(node, ast.Call):
                self._called(file, node)

    def _called(self, file: str, node: ast.Call) -> None:
        name = _name_of(node.func)
        if name == "seed" and node.args:
            self.seeds.add(_generator_of(node.func))
        elif name in _OF_ONE_CALL or (
            name in _DRAWS and _generator_of(node.func) not in self.seeds
        ):
            self._refuse(file, node, f"calls {name}()")
        elif name in _GENERATORS and not node.args and not node.keywords:
            self._refuse(file, node, f"calls {name}() without a seed")
        self._follow(name)

    def _follow(self, name: str) -> None:
        for file, function in self._functions.get(name, ()):
            if id(function) not in self._seen:
                self._seen.add(id(function))
                self._todo.append((file, function))

    def _refuse(self, file: str, node: ast.expr, action: str) -> None:
        self.reason = f"{file}:{node.lineno} {action} at import; each call needs its own value"


def _generator_of(function: ast.AST) -> str:
    """Return the module of ``random.seed`` and ``np.random.seed``, or "" for a name alone."""
    owner = getattr(function, "value", None)
    if owner is None:
        return ""
    return "random" if getattr(owner, "id", "") == "random" else "numpy"


def _name_of(node: ast.AST) -> str:
    if isinstance(node, ast.Call):
        return _name_of(node.func)
    return str(getattr(node, "attr", getattr(node, "id", "")))


def run_with(root: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes that run when ``root`` does: no bodies of functions, no main block."""
    waiting: List[ast.AST] = list(reversed(root.body)) if isinstance(root, _FUNCTIONS) else [root]
    while waiting:  # in the order of the source
        node = waiting.pop()
        yield node
        if isinstance(node, (*_FUNCTIONS, ast.Lambda)):
            waiting += getattr(node, "decorator_list", [])
            waiting += [each for each in node.args.defaults + node.args.kw_defaults if each]
        elif not _is_main_block(node):
            waiting += reversed(list(ast.iter_child_nodes(node)))


def _is_main_block(node: ast.AST) -> bool:
    left = getattr(node.test, "left", None) if isinstance(node, ast.If) else None
    return isinstance(left, ast.Name) and left.id == "__name__"
