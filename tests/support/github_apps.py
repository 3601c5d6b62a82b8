"""The part of GitHub's double that has Apps: manifests, JWTs, installations and their tokens.

It checks what GitHub checks: the fields of a manifest, the signature and the times of a JWT, and
the repositories of a token. A code is valid once.
"""

from __future__ import annotations

import json
import re
import secrets
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, quote, urlsplit

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

if TYPE_CHECKING:
    from collections.abc import Callable

_NEW = re.compile(r"(/organizations/[\w-]+)?/settings/apps/new")
_CODE = re.compile(r"/app-manifests/(?P<code>[^/]+)/conversions")
_INSTALLED = re.compile(r"/repos/(?P<repo>[^/]+/[^/]+)/installation")
_TOKENS = re.compile(r"/app/installations/(?P<id>\d+)/access_tokens")
_DELIVERIES = re.compile(r"/app/hook/deliveries(/(?P<id>\d+)/attempts)?")
_MAX_JWT_SECONDS = 600
_TOKEN_SECONDS = 3600


@dataclass
class App:
    """An App that was created."""

    id: int
    slug: str
    manifest: dict[str, Any]
    private_key: str
    public_key: Any
    webhook_secret: str


@dataclass
class GithubApps:
    """The Apps of a host.

    Attributes:
        installed: ``{repository: id of the installation}``.
        tokens: ``{token: (repositories, permissions, end)}``.
        deliveries: The webhooks that were sent, the newest first.
        redelivered: Ids of those that were requested again.
        granted: The permissions that the owner of the repositories accepted; None: those of a
            token.
        refused: Why each request without a right proof was refused.
    """

    url: str = ""
    clock: Callable[[], float] = time.time
    apps: dict[int, App] = field(default_factory=dict)
    codes: dict[str, App] = field(default_factory=dict)
    installed: dict[str, int] = field(default_factory=dict)
    tokens: dict[str, tuple[list[str], dict[str, str], float]] = field(default_factory=dict)
    granted: dict[str, str] | None = None
    refused: list[str] = field(default_factory=list)
    deliveries: list[dict[str, Any]] = field(default_factory=list)
    redelivered: list[int] = field(default_factory=list)

    def create(self, target: str, form: dict[str, list[str]]) -> tuple[int, str]:
        """Create an App from a posted form; return 302 and an address, or an error."""
        parts = urlsplit(target)
        if not _NEW.fullmatch(parts.path):
            return 404, "Not Found"
        manifest = json.loads(form["manifest"][0])
        missing = {"name", "url", "redirect_url", "hook_attributes"} - manifest.keys()
        if missing or not urlsplit(manifest["hook_attributes"]["url"]).netloc:
            return 422, f"missing: {sorted(missing)}"
        if any(app.manifest["name"] == manifest["name"] for app in self.apps.values()):
            return 422, "Name is already in use"
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        pem = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,  # as GitHub sends it
            serialization.NoEncryption(),
        ).decode()
        slug = manifest["name"].lower().replace(" ", "-")
        number = 1000 + len(self.apps)
        app = App(number, slug, manifest, pem, key.public_key(), secrets.token_hex(20))
        self.apps[number] = app
        code = secrets.token_hex(20)
        self.codes[code] = app
        state = parse_qs(parts.query).get("state", [""])[0]
        return 302, f"{manifest['redirect_url']}?code={code}&state={quote(state)}"

    def respond(
        self, method: str, path: str, token: str, body: dict[str, Any]
    ) -> tuple[int, object] | None:
        """Respond to a request about Apps; None for any other one."""
        if match := _CODE.fullmatch(path):
            return self._keys(match["code"])
        if match := _INSTALLED.fullmatch(path):
            return self._installation(token, match["repo"])
        if match := _TOKENS.fullmatch(path):
            if method != "POST":
                return 404, {"message": "Not Found"}
            return self._token(token, int(match["id"]), body)
        if match := _DELIVERIES.fullmatch(path):
            return self._hook_deliveries(method, token, match["id"])
        return None

    def _hook_deliveries(self, method: str, token: str, number: str | None) -> tuple[int, object]:
        if self._app(token) is None:
            return 401, {"message": "A JSON web token could not be decoded"}
        if method == "GET":
            return 200, self.deliveries
        self.redelivered.append(int(number or 0))
        return 202, {}

    def is_token(self, token: str) -> bool:
        """Return whether a token is one of an installation, and not expired."""
        return token in self.tokens and self.clock() < self.tokens[token][2]

    def allows(self, token: str, repository: str, permission: str, access: str) -> bool:
        """Return whether a token of an installation is for a request about a repository."""
        repositories, permissions, _ = self.tokens[token]
        granted = permissions.get(permission)
        return repository in repositories and granted in {access, "write"}

    def _keys(self, code: str) -> tuple[int, object]:
        app = self.codes.pop(code, None)
        if app is None:
            return 404, {"message": "Not Found"}
        return 201, {
            "id": app.id,
            "slug": app.slug,
            "name": app.manifest["name"],
            "html_url": f"{self.url}/apps/{app.slug}",
            "client_id": "Iv1.x",
            "client_secret": "client-secret",
            "webhook_secret": app.webhook_secret,
            "pem": app.private_key,
        }

    def _installation(self, token: str, repository: str) -> tuple[int, object]:
        if self._app(token) is None:
            return 401, {"message": "A JSON web token could not be decoded"}
        number = self.installed.get(repository)
        return (404, {"message": "Not Found"}) if number is None else (200, {"id": number})

    def _token(self, token: str, number: int, body: dict[str, Any]) -> tuple[int, object]:
        if self._app(token) is None:
            return 401, {"message": "A JSON web token could not be decoded"}
        known = {name for name, of in self.installed.items() if of == number}
        wanted = [name for name in known if name.partition("/")[2] in body["repositories"]]
        if not wanted:
            return 422, {"message": "There is at least one repository that does not exist"}
        refused = sorted(
            name
            for name, access in body["permissions"].items()
            if self.granted is not None and self.granted.get(name) not in {access, "write"}
        )
        if refused:
            text = "The permissions requested are not granted to this installation."
            return 422, {"message": text}
        made = f"ghs_{secrets.token_hex(18)}"
        end = self.clock() + _TOKEN_SECONDS
        self.tokens[made] = (wanted, body["permissions"], end)
        expires = datetime.fromtimestamp(end, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return 201, {"token": made, "expires_at": expires}

    def _app(self, token: str) -> App | None:
        """Return the App that a JWT proves, or None."""
        now = self.clock()
        try:
            unverified = jwt.decode(token, options={"verify_signature": False, "verify_exp": False})
            app = self.apps[int(unverified["iss"])]
            options: Any = {"verify_exp": False, "verify_iat": False}
            claims = jwt.decode(token, app.public_key, algorithms=["RS256"], options=options)
            if not claims["iat"] <= now < claims["exp"] <= now + _MAX_JWT_SECONDS:
                self.refused.append("the times of the JWT")
                return None
        except (jwt.PyJWTError, KeyError, ValueError) as error:
            self.refused.append(str(error))
            return None
        return app
