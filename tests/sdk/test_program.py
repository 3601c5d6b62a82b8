"""A launch records its function, the types of the parameters and the arguments."""

import datetime as dt
import enum
from pathlib import Path
from typing import Any, Literal

from conducto.inspection.codecs import codec_of
from conducto.inspection.schemas import schema_of
from conducto.inspection.signatures import signature_of
from conducto.script.program import describe, invocation
from conducto.wire import git_files
from conducto.wire.secret_names import looks_secret


class Color(enum.Enum):
    red = 1
    blue = 2


def sample(
    depth: int,
    color: Color = Color.red,
    since: dt.date | None = None,
    names: list[str] = ["a"],  # noqa: B006 (a default of a parameter)
    api_token: str = "default secret",
    *rest: int,
    quick: bool = False,
    untyped: Any = None,
    **more: str,
) -> None:
    """Do it.

    Args:
        depth: How deep.
        quick: Leave out the slow part.
    """


def described(*extra: Any, **named: Any) -> dict[str, Any]:
    return describe(sample, signature_of(sample), named, extra)


def test_parameters_have_type_default_and_help() -> None:
    found = {one["name"]: one for one in described(depth=3)["parameters"]}

    assert found["depth"]["type"] == {"type": "integer"}
    assert (found["depth"]["required"], found["depth"]["help"]) == (True, "How deep.")
    assert found["color"]["type"] == {"enum": ["red", "blue"]}
    assert found["color"]["default"] == "red"
    assert found["since"]["type"] == {
        "anyOf": [{"type": "string", "format": "date"}, {"type": "null"}]
    }
    assert found["since"]["default"] == "None"
    assert found["names"]["type"] == {"type": "array", "items": {"type": "string"}}
    assert (found["quick"]["type"], found["quick"]["default"]) == ({"type": "boolean"}, "false")
    assert found["quick"]["keyword_only"]


def test_arguments_are_the_words_of_a_command_line() -> None:
    found = described(1, 2, depth=3, color=Color.blue, quick=True, size="big", since=None)

    assert found["arguments"] == {
        "depth": "3",
        "color": "blue",
        "quick": "true",
        "size": "big",
        "since": "None",
    }
    assert found["rest"] == ["1", "2"]
    assert "size" in {one["name"] for one in found["parameters"]}


def test_values_of_secrets_are_not_recorded() -> None:
    found = described(depth=1, api_token="hunter2", db_password="hunter3")

    assert "hunter" not in str(found)
    assert "default secret" not in str(found)
    assert found["withheld"] == ["api_token", "db_password"]


def test_untyped_parameter_that_was_a_switch_is_a_switch_again() -> None:
    found = described(depth=1, untyped=True)

    untyped = next(one for one in found["parameters"] if one["name"] == "untyped")
    assert untyped["type"] == {"type": "boolean"}
    assert found["arguments"]["untyped"] == "true"


def test_literal_of_bools_keeps_its_own_words() -> None:
    assert schema_of(codec_of(Literal[True, "auto"])) == {"enum": ["True", "auto"]}


def test_names_of_secrets_are_recognized() -> None:
    assert all(map(looks_secret, ["password", "api-key", "GITHUB_TOKEN", "client_secret", "auth"]))
    assert not any(map(looks_secret, ["depth", "tokens", "author", "keys", "monkey"]))


def test_repository_of_a_script_is_recorded_without_credentials(tmp_path: Path) -> None:
    git = tmp_path / ".git"
    (git / "refs" / "heads").mkdir(parents=True)
    (git / "HEAD").write_text("ref: refs/heads/main\n")
    (git / "refs" / "heads" / "main").write_text("4f2c9e1\n")
    (git / "config").write_text(
        '[remote "origin"]\n\turl = https://ada:pass@example.com/shop.git\n'
    )
    script = tmp_path / "ci" / "checks.py"
    script.parent.mkdir()
    script.write_text("")

    found = invocation(str(script), "nightly")

    assert found["repository"] == {
        "url": "https://example.com/shop.git",
        "commit": "4f2c9e1",
        "branch": "main",
        "path": "ci/checks.py",
    }
    assert found["command"][-1] == "nightly"


def test_commit_of_a_packed_or_detached_checkout_is_found(tmp_path: Path) -> None:
    git = tmp_path / ".git"
    git.mkdir()
    (git / "HEAD").write_text("ref: refs/heads/main\n")
    (git / "packed-refs").write_text("# pack-refs\nabc123 refs/heads/main\n")
    assert git_files.commit(str(tmp_path)) == "abc123"

    (git / "HEAD").write_text("def456\n")
    assert git_files.commit(str(tmp_path)) == "def456"
