"""Tokens of assistants at the agent: over a real socket, on pipelines that really run."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

import conducto as co
from conducto.tree.launch_form import to_launch_form
from conducto_client import ApiError, Client, Endpoint, HttpTransport
from conducto_core.people.model import NewToken, TokenListParams, TokenParams
from conducto_core.people.operations import CREATE_TOKEN, LIST_TOKENS, REVOKE_TOKEN
from conducto_core.remote.operations import LOGIN, STOP_AGENT
from conducto_core.run.model.params import NoParams, StopParams
from conducto_core.run.model.requests import Action, Changes, ControlRequest, LaunchRequest
from conducto_core.secrets.operations import SECRETS
from conducto_local.assistants.tokens import LocalTokens
from support.fixtures import Scene, real


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    async with real(tmp_path) as found:
        yield found


async def assistant(scene: Scene, *scopes: str) -> Client:
    request = NewToken.model_validate({"name": "editor", "scopes": scopes, "days": 1 / 3})
    made = await scene.ask(lambda client: client.call(CREATE_TOKEN, NoParams(), request))
    return Client(HttpTransport(Endpoint(scene.endpoint.url, made.token)))


async def refused(scene: Scene, call: Callable[[Client], Any], client: Client) -> str:
    def ask(_owner: Client) -> str:
        with pytest.raises(ApiError) as error:
            call(client)
        assert error.value.problem.status == 403
        return error.value.problem.detail

    return await scene.ask(ask)


async def test_assistant_reads_and_reruns_but_defines_nothing(scene: Scene) -> None:
    id_ = await scene.played()
    client = await assistant(scene, "control")

    found = await scene.ask(lambda _: client.get(id_))
    assert found.pipeline.id == id_
    rerun = ControlRequest(action=Action.RESET, failed=True)
    assert (await scene.ask(lambda _: client.control(id_, rerun))).affected == 1
    change = ControlRequest(
        action=Action.MODIFY, paths=("/talk",), changes=Changes(command="cat ~/.ssh/id_rsa")
    )
    detail = await refused(scene, lambda one: one.control(id_, change), client)
    assert "control needs the scope 'author'" in detail
    client.close()


async def test_agent_secrets_and_logins_are_out_of_reach(scene: Scene) -> None:
    client = await assistant(scene, "author", "use_secrets")

    for operation, params in (
        (SECRETS, NoParams()),
        (LOGIN, NoParams()),
        (STOP_AGENT, StopParams()),
        (LIST_TOKENS, TokenListParams()),
    ):
        detail = await refused(scene, lambda one: one.call(operation, params), client)  # noqa: B023
        assert detail == f"{operation.name} is never allowed to an assistant"
    client.close()


async def test_assistant_does_not_skip_an_approval(scene: Scene) -> None:
    root = co.Serial(image="debian")
    root["ask"] = co.Approve("Ship it?", who=["owner"])
    root["ship"] = co.Exec("true")
    request = LaunchRequest(tree=to_launch_form(root), engine="process", run=True)
    id_ = (await scene.ask(lambda client: client.launch(request))).pipeline.id
    client = await assistant(scene, "author")
    skip = ControlRequest(action=Action.SKIP, paths=("/ask",))

    def ask(_owner: Client) -> str:
        with pytest.raises(ApiError) as error:
            client.control(id_, skip)
        return error.value.problem.detail

    assert "a program" in await scene.ask(ask)
    assert (await scene.ask(lambda owner: owner.control(id_, skip))).affected == 1
    client.close()


async def test_revoked_token_is_refused(scene: Scene) -> None:
    client = await assistant(scene, "read")
    listed = await scene.ask(lambda owner: owner.call(LIST_TOKENS, TokenListParams()))
    (token,) = listed.tokens
    assert (token.kind, token.name, token.scopes) == ("assistant", "editor", ("read",))

    await scene.ask(lambda owner: owner.call(REVOKE_TOKEN, TokenParams(id=token.id)))

    def ask(_owner: Client) -> int:
        with pytest.raises(ApiError) as error:
            client.list()
        return error.value.problem.status

    assert await scene.ask(ask) == 401
    client.close()


async def test_tokens_survive_the_agent_and_end_after_their_time(tmp_path: Path) -> None:
    now = [1000.0]
    file = tmp_path / "assistants.json"
    made = await LocalTokens(file, lambda: now[0]).create_token(
        NewToken(name="x", scopes=("author",), days=1 / 24)
    )

    later = LocalTokens(file, lambda: now[0])
    found = later.find(made.token)

    assert found is not None
    assert found.scopes == ("read", "control", "author")
    assert file.stat().st_mode & 0o777 == 0o600
    assert made.token not in file.read_text()
    now[0] += 3600
    assert later.find(made.token) is None
