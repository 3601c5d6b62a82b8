"""A callback that tells Slack of a command in a container, through the whole cloud."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import conducto as co
from conducto_core.installation.names import Variables
from conducto_core.notifications.model import DeliveryState
from conducto_core.secrets.model import PutSecrets, SecretValue
from support.services import web_service

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.cloud.emulated import Cloud
    from support.services import WebService

pytestmark = [pytest.mark.docker, pytest.mark.cloud]


@pytest.fixture(scope="module")
def slack() -> Iterator[WebService]:
    """Slack on this machine."""
    with web_service() as service:
        yield service


@pytest.fixture(scope="module")
def variables(slack: WebService) -> dict[str, str]:
    return {Variables.SLACK_URL: slack.url}


def test_slack_message_is_sent_and_shown_on_the_node(slack: WebService, me: Cloud) -> None:
    me.client.put_secrets(PutSecrets(secrets=[SecretValue(key="SLACK_TOKEN", value="xoxb-cloud")]))
    root = co.Serial(image="busybox:latest", cpu=0.25, mem=0.5)
    root["bad"] = co.Exec("exit 3")
    root["bad"].on_error(co.callback.slack_status("#ops", message="Nightly"))

    run = me.run(root)
    run.until(
        lambda: [n.delivery for n in run.node("/bad").notifications] == [DeliveryState.SENT],
        "the notification is sent",
    )

    (asked,) = slack.asked
    assert (asked.token, asked.body["channel"]) == ("xoxb-cloud", "#ops")
    assert "/bad is error (exit code)" in str(asked.body)
