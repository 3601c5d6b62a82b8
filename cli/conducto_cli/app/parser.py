"""The parser of ``conducto``; the arguments of a command are read from its module."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from conducto.tools.arguments import print_usage
from conducto.version import DISTRIBUTION
from conducto_cli.app.arguments import Parser, add_target
from conducto_cli.app.exit import BRIEF
from conducto_cli.app.registry import COMMANDS, RunSignature

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_DESCRIPTION = "Look at pipelines and act on them. A pipeline is launched by its own script."
_EPILOG = f"""\
launch:
  python pipeline.py                 print the tree, run nothing
  python pipeline.py --local --run   run it in containers on this machine, and watch
  conducto pipeline.py --local       the same through this command; without --run it stays pending
  python pipeline.py --cloud --run   run it in the cloud (first: conducto login --url URL)

an ID may be shortened; a title, or @last or @failed, may replace it
a PATH may hold wildcards: '/tests/*', '/**/login' (quote them)

examples:
  conducto list
  conducto show abc                  come back to a pipeline
  conducto logs abc /tests/login     what a node printed
  conducto diff abc /tests/login     what changed between its last two attempts
  conducto rerun @last --failed      run failed nodes of the newest pipeline again
  conducto skip abc '/deploy/*'

exit codes: {BRIEF}
"""


def build_parser() -> Parser:
    """Return the parser of ``conducto``.

    It has all commands, but imports the module of a command only when the command is parsed or its
    parser is read from ``choices``.
    """
    parser = Parser(
        prog="conducto",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=_Grouped,
    )
    parser.add_argument("--version", action=_Version, help="print the version and exit")
    parser.add_argument(
        "--profile", metavar="P", help="the profile to use (default: $CONDUCTO_PROFILE)"
    )
    parser.add_subparsers(action=_Commands, dest="verb", metavar="COMMAND", title="commands")
    parser.set_defaults(target=None)
    return parser


def command_parser(name: str) -> Parser:
    command = COMMANDS[name]
    summary = f"{command.summary[0].upper()}{command.summary[1:]}."
    parser = Parser(prog=f"conducto {name}", description=f"{summary} {command.details}".strip())
    parser.command = name
    if command.call is not RunSignature.ENTRY:
        command.load().add_arguments(parser)
    if command.accepts_target:
        add_target(parser, str(command.target))
    return parser


class _Parsers(Mapping[str, Parser]):
    """The parser of each command, built when it is first read."""

    def __init__(self) -> None:
        self._built: dict[str, Parser] = {}

    def __getitem__(self, name: str) -> Parser:
        if name not in self._built:
            self._built[name] = command_parser(name)
        return self._built[name]

    def __contains__(self, name: object) -> bool:
        return name in COMMANDS

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)


class _Commands(argparse._SubParsersAction):  # type: ignore[type-arg]  # noqa: SLF001
    """The choice of a command; argparse has no public way to build parsers on demand."""

    def __init__(self, *positional: Any, **settings: Any) -> None:
        super().__init__(*positional, **settings)
        parsers = _Parsers()
        self.choices = parsers  # type: ignore[assignment]  # argparse only reads both
        self._name_parser_map = parsers  # type: ignore[assignment]
        self._choices_actions = [
            self._ChoicesPseudoAction(name, (), command.summary)
            for name, command in COMMANDS.items()
        ]


class _Grouped(argparse.RawDescriptionHelpFormatter):
    """Lists the commands in their groups."""

    def _format_action(self, action: argparse.Action) -> str:
        if not isinstance(action, _Commands):
            return super()._format_action(action)
        parts = []
        group = ""
        for line in action._get_subactions():  # noqa: SLF001
            if COMMANDS[line.dest].group != group:
                group = COMMANDS[line.dest].group
                parts.append(f"{'':{self._current_indent}}{group}:\n")
            self._indent()
            parts.append(super()._format_action(line))
            self._dedent()
        return "".join(parts)


class _Version(argparse.Action):
    """Reads the version only when asked for it."""

    def __init__(self, option_strings: Sequence[str], dest: str, **kwargs: str | None) -> None:
        super().__init__(option_strings, dest, nargs=0, help=kwargs.get("help"))

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415

        try:
            text = f"conducto {version(DISTRIBUTION)}"
        except PackageNotFoundError:
            text = "conducto, not installed: run from its source"
        parser.exit(print_usage(text))
