"""Questions that a person answers with yes or no."""

import sys
from collections.abc import Callable

#: Asks a person something that is answered by yes or no.
Ask = Callable[[str], bool]


def asker(*, yes: bool) -> Ask:
    """Return a function that asks the user: no without a terminal, yes with ``yes``."""

    def ask(question: str) -> bool:
        if yes:
            return True
        if not sys.stdin.isatty():
            print(f"{question} Say --yes to do so.", file=sys.stderr)
            return False
        try:
            return input(f"{question} [y/N] ").strip().lower() in {"y", "yes"}
        except EOFError:
            return False

    return ask
