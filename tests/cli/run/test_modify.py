"""What the options of ``conducto modify`` change."""

import argparse

import pytest

from conducto.errors import UsageError
from conducto_cli.run.modify import add_changes, changes_of
from conducto_core.run.model.requests import Changes


def changed(*words: str) -> Changes:
    parser = argparse.ArgumentParser()
    add_changes(parser)
    return changes_of(parser.parse_args(words))


def test_policy_of_retries_is_that_of_the_author_api() -> None:
    changes = changed("--retry", "3 delay=10s backoff=2 on=75,timeout")

    assert changes.retry == {
        "number": 3,
        "delay": 10.0,
        "backoff": 2.0,
        "jitter": 0.0,
        "max_delay": 3600.0,
        "on": [75, "timeout"],
    }
    assert changed("--retry", "").model_dump(exclude_unset=True) == {"retry": None}


@pytest.mark.parametrize("text", ["x", "-1", "3 delay", "3 wait=1", "3 delay=nan", "3 on=7,x"])
def test_invalid_policy_of_retries_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--retry: write a number"):
        changed("--retry", text)


@pytest.mark.parametrize("option", ["--budget", "--cpu", "--mem"])
@pytest.mark.parametrize("value", ["nan", "inf"])
def test_numbers_that_json_does_not_have_are_refused(option: str, value: str) -> None:
    with pytest.raises(UsageError, match=f"{option}: must be a finite number, got '{value}'"):
        changed(option, value)
