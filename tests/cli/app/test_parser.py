"""Errors for invalid command lines; for secrets see ``test_secrets``."""

import argparse
from collections.abc import Callable, Iterator

import pytest

from conducto_cli.app.parser import build_parser, command_parser
from conducto_cli.app.registry import COMMANDS, RunSignature
from conducto_cli.main import main
from support.cli_trees import CountingPipelines

Output = pytest.CaptureFixture[str]


#: Words of commands after which something cannot be made again from the terminal.
_DELETING = {"delete", "destroy", "erase", "leave", "remove", "revoke", "revoke-token", "rm"}
#: Asks for the name instead.
_BY_NAME = {"conducto org delete"}


def _all_parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for each in action.choices.values():
                yield from _all_parsers(each)


def test_every_command_that_deletes_asks_and_accepts_yes() -> None:
    parsers = [each for name in COMMANDS for each in _all_parsers(command_parser(name))]
    deleting = {each.prog for each in parsers if each.prog.split()[-1] in _DELETING}
    asking = {each.prog for each in parsers if "--yes" in each.format_help()}

    assert len(deleting) > 10
    assert deleting - asking == _BY_NAME


@pytest.mark.parametrize(
    "line",
    [
        "delete abc",
        "data rm abc NAME",
        "secrets delete TOKEN",
        "notify rm NAME",
        "schedule rm NAME",
        "trigger rm NAME",
        "trigger github-app rm",
        "trusts rm NAME",
        "tokens revoke abc",
        "members remove bob",
        "members erase bob",
        "admin revoke-token --org acme 0123456789",
    ],
)
def test_nothing_is_deleted_without_a_terminal_and_yes(
    line: str, conducto: Callable[..., int], fake: CountingPipelines, capsys: Output
) -> None:
    fake.finish("abc-def", "/build")

    assert conducto(*line.split()) == 2
    assert "There is no terminal to ask on; repeat it with --yes" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("lst", "invalid choice: 'lst'; did you mean 'list'? 'conducto --help' lists them"),
        ("qqqq", "invalid choice: 'qqqq'; see 'conducto --help'"),
        ("agent stopp", "invalid choice: 'stopp'; did you mean 'stop'? (choose from start, stop"),
        ("list --state erro", "invalid choice: 'erro'; did you mean 'error'? (choose from pend"),
        (
            "list --jsn",
            "conducto list: error: unrecognized arguments: --jsn; did you mean '--json'",
        ),
        (
            "data list --usr",
            "data list: error: unrecognized arguments: --usr; did you mean '--user",
        ),
        ("show abc --onec=1", "unrecognized arguments: --onec=1; did you mean '--once'?"),
        ("logs abc --attemts 2", "unrecognized arguments: --attemts 2; did you mean '--attempt'?"),
        ("show abc /a extra", "conducto show: error: unrecognized arguments: extra\n"),
        (
            "--profle list",
            "conducto list: error: unrecognized arguments: --profle; did you mean '--profile'?",
        ),
    ],
)
def test_similar_commands_are_suggested_with_the_usage_of_the_command(
    capsys: Output, line: str, said: str
) -> None:
    code = main(line.split())

    assert code == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "missing"),
    [
        ("reset", "ID"),
        ("secrets set", "NAME"),
        ("tree", "ID"),
        ("agent", "start|stop|status|repair|link|unlink|enable|disable"),
        ("completion", "bash|zsh|fish"),
    ],
)
def test_only_required_arguments_are_reported_missing(
    capsys: Output, line: str, missing: str
) -> None:
    code = main(line.split())

    assert code == 2
    assert capsys.readouterr().err.endswith(f"arguments are required: {missing}\n")


@pytest.mark.parametrize(
    "line",
    [
        "show abc --owner ada",
        "show abc --yes",
        "show abc --attempts 2",
        "logs abc --output x",
        "launch abc --run --detach",
    ],
)
def test_option_that_resembles_none_gets_no_suggestion(capsys: Output, line: str) -> None:
    code = main(line.split())

    assert code == 2
    error = capsys.readouterr().err
    assert "unrecognized arguments" in error
    assert "did you mean" not in error


def _commands_with_an_optional_path() -> list[str]:
    def places(name: str) -> list[argparse.Action]:
        actions = command_parser(name)._actions
        return [action for action in actions if not action.option_strings]

    return [
        name
        for name, command in COMMANDS.items()
        if command.call is RunSignature.CLIENT
        and any(p.metavar == "PATH" and p.nargs in {"?", "*"} for p in places(name))
    ]


@pytest.mark.parametrize("name", _commands_with_an_optional_path())
@pytest.mark.parametrize("path", [["/x"], ["--", "/x"]], ids=["path", "dashes"])
def test_option_is_accepted_in_front_of_an_optional_path(name: str, path: list[str]) -> None:
    given = build_parser().parse_args([name, "@last", "--cloud", *path])

    assert given.id == "@last"
    assert given.target == "cloud"
    assert getattr(given, "path", None) == "/x" or given.paths == ["/x"]


def test_commands_that_users_reported_are_among_those_with_an_optional_path() -> None:
    found = _commands_with_an_optional_path()

    assert {"approve", "logs", "rerun", "show", "skip", "tree"} <= set(found)


@pytest.mark.parametrize(
    "line",
    [
        "logs --tail 3 ID /x",
        "logs ID --tail 3 /x",
        "logs ID --tail=3 /x",
        "logs ID --tai 3 /x",
        "logs ID --tail 3 --cloud -- /x",
        "logs ID /x --tail 3",
    ],
)
def test_value_of_an_option_is_not_taken_as_a_path(line: str) -> None:
    given = build_parser().parse_args(line.split())

    assert (given.id, given.path, given.tail) == ("ID", "/x", 3)


def test_paths_in_front_of_and_behind_an_option_keep_their_order() -> None:
    given = build_parser().parse_args(["skip", "ID", "/a", "--dry-run", "/b", "/c"])

    assert given.paths == ["/a", "/b", "/c"]


def test_word_too_many_behind_an_option_is_refused(capsys: Output) -> None:
    code = main(["show", "abc", "/a", "--once", "extra"])

    assert code == 2
    assert "conducto show: error: unrecognized arguments: extra\n" in capsys.readouterr().err
