"""``conducto-slack text|block``: messages to Slack from a shell."""

from __future__ import annotations

import sys

from conducto import slack
from conducto.errors import UsageError
from conducto.tools.arguments import ToolCommand, print_usage, run_tool

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Optional

_COMMANDS = {
    "text": ToolCommand(("recipient", "text")),
    "block": ToolCommand(("recipient", "json")),
}
_USAGE = "usage: conducto-slack text RECIPIENT TEXT | block RECIPIENT JSON"


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run the command; return its exit code: 0, 1 failed, 2 wrong usage."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words[:1] in (["-h"], ["--help"]):
        return print_usage(_USAGE)
    return run_tool("conducto-slack", _USAGE, lambda: _run(words))


def _run(words: Sequence[str]) -> int:
    command = _COMMANDS.get(words[0]) if words else None
    if command is None:
        raise UsageError("choose what to send: text or block")
    values = command.parse(words[1:]).values
    if words[0] == "text":
        slack.text(values["recipient"], values["text"])
    else:
        slack.block(values["recipient"], values["json"])
    return 0


if __name__ == "__main__":
    sys.exit(main())
