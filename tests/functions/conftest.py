"""The app in this process: as API Gateway and EventBridge call it, over moto."""

from __future__ import annotations

import importlib
import json
from typing import TYPE_CHECKING, Any

import pytest
from chalice.test import Client

from chalicelib.bootstrap import App
from chalicelib.people.port import Identity
from chalicelib.people.tokens import new_token
from conducto_core.api.operation import API_ROOT
from conducto_core.installation.names import PERMISSIONS, Variables
from support.cloud.aws import REGION, aws, environment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ALL = frozenset({*PERMISSIONS, "agent"})


class Front:
    """The front of the app.

    Attributes:
        app: What it is made of.
        client: Chalice's own for tests.
        module: ``functions/app.py``.
    """

    def __init__(self, app: App, client: Client, module: Any) -> None:
        self.app = app
        self.client = client
        self.module = module

    def token(self, org: str = "acme", permissions: frozenset[str] = ALL, **more: Any) -> str:
        """Make a token known and return it."""
        token, digest = new_token()
        self.app.records.tokens.put(digest, Identity(org, "ann", permissions, **more), expires=None)
        return token

    def call(
        self,
        method: str,
        path: str,
        token: str | None,
        body: Any = None,
        headers: dict[str, str] | None = None,
    ) -> tuple[int, Any]:
        """Send a request; return the status, and the response's JSON or bytes."""
        sent = {"Content-Type": "application/json", **(headers or {})}
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
        data = b"" if body is None else json.dumps(body).encode()
        response = self.client.http.request(method, f"{API_ROOT}{path}", headers=sent, body=data)
        try:
            return response.status_code, json.loads(response.body)
        except ValueError:
            return response.status_code, response


@pytest.fixture
def front(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Front]:
    monkeypatch.setenv("AWS_REGION", REGION)  # Chalice looks for it before a WebSocket's function
    module = importlib.import_module("app")
    with aws() as clients:
        made = App(environment(**{Variables.DATA_ROOT: str(tmp_path)}), clients)
        before, module.conducto = module.conducto, made
        with Client(module.app) as client:
            yield Front(made, client, module)
        module.conducto = before
