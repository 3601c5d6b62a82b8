"""Bugs that are injected into the rules, to check that the tests can fail.

``python -m support.mutations [NAME…]``, run in ``tests/``, tries them and prints a line of JSON for
each net that should detect one: ``{"mutation", "net", "caught_by", "seconds"}``. A net is a file of
tests, or one test of it; ``caught_by`` is the first test that failed, or null. The mutation
``none`` changes nothing and must not be detected.

Tests run in children of one process that has loaded the other modules.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from typing import Any

import pytest

import conducto_core

TESTS = Path(__file__).parent.parent
PACKAGE = "conducto_core"
TABLES, STORIES, LAWS = "run/test_rules", "test_machine", "test_machine_properties"
TALLY, QUEUE, LEFT = "test_roll_up", "test_admission_queue", "test_residual"
CACHE, FORECAST = "cache/test_rules", "test_forecast"
EFFORT = "0.4"
_PARAM = type(pytest.param())


@dataclass(frozen=True)
class Mutation:
    """One bug.

    Attributes:
        name: The fault of the program.
        module: The module of `conducto_core` to change.
        old: Text that occurs once in its source.
        new: Its replacement.
        nets: Each of these files of tests (or ``file::test``) must detect it.
    """

    name: str
    module: str
    old: str
    new: str
    nets: tuple[str, ...]


#: The ordinary test run already covers the laws and the residual.
NONE = Mutation(
    "none", "run.rules.outcomes", "", "", (TABLES, STORIES, TALLY, QUEUE, CACHE, FORECAST)
)

MUTATIONS = [
    Mutation(
        "a skipped failure counts",
        "run.rules.outcomes",
        "if skipped or state is State.DONE:",
        "if state is State.DONE:",
        (TABLES, LAWS),
    ),
    Mutation(
        "a skipped Exec that runs is not waited for",
        "run.rules.outcomes",
        "if state in IN_FLIGHT:\n        return Outcome.UNFINISHED",
        "if state in IN_FLIGHT and not skipped:\n        return Outcome.UNFINISHED",
        (TABLES, LAWS),
    ),
    Mutation(
        "a Serial always stops on an error",
        "run.rules.outcomes",
        "return stop_on_error",
        "return True",
        (TABLES, LAWS),
    ),
    Mutation(
        "a group is killed while something runs in it",
        "run.rules.outcomes",
        "if in_flight:",
        "if in_flight and not expired:",
        (TABLES, LAWS),
    ),
    Mutation(
        "a kill is not suppressed",
        "run.rules.outcomes",
        "if suppress_errors and state in FAILED:",
        "if suppress_errors and state is State.ERROR:",
        (TABLES, LAWS),
    ),
    Mutation(
        "a warning does not go up",
        "run.rules.outcomes",
        "(own or any_child_warns)",
        "own",
        (TABLES, LAWS),
    ),
    Mutation(
        "one retry too many",
        "run.rules.outcomes",
        "if failure.tries <= _number",
        "if failure.tries - 1 <= _number",
        (TABLES, STORIES),
    ),
    Mutation(
        "a kill by a person is retried",
        "run.rules.outcomes",
        "Cause.KILLED_BY_USER,\n",
        "\n",
        (TABLES, STORIES),
    ),
    Mutation(
        "a callback on killed hears of errors",
        "run.rules.outcomes",
        'in ("error", failure.state.value)',
        'in ("error", "killed")',
        (TABLES,),
    ),
    Mutation(
        "a retry for memory gets no more than it had",
        "run.rules.outcomes",
        "if mem > failure.mem",
        "if mem >= failure.mem",
        (TABLES,),
    ),
    Mutation(
        "attempts have the same number",
        "run.rules.machine",
        "node.attempt += 1",
        "node.attempt = 1",
        (f"{LAWS}::test_every_run_settles_and_every_attempt_is_accounted_for", STORIES),
    ),
    Mutation(
        "a retry is not queued",
        "run.rules.machine",
        "self.tree.set_exec(node, State.PENDING)\n        self.tree.notices.append",
        "self.tree.set_exec(node, State.PENDING)\n        [].append",
        (LAWS, STORIES),
    ),
    Mutation(
        "an unskipped node does not start",
        "run.rules.machine",
        "self.tree.set_skipped(node, False)\n        self.tree.notices.append",
        "self.tree.set_skipped(node, False)\n        [].append",
        (LAWS, STORIES),
    ),
    Mutation(
        "a pause leaves the queue",
        "run.rules.machine",
        "tree.armed, tree.paused = False, True\n                self._hold_back(tree.root)",
        "tree.armed, tree.paused = False, True",
        (LAWS, STORIES),
    ),
    Mutation(
        "a time limit leaves the queue of its group",
        "run.rules.machine",
        "node.expired = True\n            self._hold_back(node)",
        "node.expired = True",
        (LAWS, STORIES),
    ),
    Mutation(
        "a stop at a time limit counts as success",
        "run.rules.machine",
        "return Cause.TIMEOUT",
        "return reported",
        (STORIES,),
    ),
    Mutation(
        "a reset below an expired group starts nothing",
        "run.rules.machine",
        "group.expired = False\n                self.tree.refresh(group)",
        "pass",
        (STORIES,),
    ),
    Mutation(
        "a timer outlives its group",
        "run.rules.machine",
        "if isinstance(node, LiveGroup) and node.reported[0] is State.RUNNING:",
        "if False:",
        (STORIES,),
    ),
    Mutation(
        "a count goes astray",
        "run.rules.tree_state",
        "group.counts[after] += 1",
        "group.counts[after] += group.parent is None",
        (LAWS, STORIES),
    ),
    Mutation(
        "a skip is counted twice",
        "run.rules.tree_state",
        "if group.skipped:  # its parent counts all of it as skipped already\n"
        "                break",
        "pass",
        (LAWS,),
    ),
    Mutation(
        "a parent sees a failure before the callbacks of the group are asked",
        "run.rules.live_nodes",
        "if self.held:",
        "if False:",
        (STORIES,),
    ),
    Mutation(
        "a group remembers a failure that was reset",
        "run.rules.outcomes",
        "self.failed += (seen is Outcome.FAILED) - (before is Outcome.FAILED)",
        "self.failed += seen is Outcome.FAILED",
        (TALLY, LAWS),
    ),
    Mutation(
        "a Serial goes on behind a child that was reset",
        "run.rules.outcomes",
        "heappush(self._holding, position)",
        "self._holding.append(position)",
        (TALLY, LAWS),
    ),
    Mutation(
        "something starts in a group whose time is out",
        "run.rules.tree_state",
        "group.skipped or group.expired or group.discarding",
        "group.skipped or group.discarding",
        (LAWS,),
    ),
    Mutation(
        "something starts out of its turn",
        "run.rules.tree_state",
        "if not _open(group) or not group.tally.may_run(node.position):",
        "if not _open(group):",
        (LAWS,),
    ),
    Mutation(
        "a group takes one too many",
        "run.rules.admission",
        "use.used < limit.room",
        "use.used <= limit.room",
        (QUEUE,),
    ),
    Mutation(
        "memory is promised twice",
        "run.rules.admission",
        "and ticket.mem <= self.mem + slack",
        "and ticket.mem <= self.size[1]",
        (QUEUE,),
    ),
    Mutation(
        "the last one comes first",
        "run.rules.admission",
        "ticket.number = self._added",
        "ticket.number = -self._added",
        (QUEUE,),
    ),
    Mutation(
        "a large one is passed by small ones",
        "run.rules.admission",
        "if not self._can_start(ticket):\n                return None",
        "if not self._can_start(ticket):\n                ticket.number += 1000\n"
        "                heappop(self._queue)\n"
        "                heappush(self._queue, (ticket.number, ticket))\n"
        "                if ticket.number > 9000:\n                    return None\n"
        "                continue",
        (QUEUE,),
    ),
    Mutation(
        "nobody is let in for one that is withdrawn",
        "run.rules.admission",
        "return  # next_admitted() drops it later\n        self._let_next_in(ticket)",
        "return",
        (QUEUE,),
    ),
    Mutation(
        "nobody is let in for one that steps aside",
        "run.rules.admission",
        "and still has room for its next attempt.\n                self._let_next_in(ticket)",
        "and still has room for its next attempt.",
        (QUEUE,),
    ),
    Mutation(
        "what comes after a failure is left to run",
        "asl.rules.states",
        "if stops and child.seen() is Outcome.FAILED:\n            break",
        "pass",
        (LEFT,),
    ),
    Mutation(
        "nobody waits for what runs out of turn",
        "asl.rules.states",
        "if node.spec.type is not NodeType.SERIAL or first is None or not node.in_flight():",
        "if True:",
        (LEFT,),
    ),
    Mutation(
        "the field command of a cache key is empty",
        "cache.rules",
        '"command": _digest(inputs.script),',
        '"command": "",',
        (CACHE,),
    ),
    Mutation(
        "the field environment of a cache key is empty",
        "cache.rules",
        '"environment": _digest(_without(inputs.env, ignored)),',
        '"environment": "",',
        (CACHE,),
    ),
    Mutation(
        "the field secrets of a cache key is empty",
        "cache.rules",
        '"secrets": _digest(_without(inputs.secrets, ignored)),',
        '"secrets": "",',
        (CACHE,),
    ),
    Mutation(
        "the field base image of a cache key is empty",
        "cache.rules",
        '"base image": _digest((inputs.image.base, inputs.shell)),',
        '"base image": "",',
        (CACHE,),
    ),
    Mutation(
        "the field code of a cache key is empty",
        "cache.rules",
        '"code": _digest(code),',
        '"code": "",',
        (CACHE,),
    ),
    Mutation(
        "the field results of a cache key is empty",
        "cache.rules",
        '"results": _digest({path: _digest(data.hex()) for path, data in inputs.results.items()}),',
        '"results": "",',
        (CACHE,),
    ),
    Mutation(
        "the field files of a cache key is empty",
        "cache.rules",
        '"files": files_field(inputs.data),',
        '"files": "",',
        (CACHE,),
    ),
    Mutation(
        "the field salt of a cache key is empty",
        "cache.rules",
        '"salt": _digest((KEY_FORMAT, cache.salt, cache.scope, who)),',
        '"salt": "",',
        (CACHE,),
    ),
    Mutation(
        "an ignored variable counts",
        "cache.rules",
        "if name not in ignored)",
        "if True)",
        (CACHE,),
    ),
    Mutation(
        "files outside of code count",
        "cache.rules",
        "if names_file(spec.code, each[0]))",
        "if True)",
        (CACHE,),
    ),
    Mutation(
        "an unknown image has a key",
        "cache.rules",
        "if inputs.image.base is None:",
        "if False:",
        (CACHE,),
    ),
    Mutation(
        "a rerun by a user hits",
        "cache.rules",
        "if forced is not None:\n        return CacheDecision",
        "if False:\n        return CacheDecision",
        (CACHE,),
    ),
    Mutation(
        "equal keys are equal inputs",
        "cache.rules",
        " and each.fields == fields]",
        "]",
        (CACHE,),
    ),
    Mutation(
        "an entry has no age",
        "cache.rules",
        "if newest is not None and (max_age is None or now - newest.made <= max_age):",
        "if newest is not None:",
        (CACHE,),
    ),
    Mutation(
        "a fork uses outcomes made with secrets",
        "cache.rules",
        "if entry.with_secrets and not reader.with_secrets:",
        "if False:",
        (CACHE,),
    ),
    Mutation(
        "the outcome of a user's secret is for all",
        "cache.rules",
        "return entry.private_to is None or entry.private_to == reader.private_to",
        "return True",
        (CACHE,),
    ),
    Mutation(
        "a failure is stored",
        "cache.rules",
        "if attempt.state is not State.DONE or attempt.cause is not None:",
        "if False:",
        (CACHE,),
    ),
    Mutation(
        "a fork stores outcomes",
        "cache.rules",
        "if is_untrusted(record):\n        return",
        "if False:\n        return",
        (CACHE,),
    ),
    Mutation(
        "a cached command may name its pipeline",
        "cache.rules",
        "(bool(named), f",
        "(False, f",
        (CACHE,),
    ),
    Mutation(
        "a shared container is cached",
        "cache.rules",
        "(kind_of(spec.pool) is PoolKind.CONTEXT, _SHARED_CONTAINER)",
        "(False, _SHARED_CONTAINER)",
        (CACHE,),
    ),
    Mutation(
        "processes of the machine are cached",
        "cache.rules",
        'if record.engine == "process":',
        "if False:",
        (CACHE,),
    ),
    Mutation(
        "the plan knows results of commands that run",
        "cache.forecast",
        "elif isinstance(node, LiveExec) and path not in self._results:",
        "elif False:",
        (FORECAST,),
    ),
    Mutation(
        "the plan forgets the files of hits",
        "cache.forecast",
        "self._written.add_hit(files.writes, wrote)",
        "pass",
        (FORECAST,),
    ),
    Mutation(
        "the plan forgets files of commands that run",
        "cache.forecast",
        "found.append(_Writer(path, writes))",
        "pass",
        (FORECAST,),
    ),
    Mutation(
        "a command beside another one counts as before it",
        "cache.forecast",
        "if nodes[above].type is NodeType.SERIAL:",
        "if True:",
        (FORECAST,),
    ),
    Mutation(
        "skipped commands are in the plan",
        "cache.forecast",
        "if any(self._pipeline.nodes[path].skip for path in (spec.path, *ancestors(spec.path))):",
        "if False:",
        (FORECAST,),
    ),
    Mutation(
        "equal commands of a tree do not count",
        "cache.forecast",
        "return None if first == spec.path else first",
        "return None",
        (FORECAST,),
    ),
]


def source_of(module: str) -> str:
    """Return the source of a module of rules, without loading it."""
    name = f"{module.replace('.', '/')}.py"
    return Path(conducto_core.__path__[0], name).read_text(encoding="utf-8")


class _Mutating(MetaPathFinder, SourceFileLoader):
    """An import hook that loads the mutated module."""

    def __init__(self, mutation: Mutation) -> None:
        self._mutation = mutation
        self._name = f"{PACKAGE}.{mutation.module}"

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> ModuleSpec | None:
        if fullname != self._name:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        assert spec is not None
        assert spec.origin is not None
        SourceFileLoader.__init__(self, fullname, spec.origin)
        spec.loader = self
        return spec

    def get_code(self, fullname: str) -> Any:
        source = self.get_data(self.path).decode()
        mutated = source.replace(self._mutation.old, self._mutation.new)
        return compile(mutated, self.path, "exec")


def _tests_of(net: str) -> Iterator[tuple[str, Any, dict[str, Any]]]:
    """Yield ``(name, function, arguments)`` of every test of a net."""
    file, _, only = net.partition("::")
    (path,) = TESTS.glob(f"*/**/{file}.py")
    spec = importlib.util.spec_from_file_location(f"mutated_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for name, function in vars(module).items():
        if name == only or (name.startswith("test_") and not only):
            for label, arguments in _cases(function):
                yield f"{name}{label}", function, arguments


def _cases(function: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield ``(label, arguments)``; a test has at most one ``parametrize``."""
    marks = [m for m in getattr(function, "pytestmark", []) if m.name == "parametrize"]
    if not marks:
        yield "", {}
        return
    (mark,) = marks
    names, rows = mark.args[:2]
    for number, row in enumerate(rows):
        values, label = row, str(number)
        if isinstance(row, _PARAM):
            label = str(number) if row.id is None else str(row.id)
            values = row.values[0] if isinstance(names, str) else row.values
        pairs = [(names, values)] if isinstance(names, str) else zip(names, values, strict=True)
        yield f"[{label}]", dict(pairs)


def _caught_by(mutation: Mutation, net: str) -> str | None:
    """Return the first test of ``net`` that the mutant fails."""
    sys.meta_path.insert(0, _Mutating(mutation))
    for name, function, arguments in _tests_of(net):
        try:
            function(**arguments)
        except (Exception, pytest.fail.Exception):  # noqa: BLE001 - a mutant may raise any error
            return name
    return None


def _in_child(mutation: Mutation, net: str) -> str | None:
    """Run one mutant in a child process, which loads the rules again."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            response = json.dumps(_caught_by(mutation, net))
            os.write(writing, response.encode())
            code = 0
        finally:
            os._exit(code)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        response = pipe.read()
    os.waitpid(child, 0)
    if not response:
        raise RuntimeError(f"{mutation.name}: the tests of {net} did not come to an end")
    caught: str | None = json.loads(response)
    return caught


def _preload() -> None:
    """Load the slow modules that are not mutated."""
    for name in (
        "hypothesis.strategies",
        "conducto.tree.launch_form",
        "conducto_core.run.model.requests",
        "conducto_core.tree.model",
    ):
        importlib.import_module(name)
    loaded = {f"{PACKAGE}.{mutation.module}" for mutation in MUTATIONS} & set(sys.modules)
    assert not loaded, f"the unmutated modules are loaded already: {loaded}"


def main() -> None:
    """Try the mutations named on the command line, or all of them."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="default: all, and none at all")
    names = set(parser.parse_args().names)
    os.environ.setdefault("CONDUCTO_TEST_EFFORT", EFFORT)
    _preload()
    for mutation in (*MUTATIONS, NONE):
        if names and mutation.name not in names:
            continue
        for net in mutation.nets:
            began = time.monotonic()
            caught = _in_child(mutation, net)
            seconds = round(time.monotonic() - began, 3)
            line = {
                "mutation": mutation.name, "net": net, "caught_by": caught, "seconds": seconds
            }  # fmt: skip
            print(json.dumps(line), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
