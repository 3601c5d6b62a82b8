"""``conducto trigger github-app``: the page that posts a manifest, and the code that comes back."""

from __future__ import annotations

import json
import re
import socket
import threading
import urllib.error
import urllib.request
from html import unescape
from urllib.parse import urlencode, urlsplit

import pytest

from conducto_cli.triggers.github_app import ManifestPage
from conducto_core.triggers.model import GithubAppStart
from support.git_provider import git_host

STATE = "the-state"


def opened(url: str, data: bytes | None = None, timeout: float = 10) -> str:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, data, timeout=timeout) as response:
        return str(response.read().decode())


def test_page_posts_the_manifest_and_receives_the_code() -> None:
    page = ManifestPage()
    try:
        with git_host() as host:
            manifest = {
                "name": 'A "quoted" <App>',
                "url": host.url,
                "redirect_url": page.url,
                "hook_attributes": {"url": "https://example.com/hook"},
            }
            page.begun = GithubAppStart(
                address=f"{host.url}/settings/apps/new?state={STATE}",
                manifest=json.dumps(manifest),
                state=STATE,
            )
            form = opened(page.start_url)
            action, value = re.findall(r'(?:action|value)="([^"]*)"', form)
            done = opened(unescape(action), urlencode({"manifest": unescape(value)}).encode())
            code = page.wait()
    finally:
        page.close()

    assert "you can close this page" in done
    assert host.apps.codes[code].manifest == manifest


def test_page_answers_and_closes_beside_an_idle_connection() -> None:
    page = ManifestPage()
    page.begun = GithubAppStart(address="http://x", manifest="{}", state=STATE)
    address = urlsplit(page.url)
    idle = socket.create_connection((address.hostname, address.port))
    try:
        # Less than the time after which the page closes the idle connection.
        assert "<form" in opened(page.start_url, timeout=5)
        closing = threading.Thread(target=page.close, daemon=True)
        closing.start()
        closing.join(10)
        assert not closing.is_alive()
    finally:
        idle.close()


def test_page_refuses_requests_without_its_key_or_the_state() -> None:
    page = ManifestPage()
    page.begun = GithubAppStart(address="http://x", manifest="{}", state=STATE)
    try:
        for query in ("", "?start=x", "?state=x&code=evil", "?code=evil"):
            with pytest.raises(urllib.error.HTTPError) as caught:
                opened(page.url + query)
            with caught.value as response:
                assert response.code == 403
        opened(f"{page.url}?state={STATE}&code=right")
        assert page.wait() == "right"
    finally:
        page.close()
