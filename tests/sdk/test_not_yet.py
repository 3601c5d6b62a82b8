"""Modules that need a server can be imported, and fail when called; secrets never fail."""

from __future__ import annotations

import asyncio
import importlib
import inspect
from pathlib import Path

import pytest

from conducto import api, schedule, slack
from conducto.api import NotAvailableError
from conducto.integrations.slack import AsyncSlack, Slack

ROOT = Path(__file__).resolve().parents[2]
CALLS = {
    "Pipeline.create": lambda: api.Pipeline().create("x", cloud=True),
    "Pipeline.update": lambda: api.Pipeline().update("abc", {"title": "x"}),
    "Auth.change_password": lambda: api.Auth().change_password("a", "b"),
    "Dir.users": lambda: api.Dir().users(1),
    "Analytics": lambda: api.Analytics().get_data_summary("token"),
    "connect_to_pipeline": lambda: api.connect_to_pipeline("abc"),
    "connect_to_ns": api.connect_to_ns,
    "schedule": lambda: schedule.rebuild("i", "t"),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_call_to_a_server_says_that_it_comes_later(call) -> None:
    with pytest.raises(NotAvailableError, match="is not available yet in this version of Conducto"):
        call()


def test_the_parts_of_the_message_can_be_read() -> None:
    with pytest.raises(NotAvailableError) as caught:
        api.Pipeline().agent_list()

    assert caught.value.what == "Listing agents"
    assert caught.value.remedy == "`conducto agent status` shows this machine's."


def placeholders() -> list[str]:
    """Return the methods of the services that only raise an error."""
    return [
        f"{name}.{method}"
        for name in ("Auth", "Dir", "Pipeline", "Manager", "Analytics")
        for method, value in vars(getattr(api, name)).items()
        if getattr(value, "__name__", "") == "method"
    ]


def test_every_method_without_a_feature_has_a_remedy_and_is_listed_in_the_docs() -> None:
    page = (ROOT / "docs/concepts/python-client.md").read_text(encoding="utf-8")

    names = placeholders()
    assert len(names) > 20
    for name in names:
        service, method = name.split(".")
        with pytest.raises(NotAvailableError) as caught:
            getattr(getattr(api, service)(), method)()
        assert caught.value.remedy, name
        assert f"`{method}`" in page, name


def test_login_without_a_token_is_rejected() -> None:
    with pytest.raises(api.UserInputValidation, match="has no token as its password"):
        api.Auth().get_token({"email": "a@b.c"})


def test_tokens_need_no_refresh() -> None:
    assert api.Auth().get_refreshed_token("cdo_x", force=True) == "cdo_x"
    assert api.Auth().refresh_auth({"AccessToken": "cdo_x"}) == {"AccessToken": "cdo_x"}


@pytest.mark.parametrize("status", ["running", ""])
def test_unknown_status_is_rejected(status: str) -> None:
    with pytest.raises(ValueError, match="it can be active, sleeping or archived"):
        api.Pipeline().update("abc", {"status": status})


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: slack.block("#ops", "{"), "not JSON"),
        (lambda: slack.text("", "hello"), "needs a recipient"),
        (lambda: Slack().message("#ops"), "neither text nor blocks"),
    ],
)
def test_invalid_arguments_are_rejected_before_the_call(call, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        call()


@pytest.mark.parametrize(
    "name", ["Config", "Auth", "Dir", "Pipeline", "Manager", "Secrets", "Analytics"]
)
def test_every_service_has_a_twin(name: str) -> None:
    twin = getattr(api, f"Async{name}")

    assert twin.__name__ == f"Async{name}"
    assert getattr(api, f"Async{name}") is twin


def test_async_twin_returns_the_result_of_its_service() -> None:
    made = asyncio.run(api.AsyncConfig().get_profile_id("https://x.y", "3", "a@b.c"))

    assert made == "c6829a4b"


def test_async_twin_raises_the_error_of_its_service() -> None:
    with pytest.raises(ValueError, match="needs a recipient"):
        asyncio.run(AsyncSlack().message("", text="hello"))


def test_a_twin_has_no_other_methods() -> None:
    with pytest.raises(AttributeError, match="frobnicate"):
        api.AsyncPipeline().frobnicate  # noqa: B018 - looking it up is the test


@pytest.mark.parametrize("name", sorted({*api.__all__, *dir(api)}))
def test_every_public_name_exists(name: str) -> None:
    assert getattr(api, name) is not None


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="frobnicate"):
        api.frobnicate  # noqa: B018 - looking it up is the test


@pytest.mark.parametrize(
    ("error", "parents"),
    [
        ("UnauthorizedResponse", ["InvalidResponse"]),
        ("UserPermissionError", ["UserInputValidation"]),
        ("UserPathError", ["UserInputValidation"]),
        ("WindowsMapError", ["UserPathError", "UserInputValidation"]),
        ("WSLMapError", ["UserPathError", "UserInputValidation"]),
    ],
)
def test_errors_are_caught_by_their_families(error: str, parents: list[str]) -> None:
    for parent in parents:
        assert issubclass(getattr(api, error), getattr(api, parent))


def test_response_has_its_status() -> None:
    error = api.UnauthorizedResponse("no", status_code=401, url="https://x")

    assert (str(error), error.status_code, error.url, error.content_type) == (
        "no",
        401,
        "https://x",
        None,
    )


def test_every_function_of_schedule_is_documented() -> None:
    functions = [value for _, value in inspect.getmembers(schedule, callable)]

    assert len(functions) >= 14
    assert all(function.__doc__ for function in functions)


SECRETS = """\
from conducto.api import Secrets, Secret
Secrets().put_user_secrets({"KEY": "very-secret"})
Secrets().put_user_secrets({"OTHER": "very-secret"})
Secrets().put_org_secrets({"KEY": "very-secret"})
Secrets().put([Secret("A", "very-secret", mask=False)])
print("the tree")
"""


def test_declaring_secrets_is_silent(python) -> None:
    result = python("-c", SECRETS, CONDUCTO_SECRET_STORE="file")

    assert (result.returncode, result.stdout, result.stderr) == (0, b"the tree\n", b"")


@pytest.mark.parametrize(
    ("make", "kind", "text"),
    [
        (lambda: api.Secrets().put_user_secrets({"A": 5}), TypeError, "A: the value must be text"),
        (lambda: api.Secrets().put_user_secrets({3: "x"}), TypeError, "must be text, got int"),
        (lambda: api.Secrets().put(["x"]), TypeError, "expected co.api.Secret, got str"),
        (lambda: api.Secret("", "x"), ValueError, "cannot be the name of a secret"),
        (lambda: api.Secret("A=B", "x"), ValueError, "cannot be the name of a secret"),
        (lambda: api.SecretKey("A", "team"), ValueError, "scope must be 'user' or 'org'"),
    ],
)
def test_invalid_secret_is_rejected(make, kind, text: str) -> None:
    with pytest.raises(kind, match=text):
        make()


def test_a_secret_does_not_print_its_value() -> None:
    assert "very-secret" not in repr(api.Secret("A", "very-secret"))


def test_secrets_have_their_wire_form() -> None:
    assert api.Secret("A", "x", "org", mask=False).as_dict() == {
        "scope": "org",
        "key": "A",
        "value": "x",
        "mask": False,
    }
    assert api.SecretKey("A").as_dict() == {"scope": "user", "key": "A"}


def test_claims_are_read_without_a_server() -> None:
    # {"sub": "me", "user_type": "anonymous"} between two parts that do not matter
    token = "e30.eyJzdWIiOiAibWUiLCAidXNlcl90eXBlIjogImFub255bW91cyJ9.x"

    assert api.Auth().get_user_id(token) == "me"
    assert api.Auth().is_anonymous(token) is True


@pytest.mark.parametrize("token", ["opaque", "a.b.c", "e30.W10.x", "e30.ÿ.x"])
def test_token_without_claims_is_rejected(token: str) -> None:
    with pytest.raises(api.UserInputValidation, match="contains no readable claims"):
        api.Auth().get_unverified_claims(token)


@pytest.mark.parametrize("words", [["text", "#ops", "hello"], ["block", "#ops", "[]"]])
def test_the_slack_tool_says_which_secret_it_needs(words: list[str], tool) -> None:
    result = tool("conducto.tools.slack", *words)

    assert result.returncode == 1
    assert b"conducto-slack: no Slack token is known; store the bot's" in result.stderr


@pytest.mark.parametrize("words", [[], ["frobnicate"], ["text", "#ops"]])
def test_slack_tool_rejects_a_wrong_command_line(words: list[str], tool) -> None:
    result = tool("conducto.tools.slack", *words)

    assert result.returncode == 2
    assert b"usage: conducto-slack" in result.stderr


def test_importing_again_gives_the_same_classes() -> None:
    assert importlib.import_module("conducto.api").Secrets is api.Secrets
