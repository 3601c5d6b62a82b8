"""Errors for invalid command lines; for secrets see ``test_secrets``."""

import pytest

from conducto_cli.main import main

Output = pytest.CaptureFixture[str]


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
