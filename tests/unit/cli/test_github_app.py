"""``conducto trigger github-app``: the page that posts a manifest, and the code that comes back."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from html import unescape
from urllib.parse import urlencode

import pytest

from conducto_cli.github_app import ManifestPage
from conducto_core.model.github_app import GithubAppStart
from support.git_provider import git_host

STATE = "the-state"


def opened(url: str, data: bytes | None = None) -> str:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, data, timeout=10) as response:
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
