"""The APIs of providers: commits and files of a repository."""

import base64
import binascii
import time
from collections.abc import Mapping, Sequence
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import unquote, urlsplit
from urllib.request import OpenerDirector, ProxyHandler, Request, build_opener

from chalicelib.triggers.port import GitRef, RepositoryDeniedError
from conducto.integrations.http import (
    TIMEOUT,
    DeliveryError,
    NoRedirect,
    NotFoundDeliveryError,
    RefusedDeliveryError,
    check_url,
    get_bytes,
    get_json,
    get_list,
    is_this_machine,
    post_json,
)
from conducto.integrations.public_address import PublicHandler
from conducto_core.checks.rules import open_check
from conducto_core.images.references import without_password
from conducto_core.notifications.channels import Settings, post_status
from conducto_core.triggers.model import GitEvent, Trigger
from conducto_core.triggers.provider_api import api_of, settings_of
from conducto_core.triggers.rules.git_api import (
    ChangedFile,
    CommitStatus,
    EventError,
    GitApi,
    commit_of,
)
from conducto_core.triggers.rules.launch import repository_of
from conducto_core.triggers.rules.providers import GIT_APIS, of_request


class GitProviders:
    """A `chalicelib.triggers.port.GitProvider`.

    Args:
        settings: The addresses; those of the API at github.com, and whether only public addresses
            may be called.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @property
    def settings(self) -> Settings:
        return self._settings

    def commit(
        self, trigger: Trigger, token: str | None, ref: str, repository: str | None = None
    ) -> str:
        """Return the commit of a branch, a tag, the beginning of its hash, or ``HEAD``."""
        name = repository or repository_of(trigger.repository)
        sha = commit_of(self._get(trigger, token, _api(trigger).commit_path(name, ref)))
        if sha is None:
            raise DeliveryError(f"the provider returned no commit for {ref!r}")
        return sha

    def read_file(
        self, trigger: Trigger, token: str | None, repository: str, sha: str, path: str
    ) -> bytes | None:
        """Return a file at a commit, or None if there is none."""
        api = _api(trigger)
        url = api_of(trigger, self._settings) + api.file_path(repository, sha, path)
        public_only = self._settings.public_only
        try:
            if api.raw:
                return get_bytes(url, token, public_only=public_only)
            found = get_json(url, token, public_only=public_only)
        except NotFoundDeliveryError:
            return None
        try:
            return base64.b64decode(str(found["content"]))
        except (KeyError, binascii.Error) as error:
            raise DeliveryError(f"the provider returned no content of {path}") from error

    def changed_files(
        self, trigger: Trigger, token: str | None, event: GitEvent
    ) -> tuple[ChangedFile, ...] | None:
        """Return the files that an event changed; None if they are not known."""
        if not (event.base and event.sha) or trigger.provider not in GIT_APIS:
            return None
        api = _api(trigger)
        path = api.compare_path(repository_of(trigger.repository), event.base, event.sha)
        try:
            return api.changed_files(self._get(trigger, token, path))
        except NotFoundDeliveryError:  # a force push may have removed the base
            return None

    def pull_request(self, trigger: Trigger, token: str | None, event: GitEvent) -> GitEvent:
        """Return an event with the commit of its pull request."""
        path = _api(trigger).request_path(repository_of(trigger.repository), event.number)
        try:
            return of_request(event, self._get(trigger, token, path))
        except EventError as error:
            raise DeliveryError(str(error)) from error

    def person_id(self, trigger: Trigger, token: str | None, login: str) -> str:
        """Return the number of a person."""
        url = api_of(trigger, self._settings) + _api(trigger).person_path(login)
        public_only = self._settings.public_only
        if trigger.provider == "gitlab":  # it searches, and lists those that it finds
            listed = get_list(url, token, public_only=public_only)
            if not listed:
                raise NotFoundDeliveryError(f"there is no {login} at GitLab")
            found = listed[0]
        else:
            found = get_json(url, token, public_only=public_only)
        if not isinstance(found.get("id"), int):
            raise DeliveryError(f"the provider returned no number of {login}")
        return str(found["id"])

    def set_check(
        self, trigger: Trigger, token: str, sha: str, bodies: Sequence[Mapping[str, Any]]
    ) -> bool:
        """Create or update the check run of a pipeline; return False if the token may not."""
        api, name = _api(trigger), repository_of(trigger.repository)
        try:
            listed = self._get(trigger, token, api.checks_path(name, sha, str(bodies[0]["name"])))
            runs = listed.get("check_runs")
            number = open_check(runs if isinstance(runs, list) else [], bodies[0]["external_id"])
            for body in bodies:
                url = api_of(trigger, self._settings) + api.check_path(name, number)
                method = "POST" if number is None else "PATCH"
                public_only = self._settings.public_only
                made = post_json(url, body, token, public_only=public_only, method=method)
                number = int(made["id"]) if number is None else number
        except RefusedDeliveryError:
            return False
        except (KeyError, ValueError, TypeError) as error:
            raise DeliveryError("GitHub returned no number of the check run") from error
        return True

    def set_status(
        self, trigger: Trigger, token: str, sha: str, description: str, page: str | None
    ) -> None:
        """Report on a commit that its configuration is invalid."""
        name = repository_of(trigger.repository)
        status = CommitStatus(name, sha, _api(trigger).invalid, description, page)
        post_status(trigger.provider, settings_of(trigger, self._settings), status, token)

    def _get(self, trigger: Trigger, token: str | None, path: str) -> dict[str, object]:
        url = api_of(trigger, self._settings) + path
        return get_json(url, token, public_only=self._settings.public_only)


def _api(trigger: Trigger) -> GitApi:
    return GIT_APIS[trigger.provider]


# ----------------------------------------------------------------------------------------
# Branches and tags of repositories, by the second version of Git's protocol over HTTP.
#
# One request lists the refs with the requested names only: lists of all refs have megabytes.


#: Maximum seconds and bytes of a response.
_DEADLINE = 20.0
_MAX_BYTES = 1 << 20
_LENGTH = 4
#: Status codes of servers that hide whether a repository exists, and of moved repositories.
_DENIED = frozenset({401, 403, 404})
_MOVED = frozenset({301, 302, 307, 308})
_HEAD = "HEAD"
_BRANCH, _TAG = "refs/heads/", "refs/tags/"
_DELIMITER, _FLUSH = b"0001", b"0000"
_USER_AGENT = "git/2.40 (conducto)"


class HttpGitRefs:
    """A `chalicelib.triggers.port.GitRefs`.

    Args:
        public_only: Only public addresses may be called: services beside the caller trust it.
    """

    def __init__(self, *, public_only: bool) -> None:
        self._public_only = public_only

    def find(self, url: str, ref: str) -> GitRef | None:
        """Return a branch, a tag, or the default branch for ``HEAD``; None if there is none."""
        address = without_password(url)
        if self._public_only or address != url:
            check_url(address)
        elif urlsplit(address).scheme not in {"http", "https"}:
            raise DeliveryError(f"{address}: the address must start with https://")
        if self._public_only and is_this_machine(urlsplit(address).hostname or ""):
            raise DeliveryError(f"{address} is not a public address; requests are sent to those")
        names = [_HEAD] if ref == _HEAD else [_BRANCH + ref, _TAG + ref]
        refs = _parsed(self._listed(url, names))
        if ref == _HEAD:
            return refs.get(_HEAD)
        return next((refs[name] for name in names if name in refs), None)

    def _listed(self, url: str, names: list[str]) -> bytes:
        """Return the response with the refs; GitLab serves addresses that end with ``.git``."""
        plain = url.rstrip("/")
        if not plain.endswith(".git"):
            try:
                return _post(f"{plain}.git", names, public_only=self._public_only)
            except RepositoryDeniedError:
                pass
        return _post(plain, names, public_only=self._public_only)


def _post(url: str, names: list[str], *, public_only: bool) -> bytes:
    address, given = without_password(url), urlsplit(url)
    headers = {
        "Content-Type": "application/x-git-upload-pack-request",
        "Accept": "application/x-git-upload-pack-result",
        "Git-Protocol": "version=2",
        "User-Agent": _USER_AGENT,
    }
    if given.password is not None:
        login = f"{unquote(given.username or '')}:{unquote(given.password)}"
        headers["Authorization"] = f"Basic {base64.b64encode(login.encode()).decode()}"
    wanted = [_line("peel"), _line("symrefs"), *(_line(f"ref-prefix {name}") for name in names)]
    body = b"".join([_line("command=ls-refs"), _DELIMITER, *wanted, _FLUSH])
    request = Request(f"{address}/git-upload-pack", body, headers, method="POST")  # noqa: S310
    return _sent(request, address, public_only=public_only)


def _sent(request: Request, address: str, *, public_only: bool) -> bytes:
    until = time.monotonic() + _DEADLINE
    found = bytearray()
    try:
        with _opener(address, public_only=public_only).open(request, timeout=TIMEOUT) as response:
            while len(found) < _MAX_BYTES and time.monotonic() < until:
                part = response.read1(_MAX_BYTES - len(found))
                if not part:
                    return bytes(found)
                found += part
    except HTTPError as error:
        error.close()
        raise _refused(address, error.code) from None
    except (URLError, HTTPException, OSError) as error:
        reason = getattr(error, "reason", error)
        raise DeliveryError(f"{address} cannot be reached: {reason}", temporary=True) from error
    raise DeliveryError(f"{address} did not answer completely", temporary=True)


def _opener(address: str, *, public_only: bool) -> OpenerDirector:
    if public_only:  # a proxy would resolve the name again
        return build_opener(NoRedirect(), ProxyHandler({}), PublicHandler(DeliveryError))
    local = is_this_machine(urlsplit(address).hostname or "")
    return build_opener(NoRedirect(), *([ProxyHandler({})] if local else ()))


def _refused(address: str, status: int) -> DeliveryError:
    if status in _DENIED or status in _MOVED:
        return RepositoryDeniedError(f"{address} answered {status}")
    return DeliveryError(f"{address} answered {status}", temporary=status >= 500)  # noqa: PLR2004


def _line(text: str) -> bytes:
    data = text.encode() + b"\n"
    return f"{len(data) + _LENGTH:04x}".encode() + data


def _parsed(data: bytes) -> dict[str, GitRef]:
    """Return ``{full name: ref}``; an annotated tag has the commit that it is for.

    Raises:
        DeliveryError: The data is not a response of Git.
    """
    found: dict[str, GitRef] = {}
    try:
        for line in _lines(data):
            commit, name, *attributes = line.split(" ")
            facts = dict(each.split(":", 1) for each in attributes)
            target = facts.get("symref-target", name)
            short = target.removeprefix(_BRANCH).removeprefix(_TAG)
            found[name] = GitRef(short, facts.get("peeled", commit))
    except ValueError as error:
        raise DeliveryError("the server's response is not one of Git; check the address") from error
    return found


def _lines(data: bytes) -> list[str]:
    lines, place = [], 0
    while (size := int(data[place : place + _LENGTH], 16)) != 0:
        if size <= _LENGTH or place + size > len(data):
            raise ValueError("the response is cut off")
        lines.append(data[place + _LENGTH : place + size].decode().rstrip("\n"))
        place += size
    return lines
