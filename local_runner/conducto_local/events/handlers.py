"""Takes the webhooks of triggers on the agent's loopback port."""

import asyncio
import json
import logging
from collections import Counter
from collections.abc import Callable, Mapping
from secrets import token_urlsafe

from conducto_core.errors import NotFoundError
from conducto_core.events.intake import EventIntake
from conducto_core.events.model import NewHook
from conducto_core.schedules.port import Schedules
from conducto_local.agent.files import AgentFiles

logger = logging.getLogger(__name__)

#: Path of the webhooks; the name of the trigger follows.
HOOKS = "/hooks/"
_MINUTE = 60.0


class LocalHooks:
    """The webhooks of triggers, whose secrets are in a file of the agent.

    Args:
        changed: Called after an event.
        url: Returns the address of the agent.
    """

    def __init__(
        self,
        files: AgentFiles,
        store: Schedules,
        clock: Callable[[], float],
        changed: Callable[[], None],
        url: Callable[[], str],
    ) -> None:
        self._files = files
        self._clock = clock
        self._changed = changed
        self._url = url
        self._minute = 0
        self._counts: Counter[str] = Counter()
        self.intake = EventIntake(store, clock, self._count)

    def new(self, name: str) -> NewHook:
        """Return the webhook of a trigger with a new secret."""
        secret = token_urlsafe(32)
        self._files.write_hooks({**self._secrets(), name: secret})
        return NewHook(url=f"{self._url()}{HOOKS}{name}", secret=secret)

    def forget(self, name: str) -> None:
        """Delete the secret of a webhook."""
        known = self._secrets()
        if known.pop(name, None) is not None:
            self._files.write_hooks(known)

    async def receive(self, name: str, headers: Mapping[str, str], body: bytes) -> None:
        """Store the event of a webhook; see `EventIntake.hook`."""
        secret = (await asyncio.to_thread(self._secrets)).get(name)
        if secret is None:
            raise NotFoundError(f"no webhook {name!r}")
        await asyncio.to_thread(self.intake.hook, "", name, secret, headers, body)
        self._changed()

    def _secrets(self) -> dict[str, str]:
        try:
            found: dict[str, str] = json.loads(self._files.hooks.read_bytes())
        except FileNotFoundError:
            return {}
        except ValueError:
            logger.warning("the file with the secrets of webhooks is damaged; make new secrets")
            return {}
        return found

    def _count(self, _org: str, name: str) -> int:
        minute = int(self._clock() // _MINUTE)
        if minute != self._minute:
            self._minute, self._counts = minute, Counter()
        self._counts[name] += 1
        return self._counts[name]
