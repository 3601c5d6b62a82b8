"""Secrets and addresses in a command's environment, and when they are read again."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.fakes.pipelines import MemorySecrets

from conducto_core.secrets.port import SecretName, StoredSecret
from conducto_local.agent.state_dir import StateDir
from conducto_local.notifications.store import CommandAddresses
from conducto_local.secrets.injection import SecretProvider, inject

ADDRESS = "https://me:hunter2@slack.example"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StateDir:
    monkeypatch.setenv("CONDUCTO_BASE_DIR", str(tmp_path))
    return StateDir(tmp_path, "me")


def write(home: StateDir, text: str) -> None:
    home.root.mkdir(parents=True, exist_ok=True)
    (home.root / "config").write_text(text)


def test_an_address_is_delivered_and_hidden_like_a_secret() -> None:
    delivery = inject(
        [StoredSecret(SecretName("user", "KEY"), "value-of-key", mask=True)],
        {"CONDUCTO_SLACK_URL": ADDRESS},
    )

    assert delivery.env == {"KEY": "value-of-key", "CONDUCTO_SLACK_URL": ADDRESS}
    assert delivery.mask.text(f"post to {ADDRESS}") == "post to ********"
    assert "hunter2" not in repr(delivery)


async def test_commands_get_the_profiles_address_of_slack_as_it_is_now(home: StateDir) -> None:
    keeper = SecretProvider(MemorySecrets(), CommandAddresses(home, {}))
    assert (await keeper.delivery()).env == {}

    write(home, f"[notifications]\nslack_url = {ADDRESS}/api/\n")
    assert (await keeper.delivery()).env == {"CONDUCTO_SLACK_URL": f"{ADDRESS}/api"}

    write(home, "[notifications]\nslack_url = https://slack.com/api\n")
    assert (await keeper.delivery()).env == {}


def test_the_agents_own_variable_comes_before_the_profile(home: StateDir) -> None:
    write(home, f"[notifications]\nslack_url = {ADDRESS}\n")

    found = CommandAddresses(home, {"CONDUCTO_SLACK_URL": "https://other.example"}).read()

    assert found == {"CONDUCTO_SLACK_URL": "https://other.example"}


def test_secrets_of_two_sets_that_were_stored_at_once_are_not_the_same_for_the_cache() -> None:
    stored = [
        StoredSecret(SecretName("org", f"{name}/KEY"), f"value-of-{name}", mask=True, updated=1.0)
        for name in ("prod", "staging")
    ]

    prod, staging = (inject(stored, secret_set=name) for name in ("prod", "staging"))

    assert prod.origins != staging.origins
