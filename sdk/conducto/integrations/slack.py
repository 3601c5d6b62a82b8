"""Slack: messages by a bot whose token is the secret ``SLACK_TOKEN``."""

from __future__ import annotations

import os
from urllib.parse import urlencode

from conducto.api.calls import threaded
from conducto.integrations.http import DeliveryError, get_json, post_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

#: Address of Slack's Web API, unless ``CONDUCTO_SLACK_URL`` is set.
URL = "https://slack.com/api"
#: Variable with that address; it may contain a password, so it is delivered like a secret.
URL_VARIABLE = "CONDUCTO_SLACK_URL"
TOKEN = "SLACK_TOKEN"  # noqa: S105 (the name of the secret)
#: Errors after which a retry may succeed.
_LATER = {"ratelimited", "internal_error", "fatal_error", "service_unavailable", "request_timeout"}
_REMEDIES = {
    "not_in_channel": "invite the bot to the channel",
    "channel_not_found": "check the name, and invite the bot to the channel if it is private",
    "invalid_auth": f"set the secret {TOKEN} again: conducto secrets set {TOKEN}",
    "missing_scope": "give the bot the scope chat:write (and users:read.email for addresses)",
}


class Slack:
    """Sends messages.

    Args:
        url: Address of Slack's Web API; None uses ``CONDUCTO_SLACK_URL``.
        public_only: That must be a public address.
    """

    def __init__(self, url: str | None = None, *, public_only: bool = False) -> None:
        self._public_only = public_only
        self._url = (url or os.environ.get(URL_VARIABLE) or URL).rstrip("/")

    def message(
        self,
        recipient: str,
        text: str | None = None,
        blocks: Sequence[Any] | None = None,
        thread_info: Mapping[str, Any] | None = None,
        token: str | None = None,
    ) -> dict[str, Any]:
        """Send a message and return its identifiers, for ``thread_info`` of a reply.

        Args:
            recipient: Channel (``#name`` or its id) or user (``@name`` or an e-mail address).
            text: Plain text; a notification also shows it if there are blocks.
            blocks: Slack's layout blocks.
            thread_info: The message to reply to, as returned by this method.
            token: The bot's token; the default is the variable ``SLACK_TOKEN``, which a node has if
                there is a secret of that name.

        Returns:
            ``{"channel": id, "ts": its time}``.

        Raises:
            ValueError: There is no recipient, or neither text nor blocks.
            DeliveryError: There is no token, or Slack did not accept the message.
        """
        if not _is_text(recipient):
            raise ValueError(f"a Slack message needs a recipient, got {recipient!r}")
        if text is None and blocks is None:
            raise ValueError(f"the Slack message for {recipient} has neither text nor blocks")
        chosen = token or os.environ.get(TOKEN)
        if not chosen:
            raise DeliveryError(
                f"no Slack token is known; store the bot's: conducto secrets set {TOKEN}"
            )
        body: dict[str, Any] = {"channel": self._channel(recipient, chosen), "text": text or ""}
        if blocks is not None:
            body["blocks"] = list(blocks)
        if thread_info is not None and thread_info.get("ts"):
            body["thread_ts"] = thread_info["ts"]
        url = f"{self._url}/chat.postMessage"
        said = post_json(url, body, chosen, public_only=self._public_only)
        response = _accepted(recipient, said)
        return {"channel": response.get("channel"), "ts": response.get("ts")}

    def _channel(self, recipient: str, token: str) -> str:
        if "@" not in recipient[1:]:
            return recipient
        query = urlencode({"email": recipient})
        url = f"{self._url}/users.lookupByEmail?{query}"
        said = get_json(url, token, public_only=self._public_only)
        found = _accepted(recipient, said).get("user")
        identity = found.get("id") if isinstance(found, dict) else None
        if not isinstance(identity, str):
            raise DeliveryError(f"Slack has no user {recipient!r}; check the e-mail address")
        return identity


def _accepted(recipient: str, response: dict[str, Any]) -> dict[str, Any]:
    if response.get("ok") is True:
        return response
    said = str(response.get("error", "no valid response"))
    remedy = _REMEDIES.get(said)
    text = f"Slack rejected the message for {recipient}: {said}" + (f"; {remedy}" if remedy else "")
    raise DeliveryError(text, temporary=said in _LATER)


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


AsyncSlack = threaded(Slack)
