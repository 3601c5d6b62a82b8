"""``conducto-profile``: list, choose, add and delete profiles; start and stop their agents."""

from __future__ import annotations

import sys

from conducto import profile
from conducto.errors import UsageError
from conducto.tools.arguments import ToolCommand, print_usage, run_tool

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Optional

    from conducto.tools.arguments import Parsed

_COMMANDS = {
    "list": ToolCommand(),
    "set_default": ToolCommand(("id",)),
    "add": ToolCommand(("url",), ("token",), flags=("default",)),
    "delete": ToolCommand((), ("id", "url", "email"), flags=("force",)),
    "start_agent": ToolCommand((), ("id",)),
    "stop_agent": ToolCommand((), ("id",)),
}
_USAGE = """usage: conducto-profile COMMAND ...

A profile is a directory below ~/.conducto with its own agent, pipelines, data and secrets.

commands:
  list
      print the profiles; the default one is marked
  set-default ID
      make a profile the default, used without CONDUCTO_PROFILE or --profile
  add --url URL [--default] [--token TOKEN]
      add a profile for the server at URL; --default makes it the default
  delete [--id ID] [--url URL] [--email EMAIL] [--force]
      delete the profile that matches, with all its contents
  start-agent [--id ID]
      start the agent of a profile; of the default one without --id
  stop-agent [--id ID]
      stop the agent of a profile"""


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run the command; return its exit code: 0, 1 failed, 2 wrong usage."""
    words = list(sys.argv[1:] if argv is None else argv)
    if any(word in {"-h", "--help"} for word in words):
        return print_usage(_USAGE)
    return run_tool("conducto-profile", _USAGE, lambda: _run(words))


def _run(words: Sequence[str]) -> int:
    name = words[0].replace("-", "_") if words else ""
    command = _COMMANDS.get(name)
    if command is None:
        raise UsageError(f"{words[0]!r} is not a command" if words else "give a command")
    return _call(name, command.parse(words[1:]))


def _call(name: str, parsed: Parsed) -> int:
    values = parsed.values
    if name == "list":
        profile.profile_list()
    elif name == "set_default":
        profile.profile_set_default(values["id"])
    elif name == "add":
        default = parsed.flags.get("default", False)
        print(f"Profile {profile.profile_add(values['url'], default, parsed.get('token'))}")
    elif name == "delete":
        force = parsed.flags.get("force", False)
        profile.profile_delete(parsed.get("id"), parsed.get("url"), parsed.get("email"), force)
    elif name == "start_agent":
        return profile.profile_start_agent(parsed.get("id"))
    else:
        return profile.profile_stop_agent(parsed.get("id"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
