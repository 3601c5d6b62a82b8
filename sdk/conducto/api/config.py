"""The configuration files of a person and of each of their profiles.

Both are ini files, in the layout that earlier versions wrote (see ``paths``):

    [general]                            [general]
    default = 1a2b3c4d                   url = https://…
    show_app = true                      org_id, email, token, host_id = …
                                         [shares]
                                         name = ["/a/directory", …]

Values are taken literally: ``%`` has no meaning. Option names are case-insensitive.
"""

# pathlib is slow to import, and this runs at every call in a container.
# ruff: noqa: PTH100, PTH103, PTH104, PTH105, PTH108, PTH110, PTH112, PTH113, PTH118, PTH120
# ruff: noqa: PTH208

from __future__ import annotations

import configparser
import enum
import hashlib
import json
import os
import tempfile

from conducto.api import paths
from conducto.files.trees import remove_tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

# Without a server, the pages are those of the agent on this machine.
DEFAULT_URL = "http://localhost"
_YES = {"1", "yes", "true", "on"}
_NO = {"0", "no", "false", "off"}


def current_profile() -> str:
    """Return the id of the profile in use; it need not exist on disk.

    The variable ``CONDUCTO_PROFILE`` overrides the default of the configuration file; without both
    it is ``paths.DEFAULT_PROFILE``.
    """
    chosen = os.environ.get("CONDUCTO_PROFILE")
    if chosen:
        return chosen
    configured = _read(_general_file()).get("general", "default", fallback="")
    return configured or paths.DEFAULT_PROFILE


class Config:
    """The user's configuration, read on creation; ``reload`` reads it again."""

    class Location(enum.Enum):
        """The place where this code runs."""

        LOCAL = "local"
        CLOUD = "cloud"

    TOKEN: str | None = None
    """A token for this process, which overrides those of the profile and the environment."""

    def __init__(self) -> None:
        self.reload()

    def reload(self) -> None:
        """Read the file again; changes that were not written are lost."""
        self._parser = _read(_general_file())

    def get(self, section: str, key: str, default: object = None) -> object:
        """Return one value: ``bool`` for yes/no words, else text; ``default`` if absent."""
        text = self._parser.get(section, key, fallback=None)
        if text is None:
            return default
        if text.lower() in _YES | _NO:
            return text.lower() in _YES
        return text

    def set(self, section: str, key: str, value: object, write: bool = True) -> None:
        """Change one value and, unless ``write`` is false, the file."""
        if not self._parser.has_section(section):
            self._parser.add_section(section)
        self._parser.set(section, key, _to_text(value))
        if write:
            self.write()

    def delete(self, section: str, key: str, write: bool = True) -> None:
        """Remove one value, and its section if it becomes empty."""
        if self._parser.has_section(section):
            self._parser.remove_option(section, key)
            if not self._parser.options(section):
                self._parser.remove_section(section)
        if write:
            self.write()

    def write(self) -> None:
        """Write the file atomically."""
        _write(_general_file(), self._parser)

    # -- profiles --------------------------------------------------------------

    @property
    def default_profile(self) -> str | None:
        """The default profile, or ``None``."""
        return self._parser.get("general", "default", fallback=None)

    def profile_sections(self) -> Iterator[str]:
        """Yield the ids of the profiles that have a configuration file, sorted."""
        base = paths.base_dir()
        for name in sorted(os.listdir(base)) if os.path.isdir(base) else ():
            if os.path.isfile(os.path.join(base, name, "config")):
                yield name

    def is_valid_profile(self, profile: str) -> bool:
        """Return whether that profile has a configuration file."""
        return profile in set(self.profile_sections())

    @staticmethod
    def get_profile_id(url: str, org_id: object, email: str) -> str:
        """Return the id, eight hexadecimal digits, of an account at a server."""
        text = f"{url}|{org_id}|{email}"
        # A name, not a protection; existing directories have names of this form.
        return hashlib.md5(text.encode()).hexdigest()[:8]  # noqa: S324

    @staticmethod
    def get_profile_config(profile: str) -> configparser.ConfigParser:
        """Return the profile's file, parsed; empty if there is none."""
        return _read(os.path.join(paths.profile_dir(profile), "config"))

    @staticmethod
    def write_profile_config(profile: str, profconfig: configparser.ConfigParser) -> None:
        """Write the profile's file atomically; only its owner can read it (it holds a token)."""
        _write(os.path.join(paths.profile_dir(profile), "config"), profconfig)

    def get_profile_general(
        self, profile: str, option: str, fallback: str | None = None
    ) -> str | None:
        """Return one value of the profile's ``[general]``, or ``fallback``."""
        return self.get_profile_config(profile).get("general", option, fallback=fallback)

    def set_profile_general(self, profile: str, option: str, value: object) -> None:
        """Change one value of the profile's ``[general]`` in its file."""
        parser = self.get_profile_config(profile)
        if not parser.has_section("general"):
            parser.add_section("general")
        parser.set("general", option, _to_text(value))
        self.write_profile_config(profile, parser)

    def write_profile(
        self,
        url: str,
        token: str | None,
        default: bool = True,
        *,
        org_id: str = "",
        email: str = "",
    ) -> str:
        """Write a profile's file, replacing an account's earlier one, and return its id.

        Args:
            url: Address of the server.
            token: Secret of the account there, or ``None`` to leave it out.
            default: Make it the default profile; the first profile always is.
            org_id: Organisation of the account, if known.
            email: Address of the account, if known.
        """
        profile = self.get_profile_id(url, org_id, email)
        values = {"url": url, "org_id": org_id, "email": email, "token": token}
        for option, value in values.items():
            if value is not None:
                self.set_profile_general(profile, option, value)
        if default or self.default_profile is None:
            self.set("general", "default", profile)
        return profile

    def delete_profile(self, profile: str) -> None:
        """Remove the profile and everything below its directory.

        Raises:
            ValueError: There is no such profile.
        """
        if not self.is_valid_profile(profile):
            raise ValueError(f"no profile {profile!r}; `conducto-profile list` shows them")
        remove_tree(paths.profile_dir(profile))
        if self.default_profile == profile:
            self.delete("general", "default")

    @staticmethod
    def rename_profile(old_id: str, new_id: str) -> None:
        """Move the profile's directory.

        Raises:
            ValueError: The new profile already exists.
            FileNotFoundError: There is no such profile.
        """
        target = paths.profile_dir(new_id)
        if os.path.exists(target):
            raise ValueError(f"profile {new_id!r} exists already; delete it first")
        os.rename(paths.profile_dir(old_id), target)

    def cleanup_profile_names(self) -> None:
        """Rename every profile to the id that follows from its address and account."""
        for profile in list(self.profile_sections()):
            general = self.get_profile_config(profile)
            url = general.get("general", "url", fallback=None)
            if url is None:
                continue
            org_id = general.get("general", "org_id", fallback="")
            right = self.get_profile_id(url, org_id, general.get("general", "email", fallback=""))
            if right != profile and not os.path.exists(paths.profile_dir(right)):
                self.rename_profile(profile, right)
                if self.default_profile == profile:
                    self.set("general", "default", right)

    # -- shared directories ----------------------------------------------------

    def get_named_share_mapping(self, profile: str) -> dict[str, list[str]]:
        """Return ``{name, lower case: [absolute directories]}`` of the profile."""
        parser = self.get_profile_config(profile)
        if not parser.has_section("shares"):
            return {}
        return {name: _directories(text) for name, text in parser.items("shares")}

    def get_named_share_paths(self, profile: str, name: str) -> list[str]:
        """Return the directories of one name; empty if it is unknown."""
        return self.get_named_share_mapping(profile).get(name.lower(), [])

    def register_named_share(self, profile: str, name: str, dirname: str) -> None:
        """Add a directory to a name, once."""
        directory = os.path.abspath(dirname)
        known = self.get_named_share_paths(profile, name)
        if directory in known:
            return
        parser = self.get_profile_config(profile)
        if not parser.has_section("shares"):
            parser.add_section("shares")
        parser.set("shares", name, json.dumps([*known, directory]))
        self.write_profile_config(profile, parser)

    # -- settings of this process ------------------------------------------------

    def get_url(self, pretty: bool = False) -> str:
        """Return the server's address, without a slash at its end if ``pretty``."""
        url = os.environ.get("CONDUCTO_URL")
        if not url:
            url = self.get_profile_general(current_profile(), "url") or DEFAULT_URL
        return url.rstrip("/") if pretty else url

    def get_connect_url(self, pipeline_id: str) -> str:
        """Return the address of a pipeline's page."""
        return f"{self.get_url(pretty=True)}/app/p/{pipeline_id}"

    def get_location(self) -> Config.Location:
        """Return whether this process runs in the cloud."""
        in_cloud = "cloud" in os.environ.get("CONDUCTO_EXECUTION_ENV", "")
        return Config.Location.CLOUD if in_cloud else Config.Location.LOCAL

    def get_host_id(self, profile: str | None = None) -> str:
        """Return eight hexadecimal digits that identify this machine for a profile.

        They are created once and stored in the profile's file, so that a copied home directory or a
        renamed machine keeps them.
        """
        given = os.environ.get("CONDUCTO_HOST_ID")
        if given:
            return given
        chosen = current_profile() if profile is None else profile
        known = self.get_profile_general(chosen, "host_id")
        if known:
            return known
        made = os.urandom(4).hex()
        self.set_profile_general(chosen, "host_id", made)
        return made

    def get_image_tag(self, default: str | None = None) -> str | None:
        """Return ``[dev] who``, the tag of a developer's own images, or ``default``."""
        return self._parser.get("dev", "who", fallback=default)

    def get_token(self, refresh: bool = False, force_refresh: bool = False) -> str | None:
        """Return the token of this process, or ``None``.

        In this order: ``Config.TOKEN``, the variable ``CONDUCTO_TOKEN``, the profile.

        Args:
            refresh: Ignored: tokens need no refresh.
            force_refresh: Likewise.
        """
        del refresh, force_refresh
        if self.TOKEN is not None:
            return self.TOKEN
        given = os.environ.get("CONDUCTO_TOKEN")
        return given or self.get_profile_general(current_profile(), "token")

    def get_token_from_shell(self, *_args: object, **_kwargs: object) -> str | None:
        """Return the known token (``conducto login``), or None; it never asks for one.

        Scripts call this for `conducto.api.Secrets`, which needs no token on this machine.
        """
        return self.get_token()


def _general_file() -> str:
    return os.path.join(paths.base_dir(), "config")


def _read(path: str) -> configparser.ConfigParser:
    # strict=False: old files may contain an option twice; the last one applies.
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        parser.read(path, encoding="utf-8")
    except configparser.Error as error:
        raise ValueError(f"{path} is not a valid configuration file: {error}") from error
    return parser


def _write(path: str, parser: configparser.ConfigParser) -> None:
    """Replace a file atomically, so that no reader sees a part of it; mode 0600."""
    directory = os.path.dirname(path)
    os.makedirs(directory, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=".config-", dir=directory)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            parser.write(stream)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def _to_text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value)
    if "\n" in text or "\r" in text:
        raise ValueError("a configuration value must be one line")
    return text


def _directories(text: str) -> list[str]:
    """Return the directories of one share; the first versions wrote a bare path."""
    try:
        value = json.loads(text)
    except ValueError:
        return [text]
    return [str(item) for item in value] if isinstance(value, list) else [str(value)]
