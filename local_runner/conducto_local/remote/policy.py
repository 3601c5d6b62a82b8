"""The link of a profile: section ``[link]`` of its configuration, which only this machine changes.

The section is written by ``conducto agent link``. No operation of the API reads or writes it.
"""

import os
import secrets
from configparser import ConfigParser
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from conducto.api import paths
from conducto.api.config import Config
from conducto_core.api.operation import LinkClass
from conducto_core.remote.model import LinkPolicy
from conducto_core.remote.rules import ALLOWABLE

_SECTION = "link"
#: Characters of agent ids; without those that look alike.
_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
_ID_LENGTH = 8


class LinkSettingsError(ValueError):
    """The section is not valid; the message has the option, the value and the remedy."""


@dataclass(frozen=True, slots=True)
class LinkSettings:
    """A link.

    Attributes:
        agent: Id of the agent in the installation.
        url: Of the installation's API.
        socket: URL of its WebSocket.
        org: Organisation.
        user: The person who linked the machine.
        token: With the permission ``agent`` only.
    """

    agent: str
    url: str
    socket: str
    org: str
    user: str
    token: str = field(repr=False)
    policy: LinkPolicy


def new_agent_id() -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(_ID_LENGTH))


def policy_of(allow: str, who: str) -> LinkPolicy:
    """Return the policy for the values of options.

    Raises:
        LinkSettingsError: A value is not valid.
    """
    names = [name.strip() for name in allow.split(",") if name.strip()]
    wrong = [name for name in names if name not in ALLOWABLE]
    known = ", ".join(ALLOWABLE)
    if wrong:
        raise LinkSettingsError(f"allow: {wrong[0]!r} cannot be allowed; choose from {known}")
    if LinkClass.READ not in names:
        raise LinkSettingsError(f"allow: {allow!r} lacks 'read', which all other classes need")
    try:
        classes = tuple(one for one in ALLOWABLE if one in names)
        return LinkPolicy.model_validate({"allow": classes, "who": who})
    except ValidationError:
        raise LinkSettingsError(f"{who!r} is neither 'me' nor 'org'") from None


def config_file(profile: str) -> Path:
    return Path(paths.profile_dir(profile)) / "config"


def read_settings(profile: str) -> LinkSettings | None:
    """Return the link of a profile, or None if it has none.

    Raises:
        LinkSettingsError: The section is not valid.
    """
    parser = Config.get_profile_config(profile)
    if not parser.has_section(_SECTION):
        return None
    values = dict(parser.items(_SECTION))
    needed = ("agent", "url", "socket", "org", "user", "token")
    missing = [name for name in needed if not values.get(name)]
    if missing:
        raise LinkSettingsError(
            f"{config_file(profile)}: [link] lacks {', '.join(missing)}; "
            "link the machine again: conducto agent link"
        )
    try:
        policy = policy_of(values.get("allow", "read"), values.get("who", "me"))
    except LinkSettingsError as error:
        raise LinkSettingsError(f"{config_file(profile)}: [link] {error}") from None
    return LinkSettings(**{name: values[name] for name in needed}, policy=policy)


def write_settings(profile: str, link: LinkSettings) -> None:
    parser = Config.get_profile_config(profile)
    _remove(parser)
    parser.add_section(_SECTION)
    for name in ("agent", "url", "socket", "org", "user", "token"):
        parser.set(_SECTION, name, getattr(link, name))
    parser.set(_SECTION, "allow", ",".join(link.policy.allow))
    parser.set(_SECTION, "who", link.policy.who)
    Config.write_profile_config(profile, parser)


def remove_settings(profile: str) -> bool:
    """Remove the link of a profile; return whether it had one."""
    parser = Config.get_profile_config(profile)
    if not _remove(parser):
        return False
    Config.write_profile_config(profile, parser)
    return True


def _remove(parser: ConfigParser) -> bool:
    return parser.remove_section(_SECTION)


class WatchedSettings:
    """The link of a profile, read again when the file changes."""

    def __init__(self, profile: str) -> None:
        self._profile = profile
        self._version: tuple[int, int, int] | None = None
        self._found: LinkSettings | None = None
        self._error: LinkSettingsError | None = None

    def now(self) -> LinkSettings | None:
        """Return the current link; raises `LinkSettingsError` if the section is not valid."""
        version = self._version_on_disk()
        if version != self._version:
            self._version, self._found, self._error = version, None, None
            try:
                self._found = read_settings(self._profile)
            except LinkSettingsError as error:
                self._error = error
        if self._error is not None:
            raise self._error
        return self._found

    def _version_on_disk(self) -> tuple[int, int, int] | None:
        try:
            found = os.stat(config_file(self._profile))  # noqa: PTH116  called every two seconds
        except OSError:
            return None
        return (found.st_ino, found.st_mtime_ns, found.st_size)
