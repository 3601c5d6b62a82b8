"""Can the suite fail? Bugs are put into the cloud's half; every one must be caught."""

from __future__ import annotations

import pytest

from support.asl.interpreter import Interpreter
from support.asl.mutants import Mutant, mutated_cloud
from support.asl.play import new_game, play

#: Games within which a bug must be detected; CI plays as many.
ENOUGH = 800

MUTANTS = [
    Mutant(
        "a decision is not followed by another plan",
        "asl.rules.machine",
        "outdated |= state.open and not in_hand",
        "pass",
    ),
    Mutant(
        "an approval that is asked again stays out of the plan",
        "asl.rules.machine",
        "outdated |= command.path not in self.run_state.planned",
        "pass",
    ),
    Mutant(
        "the graph does not wait for an approval",
        "asl.rules.compiler",
        'return self._wait(scope, part, _block(scope, part, failed, role="a"))',
        "return self._wait(scope, part, ok)",
    ),
    Mutant(
        "a worker is asked to expand a map",
        "asl.rules.compiler",
        "if part.waits or (is_exec and not part.spec.has_command):",
        "if part.waits or part.spec.approval is not None:",
    ),
    Mutant(
        "a worker is awaited for a map that expands out of turn",
        "asl.rules.compiler",
        "if not spec.has_command:",
        "if spec.approval is not None:",
    ),
    Mutant(
        "a Serial that should stop goes on, and the other way round",
        "run.rules.outcomes",
        "            return stop_on_error\n",
        "            return not stop_on_error\n",
    ),
    Mutant(
        "a kill is not suppressed",
        "run.rules.outcomes",
        "if suppress_errors and state in FAILED:",
        "if suppress_errors and state is State.ERROR:",
    ),
    Mutant(
        "a failed child does not fail its group",
        "run.rules.outcomes",
        "return Outcome.FAILED if any_failed else Outcome.OK",
        "return Outcome.OK",
    ),
    Mutant(
        "a failure that a map tolerates fails the graph",
        "asl.rules.machine",
        "None if node.is_tolerated() else FAILED",
        "FAILED",
    ),
    Mutant(
        "the failure that is too many for a map is answered as a success",
        "asl.rules.machine",
        "None if node.is_tolerated() else FAILED",
        "None if node.parent is not None and node.parent.spec.map else FAILED",
    ),
    Mutant(
        "a tolerated failure is planned as one",
        "asl.rules.states",
        "case Outcome.FAILED if node.is_tolerated():",
        "case Outcome.FAILED if False:",
    ),
    Mutant(
        "a map tolerates one failure too many",
        "run.rules.outcomes",
        "return total - ceil(needed)",
        "return total - ceil(needed) + 1",
    ),
    Mutant(
        "one retry too few",
        "run.rules.outcomes",
        'failure.tries <= _number(callback, "max_num_retries")',
        'failure.tries < _number(callback, "max_num_retries")',
    ),
    Mutant(
        "a reset loses what was done",
        "run.rules.machine",
        "elif node.state in FINISHED:",
        "elif node.state in FAILED:",
    ),
    Mutant(
        "an Exec without a Catch",
        "asl.rules.states",
        '        "Catch": [*catch, *extra.pop("catch", ()), _catch_all(caught)],\n        **exit_,',
        "        **exit_,",
    ),
    Mutant(
        "a branch that fails aborts its siblings",
        "asl.rules.states",
        '{"Type": "Pass", "Result": _FAILED, "End": True}',
        '{"Type": "Fail", "Error": "NodeFailed"}',
    ),
    Mutant(
        "nobody waits when a Lazy gets no tree",
        "asl.rules.compiler",
        "blocked = scope.name_of(_block(scope, part.generates, failed))",
        "blocked = scope.name_of(failed)",
    ),
    Mutant(
        "the outcome of a Parallel is read the wrong way round",
        "asl.rules.compiler",
        "states.choice_any_failed(scope.name_of(failed), scope.name_of(ok))",
        "states.choice_any_failed(scope.name_of(ok), scope.name_of(failed))",
    ),
    Mutant(
        "a failure in a Serial that goes on leads past the rest",
        "asl.rules.compiler",
        "entry = self._enter(scope, child, entry, noted, sure=False)",
        "entry = self._enter(scope, child, entry, after_failure, sure=False)",
    ),
    Mutant(
        "a chain is laid in the wrong order",
        "asl.rules.compiler",
        "for child in reversed(children):",
        "for child in children:",
    ),
    Mutant(
        "what runs out of turn is not waited for",
        "asl.rules.states",
        "    return _flying(tree, [n for n in later if",
        "    return () and _flying(tree, [n for n in later if",
    ),
    Mutant(
        "a skipped group in flight counts as failed",
        "asl.rules.states",
        "failed=not node.skipped,",
        "failed=True,",
    ),
    Mutant(
        "a Lazy generates while its old tree runs",
        "asl.rules.states",
        "        return _flying(tree, [target])\n",
        "        return ()\n",
    ),
    Mutant(
        "a bundle of children suppresses errors as its group does",
        "asl.rules.partition",
        "spec = replace(part.spec, suppress_errors=False, awaits_tree=False)",
        "spec = replace(part.spec, awaits_tree=False)",
    ),
]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_bug_in_one_target_is_detected(mutant: Mutant) -> None:
    cloud = mutated_cloud(mutant)

    assert games_until_caught(cloud) is not None


def test_without_a_bug_nothing_is_caught() -> None:
    harmless = Mutant(
        "none", "run.rules.outcomes", "class Outcome(Enum):", "class Outcome(Enum):  # same"
    )

    assert games_until_caught(mutated_cloud(harmless), games=50) is None


def games_until_caught(cloud: type, games: int = ENOUGH) -> int | None:
    """Return the seed of the first game in which the sides part; None when none does."""
    for seed in range(games):
        try:
            play(new_game(seed, Interpreter(), cloud=cloud))
        except (AssertionError, KeyError, ValueError, LookupError):
            return seed
    return None
