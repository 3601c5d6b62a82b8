"""Slack, through a server that holds the workspace's permission."""

from __future__ import annotations

from conducto.api.errors import NotAvailableError
from conducto.api.remote import threaded

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any


class Slack:
    """Sends messages."""

    def message(
        self,
        recipient: str,
        text: str | None = None,
        blocks: Sequence[Any] | None = None,
        thread_info: Mapping[str, Any] | None = None,
        token: str | None = None,
    ) -> dict[str, Any]:
        """Send a message and return what identifies it, for ``thread_info`` of an answer.

        Args:
            recipient: Channel (``#name``) or user (``@name`` or an e-mail address).
            text: Plain text; also what a notification shows if there are blocks.
            blocks: Slack's layout blocks.
            thread_info: The message that this one answers.
            token: Account at the server; the default is the profile's.

        Raises:
            ValueError: There is no recipient, or neither text nor blocks.
            NotAvailableError: Always else, in this version.
        """
        del thread_info, token
        if not _is_text(recipient):
            raise ValueError(f"a Slack message needs a recipient, got {recipient!r}")
        if text is None and blocks is None:
            raise ValueError(f"the Slack message for {recipient} has neither text nor blocks")
        raise NotAvailableError(
            "Sending to Slack",
            "Until then post to one of Slack's incoming web hooks from an Exec.",
        )


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


AsyncSlack = threaded(Slack)
