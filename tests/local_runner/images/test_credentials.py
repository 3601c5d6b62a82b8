"""Log-ins of the user's docker client."""

import base64
import json
import os
from pathlib import Path

import pytest

from conducto_local.images.engine_images import registry_header, registry_of


def login(header: dict[str, str]) -> dict[str, str]:
    return json.loads(base64.urlsafe_b64decode(header["X-Registry-Auth"]))


def write(tmp_path: Path, settings: object) -> Path:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(settings))
    return path


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("python:3.11", None),
        ("me/app:1", None),
        ("registry.example.com/app", "registry.example.com"),
        ("localhost:5000/app:1", "localhost:5000"),
        ("localhost/app", "localhost"),
    ],
)
def test_registry_is_read_off_the_reference(reference: str, expected: str | None) -> None:
    assert registry_of(reference) == expected


def test_login_of_the_registry_is_sent(tmp_path: Path) -> None:
    auth = base64.b64encode(b"me:pass:word").decode()
    config = write(tmp_path, {"auths": {"registry.example.com": {"auth": auth}}})

    assert login(registry_header("registry.example.com/app", config)) == {
        "username": "me",
        "password": "pass:word",
        "serveraddress": "registry.example.com",
    }


def test_nothing_is_sent_to_other_registries(tmp_path: Path) -> None:
    auth = base64.b64encode(b"me:secret").decode()
    config = write(tmp_path, {"auths": {"registry.example.com": {"auth": auth}}})

    assert registry_header("other.example.com/app", config) == {}


@pytest.mark.parametrize("text", ["", "{", '{"auths": {"r.example.com": {"auth": "%"}}}'])
def test_unusable_file_yields_no_login(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text)

    assert registry_header("r.example.com/a", tmp_path / "config.json") == {}


def test_helper_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    helper = tmp_path / "docker-credential-mine"
    helper.write_text(
        '#!/bin/sh\nread -r url; echo "{\\"Username\\": \\"$url\\", \\"Secret\\": \\"s\\"}"\n'
    )
    helper.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)

    header = registry_header("r.example.com/a", write(tmp_path, {"credsStore": "mine"}))

    assert login(header)["username"] == "r.example.com"


def test_missing_helper_yields_no_login(tmp_path: Path) -> None:
    config = write(tmp_path, {"credsStore": "there-is-no-such-helper"})

    assert registry_header("r.example.com/a", config) == {}
