"""A client of the Model Context Protocol without any library, and a scripted solver over it."""

from __future__ import annotations

import asyncio
import http.client
import json
from typing import TYPE_CHECKING, Any

from conducto_core.people.model import NewToken
from conducto_core.people.operations import CREATE_TOKEN
from conducto_core.run.model.params import NoParams

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.fixtures import Scene

#: Maximum calls of a repair, with the explanation of the cause, and bytes of the latter.
MAX_CALLS, MAX_BYTES = 6, 12_000


class Assistant:
    """A client of the protocol without any library."""

    def __init__(self, scene: Scene, token: str) -> None:
        self.port = int(scene.endpoint.url.rpartition(":")[2])
        self.token = token

    async def post(
        self, body: Any, method: str = "POST", **headers: str | None
    ) -> tuple[int, dict[str, str], Any]:
        return await asyncio.to_thread(self._post, body, method, headers)

    def _post(
        self, body: Any, method: str, more: dict[str, str | None]
    ) -> tuple[int, dict[str, str], Any]:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers: dict[str, str | None] = {
            "Host": f"127.0.0.1:{self.port}",
            "Authorization": f"Bearer {self.token}",
            "Content-Type": "application/json",
            "Accept": "application/json, text/event-stream",
            **{name.replace("_", "-"): value for name, value in more.items()},
        }
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.putrequest(method, "/mcp", skip_host=True)
        for name, value in headers.items():
            if value is not None:
                connection.putheader(name, value)
        connection.putheader("Content-Length", str(len(data)))
        connection.endheaders(data)
        response = connection.getresponse()
        content = response.read()
        found = {name.lower(): value for name, value in response.getheaders()}
        connection.close()
        return response.status, found, json.loads(content) if content[:1] == b"{" else content

    async def rpc(self, method: str, **params: Any) -> Any:
        message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        return (await self.post(message))[2]

    async def call(self, tool: str, *, fails: bool = False, **arguments: Any) -> str:
        answer = await self.rpc("tools/call", name=tool, arguments=arguments)
        result = answer["result"]
        assert result["isError"] is fails, result
        return str(result["content"][0]["text"])

    async def act(self, tool: str, **arguments: Any) -> str:
        token = token_in(await self.call(tool, **arguments))
        return await self.call(tool, **arguments, token=token)


def token_in(text: str) -> str:
    return text.rpartition("token: ")[2]


async def assistant(scene: Scene, *scopes: str) -> Assistant:
    request = NewToken.model_validate({"name": "editor", "scopes": scopes, "days": 1 / 3})
    made = await scene.ask(lambda client: client.call(CREATE_TOKEN, NoParams(), request))
    return Assistant(scene, made.token)


class Solver:
    """A scripted assistant: it counts calls and bytes, and reports them after the tests."""

    def __init__(self, client: Assistant, report: Callable[[str, object], None]) -> None:
        self.client = client
        self.calls = self.bytes = 0
        self._report = report

    async def call(self, tool: str, **arguments: Any) -> str:
        text = await self.client.call(tool, **arguments)
        self.calls += 1
        self.bytes += len(text.encode())
        return text

    async def act(self, tool: str, **arguments: Any) -> None:
        token = (await self.call(tool, **arguments)).rpartition("token: ")[2]
        await self.call(tool, **arguments, token=token)

    async def find_cause(self, id_: str, words: tuple[str, ...], tool: str = "explain") -> None:
        """Check that one call names the cause outside of the text of commands."""
        text = await self.call(tool, id=id_)
        seen = without_commands(text)
        assert all(word in seen for word in words), text
        assert self.bytes <= MAX_BYTES
        ours = [line for line in text.splitlines() if not line.startswith("| ")]
        assert not any("IGNORE" in line for line in ours)

    async def repair(self, id_: str, path: str, changes: dict[str, Any] | None) -> None:
        """Change a node and run it again, or only rerun the failed ones."""
        if changes is None:
            await self.act("rerun", id=id_, failed=True)
        else:
            await self.act("modify", id=id_, path=path, **changes)
        await self.see_end(id_)

    async def see_end(self, id_: str) -> None:
        """Check that a pipeline is done, within the calls that a repair may take."""
        end = await self.call("wait", id=id_)
        while "not settled yet" in end:
            self.calls -= 1  # a wait of any length is one call
            end = await self.call("wait", id=id_)
        assert end.startswith(f"{id_} done, settled"), end
        assert self.calls <= MAX_CALLS
        self.note(repaired=True)

    def note(self, *, repaired: bool) -> None:
        self._report("assistant", f"{self.calls} {self.bytes} {int(repaired)}")


def without_commands(text: str) -> str:
    """Return a diagnosis without the commands that it quotes."""
    kept, inside = [], False
    for line in text.split("\n"):
        if line.startswith("  command"):
            inside = True
        elif line.startswith("</output") and inside:
            inside = False
        elif not inside:
            kept.append(line)
    return "\n".join(kept)
