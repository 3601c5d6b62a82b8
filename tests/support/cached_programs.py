"""Random programs of shell commands that use files, for real containers.

A *history* is a list of launches: each one changes something in the program before it, or goes
back to an earlier one, and may end with a user who changes a file and resets a command.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

import conducto as co
from conducto_core.cache.files import overlap

DATA = "/conducto/data/pipeline"
_NAMES = ("a/x", "a/y", "a/sub/z", "b/x", "b/y", "c", "a b/it's")
_READS = (("a/",), ("b/",), ("a/x",), ("*/x",), ("**",), ("c", "a b/"), ("a/", "b/"), ("d/",), ())
_WRITES = (("b/",), ("c",), ("a/y",), ("d/",), ("d/", "c"), ("e/sub/",), ("**/made",))

#: Prints each file that a command sees: its name, whether it is executable, and its content.
_LOOK = (
    "find -L . -type f | LC_ALL=C sort | while read -r f; do "
    'x=; test -x "$f" && x=x; echo "$f $x" $(cat "$f"); done'
)
_FIRST = "$(find -L {0} -type f 2>/dev/null | LC_ALL=C sort | head -n 1)"


def _target(writes: tuple[str, ...]) -> str:
    """Return a file that patterns name."""
    first = writes[0].replace("**", "f")
    return f"{first}all" if first.endswith("/") else first


def _folder(writes: tuple[str, ...]) -> str:
    return str(Path(_target(writes)).parent)


@dataclass(frozen=True)
class Step:
    """A command.

    Attributes:
        kind: What it does, a key of `_CACHED` or `_PLAIN`.
        number: A part of its text, or of its environment if it is even.
    """

    kind: str
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    number: int = 0
    copies: bool = False
    serialize: bool = False

    @property
    def is_cached(self) -> bool:
        return self.kind in _CACHED

    def command(self) -> str:
        number = self.number if self.number % 2 else "$NUMBER"
        does = (_CACHED if self.is_cached else _PLAIN)[self.kind]
        fields = {
            "target": _target(self.writes or ("c",)),
            "folder": _folder(self.writes or ("c",)),
        }
        text = does.replace("LOOK", f"({_LOOK})").replace("NUMBER_", f"{number}")
        for name, value in fields.items():
            text = text.replace(f"<{name}>", f"'{value}'")
        return f'cd {DATA}; LOOKED=$({_LOOK}); echo "$LOOKED"; echo {number}; {text}'

    def node(self) -> co.Exec:
        env = {} if self.number % 2 else {"NUMBER": str(self.number)}
        if not self.is_cached:
            return co.Exec(self.command(), env=env)
        cache = co.Cache(
            reads=self.reads,
            writes=self.writes,
            inputs="copy" if self.copies else "link",
            serialize=self.serialize,
        )
        return co.Exec(self.command(), env=env, cache=cache)


_MAKE = "mkdir -p <folder>; "
_CACHED = {
    "sum": _MAKE + 'echo "$LOOKED" NUMBER_ > <target>',
    "run": _MAKE + "rm -f <target>; echo NUMBER_ > <target>; chmod +x <target>",
    "shapes": _MAKE + "echo NUMBER_ > <target>; mkdir -p <folder>/empty/er <folder>/deep; "
    'echo "$LOOKED" > <folder>/deep/x; ln -sf deep/x <folder>/link',
    "append": _MAKE + "touch <target>; echo NUMBER_ >> <target>",
    "remove": _MAKE + f"f={_FIRST.format('<folder>')}; "
    'test -n "$f" && rm -f "$f"; echo NUMBER_ > <target>',
    "sometimes": 'case "$LOOKED" in *2*) ' + _MAKE + "echo NUMBER_ > <target>;; esac",
    "stray": _MAKE + 'echo "$LOOKED" > <target>; mkdir -p tmp; echo NUMBER_ > tmp/xNUMBER_',
    "fail": _MAKE + 'echo half > <target>; case "$LOOKED" in *3*) exit 3;; esac',
    "move": _MAKE + f"f={_FIRST.format('.')}; "
    'test -z "$f" || cp "$f" <target>; echo NUMBER_ >> <target>',
    "nothing": "true",
}
#: Without a cache: they see and may change everything, also in place.
_PLAIN = {
    "show": "true",
    "in place": f'f={_FIRST.format("b d e c")}; test -z "$f" || echo NUMBER_ >> "$f"',
    "same size": f"f={_FIRST.format('d b')}; "
    'test -z "$f" || printf NUMBER_ | dd of="$f" conv=notrunc 2>/dev/null',
    "rename": "test -d d && mv d g; true",
    "delete": "rm -rf b/x c",
    "executable": f'f={_FIRST.format("a b d")}; test -z "$f" || chmod +x "$f"',
    "folder": "test -f c && rm c && mkdir c && echo NUMBER_ > c/x; true",
}


@dataclass(frozen=True)
class Program:
    """A tree: a command that writes files, then steps, of which several may run at once."""

    sources: tuple[tuple[str, str], ...]
    groups: tuple[tuple[Step, ...], ...]
    stops: bool

    def tree(self) -> co.Serial:
        root = co.Serial(
            image="conducto-test/busybox:latest", cpu=0.25, mem=0.25, title="random files"
        )
        root.stop_on_error = self.stops
        root["start"] = co.Exec(f"cd {DATA}; true" + "".join(map(_written, self.sources)))
        for at, group in enumerate(self.groups):
            root[f"g{at}"] = below = co.Parallel()
            for number, step in enumerate(group):
                below[f"s{number}"] = step.node()
        return root


def _written(source: tuple[str, str]) -> str:
    name, content = source
    quoted = name.replace("'", "'\\''")
    return f"; mkdir -p '{Path(quoted).parent}'; echo {content} > '{quoted}'"


@dataclass(frozen=True)
class Launch:
    """A launch, and what a user does after it.

    Attributes:
        change: ``(file, content)`` that the user writes, or None.
        reset: The commands that the user runs again then.
    """

    program: Program
    change: tuple[str, str] | None = None
    reset: tuple[str, ...] = ()


def _step(random: Random) -> Step:
    kinds = (*_CACHED, *_CACHED, *_PLAIN) if random.random() < 0.8 else (*_PLAIN,)
    return Step(
        random.choice(kinds),
        random.choice(_READS),
        random.choice(_WRITES),
        random.randrange(4),
        random.random() < 0.3,
        random.random() < 0.2,
    )


def _may_be_parallel(one: Step, other: Step) -> bool:
    if not (one.is_cached and other.is_cached):
        return False
    pairs = [(one, other), (other, one), (one, one)]
    return not any(
        overlap(mine, its)
        for writer, user in pairs[:2]
        for mine in writer.writes
        for its in (*user.reads, *user.writes)
    )


def _group(random: Random) -> tuple[Step, ...]:
    first = _step(random)
    for _ in range(4):
        second = _step(random)
        if _may_be_parallel(first, second) and "stray" not in (first.kind, second.kind):
            return (first, second)
    return (first,)


def _sources(random: Random) -> tuple[tuple[str, str], ...]:
    names = [name for name in _NAMES if random.random() < 0.7]
    return tuple((name, random.choice("123")) for name in names)


def _edited(random: Random, program: Program) -> Program:
    groups = list(program.groups)
    at = random.randrange(len(groups))
    first = groups[at][0]
    match random.randrange(6):
        case 0:
            sources = dict(program.sources)
            sources[random.choice(_NAMES)] = random.choice("123")
            return replace(program, sources=tuple(sources.items()))
        case 1:
            return replace(program, sources=program.sources[1:])
        case 2:
            groups[at] = (replace(first, number=first.number + 1), *groups[at][1:])
        case 3:
            groups.insert(at, _group(random))
        case 4 if len(groups) > 1:
            del groups[at]
        case _:
            other = random.randrange(len(groups))
            groups[at], groups[other] = groups[other], groups[at]
    return replace(program, groups=tuple(groups))


def history(seed: int, launches: int) -> list[Launch]:
    """Return a random history; its last launch is that of its first program."""
    random = Random(seed)
    groups = tuple(_group(random) for _ in range(random.randrange(2, 5)))
    programs = [Program(_sources(random), groups, random.random() < 0.3)]
    while len(programs) < launches - 1:
        base = random.choice(programs) if random.random() < 0.3 else programs[-1]
        programs.append(_edited(random, base))
    found = []
    for program in (*programs, programs[0]):
        paths = [
            f"/g{at}/s{n}" for at, group in enumerate(program.groups) for n in range(len(group))
        ]
        launch = Launch(program)
        if random.random() < 0.4:
            change = random.choice(_NAMES), random.choice("456")
            launch = Launch(program, change, (random.choice(paths),))
        found.append(launch)
    return found


def change_file(data: Path, change: tuple[str, str]) -> None:
    """Write a file as a user does, unless something else is in its place."""
    name, content = change
    file = data / name
    if file.is_dir() or any(each.is_file() for each in file.parents if each != data):
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    new = file.with_name(".new")
    new.write_text(f"{content}\n")
    new.replace(file)


def files_of(data: Path) -> dict[str, str]:
    """Return all entries of a pipeline's data: contents, executable bits, links and directories."""
    found = {}
    for folder, below, names in os.walk(data):
        for base in (*below, *names):
            path = Path(folder, base)
            name, mode = str(path.relative_to(data)), path.lstat().st_mode
            if stat.S_ISLNK(mode):
                found[name] = f"-> {path.readlink()}"
            elif stat.S_ISDIR(mode):
                found[name] = "directory"
            else:
                found[name] = f"{'x' if mode & 0o111 else '-'} {path.read_text()}"
    return found
