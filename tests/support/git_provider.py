"""A double of the APIs of the providers that a trigger uses, as a real HTTP server.

It has the routes, the methods and the errors of their documentation; an unknown request gets 404.
"""

from __future__ import annotations

import base64
import json
import re
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

from support.commit_statuses import problem_of
from support.github_apps import GithubApps
from support.github_checks import CheckRuns

if TYPE_CHECKING:
    from collections.abc import Iterator

_ROUTES = (
    (
        "GET",
        re.compile(r"/repos/(?P<repo>[^/]+/[^/]+)/commits/(?P<sha>\w+)/check-runs"),
        "checks",
    ),
    ("POST", re.compile(r"/repos/(?P<repo>[^/]+/[^/]+)/check-runs"), "new_check"),
    ("PATCH", re.compile(r"/repos/(?P<repo>[^/]+/[^/]+)/check-runs/(?P<id>\d+)"), "check"),
    ("GET", re.compile(r"/repos/(?P<repo>[^/]+/[^/]+)/contents/(?P<path>.+)"), "file"),
    ("GET", re.compile(r"/projects/(?P<repo>[^/]+)/repository/files/(?P<path>.+)"), "file"),
    ("GET", re.compile(r"/repos/(?P<repo>[^/]+/[^/]+)/commits/(?P<ref>.+)"), "github_commit"),
    (
        "GET",
        re.compile(r"/projects/(?P<repo>[^/]+)/repository/commits/(?P<ref>.+)"),
        "gitlab_commit",
    ),
    ("GET", re.compile(r"/repos/(?P<repo>[^/]+/[^/]+)/compare/(?P<refs>.+)"), "github_compare"),
    ("GET", re.compile(r"/projects/(?P<repo>[^/]+)/repository/compare"), "gitlab_compare"),
    ("GET", re.compile(r"/repos/(?P<repo>[^/]+/[^/]+)/pulls/(?P<number>\d+)"), "request"),
    ("GET", re.compile(r"/projects/(?P<repo>[^/]+)/merge_requests/(?P<number>\d+)"), "request"),
    ("GET", re.compile(r"/users"), "gitlab_person"),
    ("POST", re.compile(r"/repos/(?P<repo>[^/]+/[^/]+)/statuses/(?P<sha>\w+)"), "status"),
    ("POST", re.compile(r"/projects/(?P<repo>[^/]+)/statuses/(?P<sha>\w+)"), "gitlab_status"),
    *(
        ("GET", re.compile(rf"/api/v1/repos/(?P<repo>[^/]+/[^/]+)/{path}"), name)
        for path, name in (
            (r"git/commits/(?P<ref>.+)", "github_commit"),
            (r"contents/(?P<path>.+)", "file"),
            (r"compare/(?P<refs>.+)", "gitea_compare"),
            (r"pulls/(?P<number>\d+)", "request"),
        )
    ),
    (
        "POST",
        re.compile(r"/api/v1/repos/(?P<repo>[^/]+/[^/]+)/statuses/(?P<sha>\w+)"),
        "gitea_status",
    ),
    *(
        ("GET", re.compile(rf"/2.0/repositories/(?P<repo>[^/]+/[^/]+)/{path}"), name)
        for path, name in (
            (r"commits/(?P<ref>.+)", "bitbucket_commits"),
            (r"src/(?P<sha>\w+)/(?P<path>.+)", "bitbucket_file"),
            (r"diffstat/(?P<refs>.+)", "diffstat"),
        )
    ),
    (
        "POST",
        re.compile(r"/2.0/repositories/(?P<repo>[^/]+/[^/]+)/commit/(?P<sha>\w+)/statuses/build"),
        "bitbucket_status",
    ),
)


#: ``{route: (permission, access)}`` that a token of an App needs; the others read contents.
_PERMISSIONS = {
    "status": ("statuses", "write"),
    "new_check": ("checks", "write"),
    "check": ("checks", "write"),
    "checks": ("checks", "read"),
    "request": ("pull_requests", "read"),
}


@dataclass
class GitHost:
    """The server.

    Attributes:
        files: ``{(repository, commit, path): content}``.
        refs: ``{(repository, branch, tag or HEAD): commit}``.
        changes: ``{(base, head): [(path, old path, patch)]}``; other comparisons are not found.
        requests: ``{number: pull request}``.
        people: ``{login: number}``.
        tokens: The valid tokens.
        statuses: ``(repository, commit, body)`` in the order of the requests.
        down: Every request gets 503.
        apps: The GitHub Apps.
        checks: The check runs.
    """

    url: str = ""
    files: dict[tuple[str, str, str], str] = field(default_factory=dict)
    refs: dict[tuple[str, str], str] = field(default_factory=dict)
    changes: dict[tuple[str, str], list[tuple[str, str, str]]] = field(default_factory=dict)
    requests: dict[str, dict[str, Any]] = field(default_factory=dict)
    people: dict[str, int] = field(default_factory=dict)
    tokens: set[str] = field(default_factory=lambda: {"token"})
    statuses: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    down: bool = False
    apps: GithubApps = field(default_factory=GithubApps)
    checks: CheckRuns = field(default_factory=CheckRuns)

    def respond(
        self, method: str, target: str, token: str, body: dict[str, Any]
    ) -> tuple[int, object]:
        if self.down:
            return 503, {"message": "unavailable"}
        parts = urlsplit(target.removeprefix("/api/v3"))  # of GitHub Enterprise Server
        about_apps = self.apps.respond(method, parts.path, token, body)
        if about_apps is not None:
            return about_apps
        people = parts.path.removeprefix("/api/v1")
        if method == "GET" and people.startswith("/users/"):
            return self._person(people.removeprefix("/users/"))
        return self._routed(method, parts.path, parts.query, token, body)

    def _routed(
        self, method: str, path: str, text: str, token: str, body: dict[str, Any]
    ) -> tuple[int, object]:
        for wanted, pattern, name in _ROUTES:
            match = pattern.fullmatch(path)
            if match and method == wanted:
                found = {key: unquote(value) for key, value in match.groupdict().items()}
                if token not in self.tokens and not self.apps.is_token(token):
                    return 401, {"message": "Bad credentials"}
                needed = _PERMISSIONS.get(name, ("contents", "read"))
                if not self._may(token, found.get("repo", ""), needed):
                    return 403, {"message": "Resource not accessible by integration"}
                query = {key: values[0] for key, values in parse_qs(text).items()}
                response: tuple[int, object] = getattr(self, f"_{name}")(found, query, body)
                return response
        return 404, {"message": "Not Found"}

    def _may(self, token: str, repository: str, needed: tuple[str, str]) -> bool:
        """Return whether a token is for a request; those of persons have no checks."""
        if token in self.tokens:
            return needed[0] != "checks"
        return self.apps.allows(token, repository, *needed)

    def _new_check(
        self, found: dict[str, str], _query: object, body: dict[str, Any]
    ) -> tuple[int, object]:
        return self.checks.create(found["repo"], body)

    def _check(
        self, found: dict[str, str], _query: object, body: dict[str, Any]
    ) -> tuple[int, object]:
        return self.checks.update(found["repo"], int(found["id"]), body)

    def _checks(
        self, found: dict[str, str], query: dict[str, str], _body: object
    ) -> tuple[int, object]:
        return self.checks.listed(found["repo"], found["sha"], query["check_name"])

    def _file(
        self, found: dict[str, str], query: dict[str, str], _body: object
    ) -> tuple[int, object]:
        content = self.files.get((found["repo"], query["ref"], found["path"]))
        if content is None:
            return 404, {"message": "Not Found"}
        # GitHub breaks the lines of base64.
        packed = base64.encodebytes(content.encode()).decode()
        return 200, {"encoding": "base64", "content": packed}

    def _github_commit(self, found: dict[str, str], *_: object) -> tuple[int, object]:
        sha = self.refs.get((found["repo"], found["ref"]))
        return (404, {"message": "Not Found"}) if sha is None else (200, {"sha": sha})

    def _gitlab_commit(self, found: dict[str, str], *_: object) -> tuple[int, object]:
        sha = self.refs.get((found["repo"], found["ref"]))
        return (404, {"message": "Not Found"}) if sha is None else (200, {"id": sha})

    def _person(self, login: str) -> tuple[int, object]:
        number = self.people.get(login)
        if number is None:
            return 404, {"message": "Not Found"}
        return 200, {"login": login, "id": number, "type": "User"}

    def _github_compare(self, found: dict[str, str], *_: object) -> tuple[int, object]:
        base, _, head = found["refs"].partition("...")
        changes = self.changes.get((base, head))
        if changes is None:
            return 404, {"message": "Not Found"}
        files = [
            {"filename": new, "status": "modified", **({"patch": patch} if patch else {})}
            | ({} if old == new else {"status": "renamed", "previous_filename": old})
            for new, old, patch in changes[:300]
        ]
        return 200, {"status": "ahead", "files": files}

    def _gitlab_compare(
        self, _found: dict[str, str], query: dict[str, str], _body: object
    ) -> tuple[int, object]:
        changes = self.changes.get((query["from"], query["to"]))
        if changes is None:
            return 404, {"message": "404 Ref Not Found"}
        diffs = [{"new_path": new, "old_path": old, "diff": patch} for new, old, patch in changes]
        return 200, {"compare_timeout": False, "compare_same_ref": False, "diffs": diffs}

    def _request(self, found: dict[str, str], *_: object) -> tuple[int, object]:
        request = self.requests.get(found["number"])
        return (404, {"message": "Not Found"}) if request is None else (200, request)

    def _gitlab_person(
        self, _found: dict[str, str], query: dict[str, str], _body: object
    ) -> tuple[int, object]:
        number = self.people.get(query["username"])
        found = [] if number is None else [{"id": number, "username": query["username"]}]
        return 200, found

    def _gitea_compare(self, found: dict[str, str], *_: object) -> tuple[int, object]:
        base, _, head = found["refs"].partition("...")
        changes = self.changes.get((base, head))
        if changes is None:
            return 404, {"message": "Not Found"}
        files = [{"filename": new, "status": "modified"} for new, _, _ in changes]
        return 200, {"total_commits": 1, "commits": [{"sha": head, "files": files}]}

    def _bitbucket_commits(self, found: dict[str, str], *_: object) -> tuple[int, object]:
        known = [sha for (name, _), sha in self.refs.items() if name == found["repo"]]
        sha = self.refs.get((found["repo"], found["ref"]))
        sha = sha or next((one for one in known if one.startswith(found["ref"])), None)
        if sha is None:
            return 404, {"type": "error", "error": {"message": "Commit not found"}}
        return 200, {"pagelen": 1, "values": [{"type": "commit", "hash": sha}]}

    def _bitbucket_file(self, found: dict[str, str], *_: object) -> tuple[int, object]:
        content = self.files.get((found["repo"], found["sha"], found["path"]))
        if content is None:
            return 404, {"type": "error", "error": {"message": "No such file"}}
        return 200, content.encode()

    def _diffstat(self, found: dict[str, str], *_: object) -> tuple[int, object]:
        head, _, base = found["refs"].partition("..")
        changes = self.changes.get((base, head))
        if changes is None:
            return 404, {"type": "error", "error": {"message": "Commit not found"}}
        values = [
            {"status": "modified", "new": {"path": new} if new else None, "old": {"path": old}}
            for new, old, _ in changes
        ]
        return 200, {"pagelen": 500, "values": values}

    def _status(
        self, found: dict[str, str], _query: object, body: dict[str, Any]
    ) -> tuple[int, object]:
        return self._new_status("github", found, body)

    def _gitlab_status(
        self, found: dict[str, str], _query: object, body: dict[str, Any]
    ) -> tuple[int, object]:
        return self._new_status("gitlab", found, body)

    def _gitea_status(
        self, found: dict[str, str], _query: object, body: dict[str, Any]
    ) -> tuple[int, object]:
        return self._new_status("gitea", found, body)

    def _bitbucket_status(
        self, found: dict[str, str], _query: object, body: dict[str, Any]
    ) -> tuple[int, object]:
        return self._new_status("bitbucket", found, body)

    def _new_status(
        self, provider: str, found: dict[str, str], body: dict[str, Any]
    ) -> tuple[int, object]:
        problem = problem_of(provider, body)
        if problem is not None:
            return 400, {"message": problem}
        if found["sha"] in self.checks.gone:
            status = 422 if provider == "github" else 404
            return status, {"message": f"No commit found for SHA: {found['sha']}"}
        self.statuses.append((found["repo"], found["sha"], body))
        return 201, {"id": len(self.statuses)}


@contextmanager
def git_host() -> Iterator[GitHost]:
    host = GitHost()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            data = self.rfile.read(length)
            if self.headers.get("Content-Type") == "application/x-www-form-urlencoded":
                self._create_app(data)
                return
            body = json.loads(data or b"{}")
            token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
            status, response = host.respond(self.command, self.path, token, body)
            data = response if isinstance(response, bytes) else json.dumps(response).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def _create_app(self, data: bytes) -> None:
            status, location = host.apps.create(self.path, parse_qs(data.decode()))
            self.send_response(status)
            if status == 302:
                self.send_header("Location", location)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_POST = do_PATCH = do_GET  # noqa: N815  the names that http.server calls

        def log_message(self, *_args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        host.url = host.apps.url = f"http://127.0.0.1:{server.server_address[1]}"
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        try:
            yield host
        finally:
            server.shutdown()
