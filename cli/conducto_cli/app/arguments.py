"""Arguments that several commands share, and how typed values are parsed."""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any, NoReturn

from conducto.errors import UsageError
from conducto.tools.arguments import print_usage
from conducto.wire.fields import check_amount, parse_duration
from conducto.wire.printable import suggestion
from conducto_core.installation.names import EMULATOR_STAGE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from _typeshed import SupportsWrite

# ----------------------------------------------------------------------------------------
# A parser that suggests the nearest option or command, and that can keep secrets.
#
# A word in the wrong place may be a secret: `keep_quiet` makes errors repeat no word.


#: What argparse says that holds none of the words that were typed.
_WITHOUT_WORDS = re.compile(
    r"the following arguments are required: .*|argument \S+: (expected .*|not allowed with .*)"
)
_NOT_REPEATED = (
    "a word or an option is wrong here; it is not repeated, for it may be meant to be secret"
)

#: Similarity of an option that is suggested: below it, ``--run`` would stand for ``--no-run``.
_OPTION_CUTOFF = 0.7


class Parser(argparse.ArgumentParser):
    """An `argparse.ArgumentParser` whose errors name the nearest choice and the right command.

    Attributes:
        command: Name of the command whose arguments it parses.
        hint: Text of its errors in place of the words that were typed. None: these may be repeated.
    """

    command = ""
    hint: str | None = None

    def add_argument(self, *names: str, **settings: Any) -> argparse.Action:
        """Add an argument; one that may be left out is not among those said to be missing."""
        if settings.get("nargs") == "*":
            settings.setdefault("default", [])
        return super().add_argument(*names, **settings)

    def print_help(self, file: SupportsWrite[str] | None = None) -> None:
        """Print the help; ignore a closed pipe."""
        if file is None:
            print_usage(self.format_help().rstrip())
        else:
            super().print_help(file)

    def parse_args(  # type: ignore[override]  # the base takes namespaces of other classes
        self, args: Sequence[str], namespace: argparse.Namespace | None = None
    ) -> argparse.Namespace:
        """Return the parsed arguments; print an error and exit if they are invalid.

        If one of the words is a command that repeats none of them, errors about the words in front
        of it repeat none either: these may be misplaced values.
        """
        commands = _choices(self)
        for word in args:
            if self.hint is None and word in commands:
                self.hint = getattr(commands[word], "hint", None)
        found, rest = self.parse_known_args(args, namespace)
        if rest:
            meant = _meant(self, (getattr(found, "verb", None), getattr(found, "what", None)))
            near = _near_option(rest[0], meant, self) if rest[0].startswith("-") else ""
            meant.error(f"unrecognized arguments: {' '.join(rest)}{near}")
        return found

    def parse_known_args(  # type: ignore[override]  # the base takes namespaces of other classes
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Return the parsed arguments and the words that are left.

        In Python 3.11, argparse takes an optional word as left out if an option is in front of it,
        as in ``logs ID --tail 3 PATH``: then the words are parsed again, behind the options.
        """
        found, rest = super().parse_known_args(args, namespace)
        are_words = rest and not any(_is_option(word) for word in rest if word != "--")
        if not are_words or args is None or _choices(self):
            return found, rest
        return super().parse_known_args(_options_first(self, args), namespace)

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """Refuse a word that is none of the choices, with the nearest one of them."""
        if action.choices is None or value in action.choices:
            return
        known = [str(choice) for choice in action.choices]
        text = f"invalid choice: {value!r}{suggestion(str(value), known)}"
        if action.dest == "verb":  # forty of them
            text += " 'conducto --help' lists them" if "?" in text else "; see 'conducto --help'"
        else:
            text += f" (choose from {', '.join(known)})"
        raise argparse.ArgumentError(action, text)

    def error(self, message: str) -> NoReturn:
        """Print the usage and the error, and exit with 2."""
        if self.hint is not None and not _WITHOUT_WORDS.fullmatch(message):
            message = f"{_NOT_REPEATED}. {self.hint}"
        super().error(message)


def keep_quiet(parser: argparse.ArgumentParser, hint: str) -> None:
    """Have a parser, and those below it, repeat no word that was typed.

    Args:
        parser: A `Parser`.
        hint: What its errors say instead: what to type.
    """
    if isinstance(parser, Parser):
        parser.hint = hint
    for each in _choices(parser).values():
        keep_quiet(each, hint)


def _choices(parser: argparse.ArgumentParser) -> Mapping[str, argparse.ArgumentParser]:
    """Return ``{word: parser}`` of the commands below a parser."""
    for action in parser._actions:  # noqa: SLF001 - argparse has no other way to ask
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            found: Mapping[str, argparse.ArgumentParser] = action.choices
            return found
    return {}


def _meant(
    parser: argparse.ArgumentParser, chosen: Iterable[str | None]
) -> argparse.ArgumentParser:
    """Return the innermost command that was chosen, for its usage is what helps."""
    for word in chosen:
        parser = _choices(parser).get(word or "", parser)
    return parser


def _options_first(parser: argparse.ArgumentParser, words: Sequence[str]) -> list[str]:
    """Return the words of a command line with the options, and their values, at the front."""
    end = words.index("--") if "--" in words else len(words)
    options: list[str] = []
    others: list[str] = []
    is_value = False
    for word in words[:end]:
        is_option = not is_value and _is_option(word)
        (options if is_option or is_value else others).append(word)
        is_value = is_option and _takes_value(parser, word)
    return [*options, *others, *words[end:]]


def _is_option(word: str) -> bool:
    return word.startswith("-") and word != "-"


def _takes_value(parser: argparse.ArgumentParser, word: str) -> bool:
    """Return whether the next word is the value of an option, which may be shortened."""
    known = parser._option_string_actions  # noqa: SLF001 - argparse has no other way to ask
    meant = [word] if word in known else [name for name in known if name.startswith(word)]
    return any(known[name].nargs is None for name in meant)


def _near_option(word: str, *parsers: argparse.ArgumentParser) -> str:
    """Suggest an option; the dashes, which all of them share, do not make words similar."""
    known = [name.removeprefix("--") for name in _options(*parsers) if name.startswith("--")]
    name = word.partition("=")[0].lstrip("-")
    return suggestion(name, known, prefix="--", cutoff=_OPTION_CUTOFF)


def _options(*parsers: argparse.ArgumentParser) -> Iterator[str]:
    for parser in parsers:
        for action in parser._actions:  # noqa: SLF001 - argparse has no other way to ask
            yield from action.option_strings


METHOD_HELP = "returns the tree, with its arguments; may be left out when only one method does"
#: References that need no name: the pipeline launched last, and the last one that failed.
SHORTCUTS = ("@last", "@failed")
ID_HELP = "the pipeline: its id or the beginning of it, its title, @last or @failed"
PATHS_HELP = "nodes, each with all below it; wildcards *, ? and ** are allowed"


def add_subcommand(commands: Subcommands, name: str, summary: str, details: str = "") -> Parser:
    """Add a command below another one, such as ``secrets set``."""
    description = f"{summary[0].upper()}{summary[1:]}. {details}".strip()
    return commands.add_parser(name, help=summary, description=description)


def add_id(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id", metavar="ID", help=ID_HELP)


def add_json(*parsers: argparse.ArgumentParser) -> None:
    for parser in parsers:
        parser.add_argument("--json", action="store_true", help="machine-readable")


def parameters_of(texts: Iterable[str]) -> dict[str, str]:
    """Return ``{parameter: value}`` of the values of ``--set``; raises `UsageError`."""
    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise UsageError(f"--set must be NAME=VALUE, such as depth=3, got {text!r}")
        found[name.replace("-", "_")] = value
    return found


def add_method(parser: argparse.ArgumentParser) -> None:
    """Add the words after a script's FILE, for ``--help`` and completion."""
    parser.add_argument("words", metavar="METHOD", nargs="*", help=METHOD_HELP)


def add_target(parser: argparse.ArgumentParser, text: str) -> None:
    """Add ``--local`` and ``--cloud``, also to the commands below a parser.

    Args:
        text: Their help, with ``{}`` in place of the target.
    """
    for action in parser._actions:  # noqa: SLF001 - argparse has no other way to ask
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            for below in action.choices.values():
                add_target(below, text)
    group = parser.add_mutually_exclusive_group()
    for target, place in (("local", "on this machine"), ("cloud", "in the cloud")):
        group.add_argument(
            f"--{target}",
            action="store_const",
            const=target,
            dest="target",
            # An option that is not given does not undo one in front of a subcommand.
            default=argparse.SUPPRESS,
            help=text.format(place),
        )


def add_stage(parser: argparse.ArgumentParser) -> None:
    """Add ``--stage`` and ``--region``, which select an installation."""
    parser.add_argument(
        "--stage", type=a_stage, default="main", help="the installation (default: main)"
    )
    parser.add_argument("--region", help="AWS region (default: that of the AWS configuration)")


def a_stage(text: str) -> str:
    if re.fullmatch(r"[a-z][a-z0-9-]{0,15}", text) is None:
        raise argparse.ArgumentTypeError(
            f"must be lower-case letters, digits and '-', at most 16, got {text!r}"
        )
    if text == EMULATOR_STAGE:
        raise argparse.ArgumentTypeError(f"{text!r} is the name of the local emulator")
    return text


def a_time(text: str) -> float:
    """Return the seconds of a time that was typed."""
    try:
        return parse_duration(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"must be a time such as 30m or 2h, got {text!r}"
        ) from None


def a_time_within(shortest: str, longest: str, text: str) -> float:
    """Return the seconds of a time that was typed."""
    seconds = a_time(text)
    if not a_time(shortest) <= seconds <= a_time(longest):
        raise argparse.ArgumentTypeError(f"must be from {shortest} to {longest}, got {text!r}")
    return seconds


def a_moment(text: str, *, ahead: bool = False) -> float:
    """Return a time that was typed, as a date or as ``10m`` before now, in seconds since 1970.

    Args:
        text: The words.
        ahead: ``10m`` is after now.
    """
    try:
        return time.time() + (parse_duration(text) if ahead else -parse_duration(text))
    except ValueError:
        pass
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError, OSError):
        raise argparse.ArgumentTypeError(
            f"must be a time such as 10m or 2026-01-31T18:00, got {text!r}"
        ) from None


def dollars_above_0(text: str) -> float:
    """Return an amount of dollars that was typed."""
    try:
        return check_amount("it", float(text))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"must be a number of dollars above 0, got {text!r}"
        ) from None


def file_text(name: str) -> str:
    """Return the text of a file that was named; raises `UsageError` if it has none."""
    try:
        with open(name, encoding="utf-8") as file:  # noqa: PTH123  most commands need no pathlib
            return file.read()
    except OSError as error:
        raise UsageError(f"cannot read {name}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{name} is not text in UTF-8") from error


def a_positive(text: str) -> int:
    """Return a whole number above 0 that was typed."""
    number = a_count(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be 1 or more, got {text}")
    return number


def a_count(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,15}", text):
        raise argparse.ArgumentTypeError(f"must be a whole number, got {text!r}")
    return int(text)


def a_line_range(text: str) -> tuple[int, int | None]:
    """Return ``(first, last)`` of ``N``, ``N:`` or ``N:M``, counted from 1; None is the end."""
    first, colon, last = text.partition(":")
    begin = a_positive(first)
    if not colon:
        return begin, begin
    end = None if last == "" else a_positive(last)
    if end is not None and end < begin:
        raise argparse.ArgumentTypeError(f"ends before it begins: {text}")
    return begin, end


# ----------------------------------------------------------------------------------------
# Questions that a person answers with yes or no.
#
# A command that deletes, removes or revokes something asks on a terminal, and needs ``--yes``
# without one. Connections that can be made again (unlink, forget, logout) end without a question.


#: Asks a person something that is answered by yes or no.
Ask = Callable[[str], bool]


def add_yes(*parsers: argparse.ArgumentParser) -> None:
    for parser in parsers:
        parser.add_argument("--yes", action="store_true", help="ask nothing")


def confirmed(question: str, *, yes: bool) -> bool:
    """Return whether the user agrees, and say that nothing was changed if not.

    Raises:
        UsageError: There is no terminal to ask on, and no ``--yes``.
    """
    if not yes and not sys.stdin.isatty():
        raise UsageError(f"{question} There is no terminal to ask on; repeat it with --yes")
    agreed = asker(yes=yes)(question)
    if not agreed:
        print("nothing was changed", file=sys.stderr)
    return agreed


def asker(*, yes: bool) -> Ask:
    """Return a function that asks the user: no without a terminal, yes with ``yes``."""

    def ask(question: str) -> bool:
        if yes:
            return True
        if not sys.stdin.isatty():
            print(f"{question} Say --yes to do so.", file=sys.stderr)
            return False
        print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)  # stdout may be JSON
        try:
            return input().strip().lower() in {"y", "yes"}
        except EOFError:
            return False

    return ask


if TYPE_CHECKING:
    Subcommands = argparse._SubParsersAction[Parser]  # noqa: SLF001 - it has no other name
