"""Profiles: the server and account in use (``co.profile``, ``conducto-profile``).

Everything local works without a profile, under the name ``default``.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from configparser import ConfigParser
    from typing import Optional


def profile_list() -> None:
    """Print every profile: its id, whether it is the default, address, organisation, e-mail."""
    from conducto.api import Config  # noqa: PLC0415 - keeps the import light

    config = Config()
    profiles = list(config.profile_sections())
    if not profiles:
        _print(
            "No profiles. Local pipelines need none; add one with `conducto-profile add --url U`."
        )
    for profile in profiles:
        general = config.get_profile_config(profile)
        default = " default" if profile == config.default_profile else ""
        _print(f"Profile {profile}{default}")
        for label, option in (("URL", "url"), ("Organization", "org_id"), ("E-mail", "email")):
            value = general.get("general", option, fallback="")
            if value:
                _print(f"    {label}: {value}")


def profile_set_default(id: str) -> None:  # noqa: A002 - the name is part of the public API
    """Make a profile the default.

    Raises:
        ValueError: There is no such profile.
    """
    from conducto.api import Config  # noqa: PLC0415 - keeps the import light

    config = Config()
    known = config.is_valid_profile(id)
    if not known:
        raise ValueError(f"no profile {id!r}; `conducto-profile list` shows them")
    config.set("general", "default", id)


def profile_add(url: str, default: bool = False, token: Optional[str] = None) -> str:
    """Store a profile and return its id. The server is not contacted.

    Args:
        url: Address of the server, with ``https://`` or ``http://``.
        default: Make it the default; the first profile always is.
        token: Secret of the account; the default is the variable ``CONDUCTO_TOKEN``.

    Raises:
        ValueError: The address is invalid.
    """
    from conducto.api import Config  # noqa: PLC0415 - keeps the import light

    address = url.rstrip("/")
    if not address.startswith(("https://", "http://")) or address.endswith(":"):
        raise ValueError(f"{url!r} is not the address of a server, such as 'https://host'")
    chosen = os.environ.get("CONDUCTO_TOKEN") if token is None else token
    email = os.environ.get("CONDUCTO_EMAIL", "")
    return Config().write_profile(address, chosen, default, email=email)


def profile_delete(
    id: Optional[str] = None,  # noqa: A002 - the name is part of the public API
    url: Optional[str] = None,
    email: Optional[str] = None,
    force: bool = False,
) -> None:
    """Delete the profiles that match all arguments, with their pipelines and data.

    Args:
        id: Only this profile.
        url: Only those of this server.
        email: Only those of this account.
        force: Do not ask at the terminal first.

    Raises:
        ValueError: No argument is given, nothing matches, or the user did not confirm.
    """
    from conducto.api import Config, paths  # noqa: PLC0415 - keeps the import light

    if id is None and url is None and email is None:
        raise ValueError("choose the profile to delete: --id, --url or --email")
    config = Config()
    wanted = {"url": None if url is None else url.rstrip("/"), "email": email}
    matching = [
        profile
        for profile in config.profile_sections()
        if id in (None, profile) and _matches(config.get_profile_config(profile), wanted)
    ]
    if not matching:
        raise ValueError("no profile matches; `conducto-profile list` shows them")
    for profile in matching:
        if not force:
            question = f"Delete profile {profile} and all files in {paths.profile_dir(profile)}?"
            try:
                response = input(f"{question} [y/N] ")
            except EOFError:
                response = ""
            if response.strip().lower() not in {"y", "yes"}:
                raise ValueError("nothing deleted; answer y, or give --force")
        config.delete_profile(profile)


def profile_start_agent(id: Optional[str] = None) -> int:  # noqa: A002 - part of the public API
    """Start the agent of a profile and return its exit code."""
    return _agent("start", id)


def profile_stop_agent(id: Optional[str] = None) -> int:  # noqa: A002 - part of the public API
    """Stop the agent of a profile and return its exit code."""
    return _agent("stop", id)


def _agent(action: str, profile: Optional[str]) -> int:
    from conducto import _host  # noqa: PLC0415 - keeps the import light

    if profile is not None:
        os.environ["CONDUCTO_PROFILE"] = profile
    return _host.run(["agent", action])


def _matches(config: ConfigParser, wanted: dict[str, Optional[str]]) -> bool:
    return all(
        value is None or config.get("general", option, fallback="").rstrip("/") == value
        for option, value in wanted.items()
    )


def _print(text: str) -> None:
    print(text)  # noqa: T201 - this is the command's output
