"""Messages to Slack: ``co.slack``. The bot's token is the secret ``SLACK_TOKEN``."""

from __future__ import annotations

import json as _json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, Union


def text(recipient: str, text: str) -> None:
    """Send a text to a channel or a user.

    Raises:
        ValueError: There is no recipient.
        DeliveryError: There is no token, or Slack did not accept the message.
    """
    from conducto.integrations.slack import Slack  # noqa: PLC0415 - rarely needed

    Slack().message(recipient, text=text)


def block(recipient: str, json: Union[str, Sequence[Any]]) -> None:
    """Send Slack's layout blocks, as a list or as JSON text, to a channel or a user.

    Raises:
        ValueError: ``json`` is a text that is not JSON, or there is no recipient.
        DeliveryError: There is no token, or Slack did not accept the message.
    """
    from conducto.integrations.slack import Slack  # noqa: PLC0415 - rarely needed

    try:
        blocks = _json.loads(json) if isinstance(json, str) else json
    except ValueError as error:
        raise ValueError(f"the blocks for Slack are not JSON: {error}") from error
    Slack().message(recipient, blocks=blocks)
