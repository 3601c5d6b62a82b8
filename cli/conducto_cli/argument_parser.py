"""A parser that suggests the nearest option or command, and that can keep secrets.

A word in the wrong place may be a secret: `keep_quiet` makes errors repeat no word.
"""

from __future__ import annotations

import argparse
import re
from typing import TYPE_CHECKING, Any, NoReturn

from conducto.tools.run import print_usage
from conducto_cli.references import suggestion

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from _typeshed import SupportsWrite

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
