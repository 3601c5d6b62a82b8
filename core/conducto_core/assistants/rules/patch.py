"""Changes of nodes in a running pipeline, as edits of the script that made them. Pure.

A value is followed from the call that made the node through the parameters of the script's own
functions to a literal, by the calls that the node has recorded. A literal is only edited if it is
shown that it made this node and no other one: the followed command or name is that of the node at
launch. The edited script must have the same syntax tree but for that value. Everything else becomes
a sentence with file and line.
"""

import ast
import difflib
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple

#: The calls that make nodes.
_NODES: Final = frozenset({"Exec", "Serial", "Parallel", "Lazy", "Approve", "Notebook"})
_LOOPS: Final = (
    ast.For,
    ast.AsyncFor,
    ast.While,
    ast.ListComp,
    ast.SetComp,
    ast.DictComp,
    ast.GeneratorExp,
)
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
#: Shown characters of a computed value.
_SHOWN = 60


class _Absent:
    """A parameter that has no value of the node's own."""


ABSENT: Final = _Absent()


class PatchSite(NamedTuple):
    """A call in a file."""

    file: str
    line: int


class SourceChange(NamedTuple):
    """A parameter with its values at launch and now; ``env.NAME`` for a variable."""

    name: str
    old: Any
    new: Any


@dataclass(frozen=True)
class MadeNode:
    """A changed node.

    Attributes:
        name: Its name below its parent.
        command: Its command at launch; None for a group.
        sites: The call that made it, then those of the functions around it.
    """

    path: str
    name: str
    command: str | None
    sites: tuple[PatchSite, ...]
    changes: tuple[SourceChange, ...]


@dataclass
class Patched:
    """The result.

    Attributes:
        sources: The new text of each file.
        done: A sentence for each edit.
        by_hand: A sentence for each change that a person has to make.
    """

    sources: dict[str, str]
    done: list[str] = field(default_factory=list)
    by_hand: list[str] = field(default_factory=list)


class _ByHandError(Exception):
    """The reason why a change is not made here."""


class _Found(NamedTuple):
    """Where a value is written.

    Attributes:
        level: Index of the site.
        call: The call.
        holder: Its keyword, or the dict with the variable; None: it is an argument, or missing.
        value: The expression; None: it is missing.
    """

    level: int
    call: ast.Call
    holder: ast.keyword | ast.Dict | None
    value: ast.expr | None


def patch(
    nodes: Sequence[MadeNode], sources: Mapping[str, str], uses: Mapping[PatchSite, int]
) -> Patched:
    """Return the edited sources.

    Args:
        nodes: The changed nodes.
        sources: Texts of the files, as they are now.
        uses: Number of nodes with each site, so that no other node is changed.
    """
    result, moves = Patched(dict(sources)), _Moves()
    for node in nodes:
        # The command last: it is the evidence for the others.
        for change in sorted(node.changes, key=lambda one: one.name == "command"):
            place = node.sites[0] if node.sites else None
            try:
                where = _apply(result.sources, node, change, uses, moves)
            except (_ByHandError, SyntaxError) as reason:
                at = "" if place is None else f"{place.file}:{place.line}: "
                new = "remove it" if change.new is ABSENT else f"set it to {change.new!r}"
                result.by_hand.append(f"{at}{node.path}: {change.name}: {reason}; {new} by hand")
            else:
                result.done.append(f"{where.file}:{where.line}: {node.path}: {change.name}")
    return result


def diff(before: str, after: str, file: str) -> str:
    """Return a unified diff, as ``git apply`` and ``patch -p1`` read it."""
    lines = difflib.unified_diff(
        before.splitlines(keepends=True),
        after.splitlines(keepends=True),
        f"a/{file}",
        f"b/{file}",
    )
    ended = (
        one if one.endswith("\n") else f"{one}\n\\ No newline at end of file\n" for one in lines
    )
    return "".join(ended)


class _Moves:
    """The lines that earlier edits have added or removed."""

    def __init__(self) -> None:
        self._moves: list[tuple[str, int, int]] = []

    def add(self, site: PatchSite, lines: int) -> None:
        """Note an edit in the call at a site."""
        self._moves.append((site.file, site.line, lines))

    def now(self, site: PatchSite) -> PatchSite:
        """Return where a site is after the edits."""
        moved = sum(n for file, line, n in self._moves if file == site.file and line < site.line)
        return site._replace(line=site.line + moved)


def _apply(
    sources: dict[str, str],
    node: MadeNode,
    change: SourceChange,
    uses: Mapping[PatchSite, int],
    moves: _Moves,
) -> PatchSite:
    """Edit one value in place; return its site."""
    if not node.sites:
        raise _ByHandError("the place in the script was not recorded")
    script = _Script(sources, replace(node, sites=tuple(map(moves.now, node.sites))))
    script.check_evidence()
    found = script.find(change.name)
    site = node.sites[found.level]
    number = uses.get(site, 1)
    if number > 1:
        raise _ByHandError(f"the line makes {number} nodes")
    if script.is_repeated(found):
        raise _ByHandError("a loop around the line makes several nodes")
    text = sources[site.file]
    edited = _edit(text, found, change)
    _check_same(text, edited, found, change)
    sources[site.file] = edited
    moves.add(site, edited.count("\n") - text.count("\n"))
    return site


class _Script:
    """The calls that made one node."""

    def __init__(self, sources: Mapping[str, str], node: MadeNode) -> None:
        self._node = node
        self._trees: list[ast.Module] = []
        for site in node.sites:
            if site.file not in sources:
                break
            self._trees.append(ast.parse(sources[site.file]))
        if not self._trees:
            raise _ByHandError("the script cannot be read")
        self._calls: dict[int, ast.Call] = {0: self._node_call()}

    def _node_call(self) -> ast.Call:
        """Return the call of a node at the innermost site."""
        found = [
            one
            for one in _calls_at(self._trees[0], self._node.sites[0].line)
            if _called(one) in _NODES
        ]
        if self._node.command is not None and len(found) > 1:
            commands = [
                one
                for one in found
                if one.args and _same(_literal(one.args[0]), self._node.command)
            ]
            found = commands or found
        if len(found) != 1:
            raise _ByHandError(
                "several nodes are made in this line" if found else "no node is made in this line"
            )
        return found[0]

    def check_evidence(self) -> None:
        """Check that the script still shows that these calls made the node."""
        command = _literal(self.find("command").value) if self._node.command is not None else ABSENT
        if isinstance(command, str) and not _same(command, self._node.command):
            raise _ByHandError(
                "the script has another command there than at launch: it was edited since"
            )
        names = [one for one in map(_literal, self._names()) if isinstance(one, str)]
        if names and self._node.name not in {name.rpartition("/")[2] for name in names}:
            raise _ByHandError(f"the script makes {names[0]!r} there: it was edited since")
        if not isinstance(command, str) and not names:
            raise _ByHandError("nothing in the script shows that this line made this node")

    def _names(self) -> list[ast.expr | None]:
        """Return the expressions of the node's name, followed to their literals."""
        call = self._calls[0]
        found = [key.value for key in call.keywords if key.arg == "name"]
        for one in ast.walk(self._trees[0]):
            if isinstance(one, ast.Assign) and one.value is call:
                found += [t.slice for t in one.targets if isinstance(t, ast.Subscript)]
        return [self._followed(_Found(0, call, None, one)).value for one in found]

    def find(self, name: str) -> _Found:
        """Return where the value of a parameter is written."""
        return self._followed(_place(0, self._calls[0], name))

    def _followed(self, found: _Found) -> _Found:
        """Follow a value that is a parameter of the function around it to the call of that."""
        value, level = found.value, found.level
        if not isinstance(value, ast.Name) or level + 1 >= len(self._trees):
            return found
        function = _function_around(self._trees[level], found.call)
        if function is None:
            return found
        given = function.args
        names = [one.arg for one in (*given.posonlyargs, *given.args)]
        if value.id not in {*names, *(one.arg for one in given.kwonlyargs)}:
            return found
        if _is_assigned(function, value.id):
            raise _ByHandError(f"{value.id} is computed in {function.name}")
        call = self._call_of(level + 1, function.name)
        keyword = next((one for one in call.keywords if one.arg == value.id), None)
        if keyword is not None:
            return self._followed(_Found(level + 1, call, keyword, keyword.value))
        if any(isinstance(one, ast.Starred) for one in call.args) or any(
            one.arg is None for one in call.keywords
        ):
            raise _ByHandError(f"the call of {function.name} takes its arguments from * or **")
        index = names.index(value.id) if value.id in names else len(call.args)
        if index >= len(call.args):
            raise _ByHandError(f"it is the default of a parameter of {function.name}")
        return self._followed(_Found(level + 1, call, None, call.args[index]))

    def _call_of(self, level: int, function: str) -> ast.Call:
        if level not in self._calls:
            line = self._node.sites[level].line
            found = [one for one in _calls_at(self._trees[level], line) if _called(one) == function]
            if len(found) != 1:
                raise _ByHandError(
                    f"line {line} does not call {function} once: it was edited since"
                )
            self._calls[level] = found[0]
        return self._calls[level]

    def is_repeated(self, found: _Found) -> bool:
        """Return whether a call is in a loop."""
        loops = (one for one in ast.walk(self._trees[found.level]) if isinstance(one, _LOOPS))
        return any(found.call is inner for loop in loops for inner in ast.walk(loop))


def _calls_at(tree: ast.AST, line: int) -> list[ast.Call]:
    """Return the calls that begin at a line; else the innermost one that spans it."""
    calls = [
        one
        for one in ast.walk(tree)
        if isinstance(one, ast.Call) and one.lineno <= line <= (one.end_lineno or one.lineno)
    ]
    return [one for one in calls if one.lineno == line] or calls[-1:]


def _called(call: ast.Call) -> str:
    function = call.func
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def _function_around(
    tree: ast.AST, call: ast.Call
) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
    """Return the innermost function around a call."""
    around = [
        one
        for one in ast.walk(tree)
        if isinstance(one, _FUNCTIONS) and any(inner is call for inner in ast.walk(one))
    ]
    return around[-1] if around else None


def _is_assigned(function: ast.AST, name: str) -> bool:
    return any(
        isinstance(one, ast.Name) and one.id == name and isinstance(one.ctx, ast.Store)
        for one in ast.walk(function)
    )


def _literal(node: ast.AST | None) -> Any:
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        inner = _literal(node.operand)
        return -inner if isinstance(inner, int | float) else ABSENT
    return ABSENT


def _same(one: Any, other: Any) -> bool:
    """Return whether two values are equal; commands may be indented in the script."""
    if isinstance(one, str) and isinstance(other, str):
        return textwrap.dedent(one).strip() == textwrap.dedent(other).strip()
    return type(one) is not bool and bool(one == other)


def _place(level: int, call: ast.Call, name: str) -> _Found:
    """Return where a call has the value of a parameter."""
    if name == "command":
        named = next((one for one in call.keywords if one.arg == "command"), None)
        if not call.args and named is None:
            raise _ByHandError("the call has no command")
        given = call.args[0] if call.args else None
        return _Found(level, call, named, named.value if given is None and named else given)
    name, _, variable = name.partition(".")
    nested = [
        inner
        for one in call.keywords
        if one.arg == "params" and isinstance(one.value, ast.Call)
        for inner in one.value.keywords
    ]
    keyword = next((one for one in (*nested, *call.keywords) if one.arg == name), None)
    if keyword is None:
        if any(one.arg is None for one in call.keywords):
            raise _ByHandError("the call takes its parameters from **")
        return _Found(level, call, None, None)
    if not variable:
        return _Found(level, call, keyword, keyword.value)
    if not isinstance(keyword.value, ast.Dict):
        raise _ByHandError("env is computed")
    if None in keyword.value.keys:
        raise _ByHandError("env has entries from **")
    items = zip(keyword.value.keys, keyword.value.values, strict=True)
    value = next((one for key, one in items if _literal(key) == variable), None)
    return _Found(level, call, keyword.value, value)


# ----------------------------------------------------------------------------------------
# Edits of the text, by the columns of the syntax tree, which count bytes of UTF-8.


class _Span(NamedTuple):
    start: tuple[int, int]
    end: tuple[int, int]


def _span(node: Any) -> _Span:
    return _Span((node.lineno, node.col_offset), (node.end_lineno, node.end_col_offset))


def _edit(text: str, found: _Found, change: SourceChange) -> str:
    if found.value is None:
        if change.new is ABSENT:
            raise _ByHandError("the value comes from a group above it")
        return _splice(text, *_insertion(text, found, change))
    if isinstance(found.value, ast.JoinedStr):
        raise _ByHandError("it is an f-string")
    value = _literal(found.value)
    if value is ABSENT:
        raise _ByHandError(f"it is computed ({ast.unparse(found.value)[:_SHOWN]})")
    if change.old is not ABSENT and not _same(value, change.old):
        raise _ByHandError(
            f"the script has {str(value)[:_SHOWN]!r} there, not the value at launch: it was edited "
            "since"
        )
    if change.new is ABSENT:
        return _splice(text, _removed(found), "")
    return _splice(text, _span(found.value), _quoted(text, found.value, change.new))


def _insertion(text: str, found: _Found, change: SourceChange) -> tuple[_Span, str]:
    name, _, variable = change.name.partition(".")
    if isinstance(found.holder, ast.Dict):
        entry = f"{_written(variable)}: {_written(change.new)}"
        if not found.holder.values:
            return _span(found.holder), f"{{{entry}}}"
        end = _span(found.holder.values[-1]).end
        return _Span(end, end), f", {entry}"
    value = (
        f"{{{_written(variable)}: {_written(change.new)}}}" if variable else _written(change.new)
    )
    call = found.call
    items = [*call.args, *(one.value for one in call.keywords)]
    close = (call.end_lineno or 0, (call.end_col_offset or 1) - 1)
    if not items:
        return _Span(close, close), f"{name}={value}"
    end = max(_span(one).end for one in items)
    before = text.encode().split(b"\n")[close[0] - 1][: close[1]]
    if close[0] != call.lineno and not before.strip():  # the ")" has a line of its own
        indent = " " * min(_span(one).start[1] for one in (*call.args, *call.keywords))
        return _Span(end, end), f",\n{indent}{name}={value}"
    return _Span(end, end), f", {name}={value}"


def _removed(found: _Found) -> _Span:
    """Return the span of an entry with the comma before it, or after it if it is the first one."""
    if isinstance(found.holder, ast.Dict):
        keys = [one for one in found.holder.keys if one is not None]
        values = found.holder.values
        spans = [_Span(_span(k).start, _span(v).end) for k, v in zip(keys, values, strict=True)]
        index = next(i for i, one in enumerate(values) if one is found.value)
    elif found.holder is not None and found.holder in found.call.keywords:
        spans = sorted(map(_span, [*found.call.args, *found.call.keywords]))
        index = spans.index(_span(found.holder))
    else:
        raise _ByHandError("it is not in the call itself")
    if index > 0:
        return _Span(spans[index - 1].end, spans[index].end)
    return _Span(spans[0].start, spans[1].start if len(spans) > 1 else spans[0].end)


def _written(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    plain = isinstance(value, str) and value.isprintable() and not set(value) & set("\"'\\")
    return f'"{value}"' if plain else repr(value)


def _quoted(text: str, node: ast.expr, new: Any) -> str:
    """Return a literal in the style of the replaced one."""
    if not isinstance(new, str):
        return _written(new)
    raw = (ast.get_source_segment(text, node) or "").strip()
    for quote in ('"""', "'''"):
        if raw.startswith(quote) and quote not in new and "\\" not in new:
            return f"{quote}{new}{quote}" if not new.endswith(quote[0]) else repr(new)
    quote = raw[:1] if raw[:1] in {"'", '"'} else '"'
    if quote not in new and "\\" not in new and new.isprintable():
        return f"{quote}{new}{quote}"
    return repr(new)


def _splice(text: str, span: _Span, new: str) -> str:
    data = text.encode()
    starts = [0]
    for line in data.split(b"\n"):
        starts.append(starts[-1] + len(line) + 1)
    low, high = (starts[line - 1] + column for line, column in span)
    return (data[:low] + new.encode() + data[high:]).decode()


def _check_same(before: str, after: str, found: _Found, change: SourceChange) -> None:
    """Check that the syntax tree differs in the wanted value only."""
    name, _, variable = change.name.partition(".")
    expected = ast.parse(before)
    key = _span(found.call)
    call = next(
        one for one in ast.walk(expected) if isinstance(one, ast.Call) and _span(one) == key
    )
    new = None if change.new is ABSENT else ast.parse(_written(change.new), mode="eval").body
    if found.value is None and new is not None:
        _add(call, name, variable, new)
    elif found.value is not None:
        _replace(call, _span(found.value), new)
    if ast.dump(expected) != ast.dump(ast.parse(after)):
        raise _ByHandError("the edit would change something else")


def _add(call: ast.Call, name: str, variable: str, new: ast.expr) -> None:
    keyword = next((one for one in call.keywords if one.arg == name), None)
    if not variable:
        call.keywords.append(ast.keyword(name, new))
    elif keyword is not None and isinstance(keyword.value, ast.Dict):
        keyword.value.keys.append(ast.Constant(variable))
        keyword.value.values.append(new)
    else:
        call.keywords.append(ast.keyword(name, ast.Dict([ast.Constant(variable)], [new])))


def _replace(call: ast.Call, span: _Span, new: ast.expr | None) -> None:
    """Replace the value at a span, or remove its entry."""
    for one in ast.walk(call):
        for name, value in ast.iter_fields(one):
            if isinstance(value, ast.expr) and _span(value) == span and new is not None:
                setattr(one, name, new)
                return
            if isinstance(value, list):
                for index, item in enumerate(value):
                    inner = item.value if isinstance(item, ast.keyword) else item
                    if isinstance(inner, ast.expr) and _span(inner) == span:
                        _replace_in(one, name, index, new)
                        return


def _replace_in(owner: ast.AST, name: str, index: int, new: ast.expr | None) -> None:
    items = getattr(owner, name)
    if new is None:
        del items[index]
        if isinstance(owner, ast.Dict):
            del owner.keys[index]
    elif isinstance(items[index], ast.keyword):
        items[index].value = new
    else:
        items[index] = new
