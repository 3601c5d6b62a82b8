"""Log-in and tokens of the original's API."""

from __future__ import annotations

import base64
import binascii
import json

from conducto.api import calls as target
from conducto.api.calls import UnauthorizedResponse, UserInputValidation, not_yet, original
from conducto.api.config import Config

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Mapping, Optional

_LOGIN = "Local pipelines need no login; `conducto login` keeps the token of an installation."
_PROFILES = "A token belongs to one organisation; each account has a profile: `conducto-profile`."
_ADMIN = "`conducto admin` manages the tokens of an installation."
_ROLES = "`conducto deploy -c task_roles=ORG=ARN` gives commands an AWS role."
_PREFIX = "cdo_"


class Auth:
    """Log-in and tokens.

    Tokens of an installation have no claims and need no refresh. A method that takes a token uses
    that of the profile if there is none.
    """

    def get_token(self, login: Mapping[str, str]) -> str:
        """Check a token at the installation of the profile and return it.

        Args:
            login: ``{"email": ..., "password": TOKEN}``; the token decides who is logged in.

        Raises:
            UserInputValidation: The token is missing.
            UnauthorizedResponse: The installation does not accept it.
        """
        return _checked(login, keep=False)

    def get_auth(self, login: Mapping[str, str]) -> Dict[str, str]:
        """Check a token like `get_token`; return ``{"AccessToken": token}``."""
        return {"AccessToken": _checked(login, keep=False)}

    def get_account_token(
        self, login: Mapping[str, str], account_id: Optional[str] = None, skip_profile: bool = False
    ) -> str:
        """Log in like ``conducto login`` and return the token.

        Args:
            login: As in `get_token`.
            account_id: Ignored: a token belongs to one organisation.
            skip_profile: Do not store it in the profile.
        """
        del account_id
        return _checked(login, keep=not skip_profile)

    def get_token_from_shell(self, *args: object, **kwargs: object) -> str | None:
        """Return the known token, or None; see `Config.get_token_from_shell`."""
        return Config().get_token_from_shell(*args, **kwargs)

    def get_refreshed_token(self, token: str, force: bool = False) -> str:
        """Return the token."""
        del force
        return token

    def refresh_auth(self, auths: Dict[str, str], force: bool = False) -> Dict[str, str]:
        """Return the tokens."""
        del force
        return auths

    def signout(self, token: str | None = None) -> None:
        """Forget the token of the profile like ``conducto logout``; it stays valid."""
        del token
        original("log_out")(target.profile_of_launch())

    def test(self, token: str | None = None) -> bool:
        """Return whether the installation accepts the token."""
        try:
            _identity(token)
        except UnauthorizedResponse:
            return False
        return True

    def get_email(self, token: str | None = None) -> str:
        """Return the name of the user, which is the address if the installation uses addresses."""
        return str(_identity(token)["user"])

    def get_unverified_claims(self, token: str | None = None) -> dict[str, object]:
        """Return the claims of a JSON Web Token; its signature is not checked.

        Raises:
            UserInputValidation: There is no token, or it is not of that kind.
        """
        chosen = Config().get_token() if token is None else token
        if chosen is None:
            raise UserInputValidation(f"no token is known. {_LOGIN}")
        try:
            body = chosen.split(".")[1]
            claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
        except (IndexError, ValueError, binascii.Error) as error:
            raise UserInputValidation("the token contains no readable claims") from error
        if not isinstance(claims, dict):
            raise UserInputValidation("the token contains no readable claims")
        return claims

    def get_user_id(self, token: str | None = None) -> object:
        """Return the name of the user, or the claim ``sub`` of a JSON Web Token."""
        chosen = Config().get_token() if token is None else token
        if chosen is not None and chosen.startswith(_PREFIX):
            return _identity(chosen)["user"]
        return self.get_unverified_claims(chosen).get("sub")

    def is_anonymous(self, token: str | None = None) -> bool:
        """Return whether the token belongs to an anonymous user."""
        chosen = Config().get_token() if token is None else token
        if chosen is not None and chosen.startswith(_PREFIX):
            return False
        return self.get_unverified_claims(chosen).get("user_type") == "anonymous"

    list_accounts = not_yet("Listing accounts", _PROFILES)
    select_account = not_yet("Choosing an account", _PROFILES)
    change_password = not_yet("Changing a password", _ADMIN)
    get_credentials = not_yet("Obtaining cloud credentials", _ROLES)
    get_ecr_credentials = not_yet("Obtaining registry credentials", _ROLES)
    admin_create_account = not_yet("Managing accounts", _ADMIN)
    admin_delete_users = not_yet("Managing accounts", _ADMIN)


class Dir:
    """The organisation and the user of a token; an installation has no directory of others."""

    def org(self, org_id: object, token: str | None = None) -> Dict[str, Any]:
        """Return the organisation of the token.

        Raises:
            InvalidResponse: It has another id.
        """
        return dict(original("organisation")(str(org_id), token, target.profile_of_launch()))

    def org_by_user(self, token: str | None = None) -> Dict[str, Any]:
        """Return the organisation of the token."""
        return dict(original("organisation")(None, token, target.profile_of_launch()))

    def user(self, token: str | None = None) -> Dict[str, Any]:
        """Return the user of the token."""
        found = _identity(token)
        user = found["user"]
        return {"user_id": user, "name": user, "email": user, "org_id": found["org"]}

    org_create = not_yet("Creating an organisation", _ADMIN)
    org_create_subscription = not_yet("Subscriptions", "`conducto admin` sets plans.")
    org_delete = not_yet("Deleting an organisation", _ADMIN)
    org_users = not_yet("The directory of users", _ADMIN)
    users = not_yet("The directory of users", _ADMIN)
    teams = not_yet("The directory of teams", _ADMIN)
    bulk_users = not_yet("The directory of users", _ADMIN)
    bulk_orgs_by_users = not_yet("The directory of organisations", _ADMIN)
    accept_invite = not_yet("Invitations", _ADMIN)
    invite_recipient = not_yet("Invitations", _ADMIN)
    create_integration_user = not_yet("Integration users", _ADMIN)
    delete_integration_user = not_yet("Integration users", _ADMIN)


def get_auth_headers(
    token: str | None = None, refresh: bool = True, force_refresh: bool = False
) -> dict[str, str]:
    """Return the HTTP headers that carry a token.

    Raises:
        UserInputValidation: There is no token.
    """
    chosen = Config().get_token(refresh, force_refresh) if token is None else token
    if chosen is None:
        raise UserInputValidation(f"no token is known. {_LOGIN}")
    return {"Authorization": f"bearer {chosen}", "Content-Type": "application/json"}


def _identity(token: str | None) -> Dict[str, Any]:
    return dict(original("identity")(token, target.profile_of_launch()))


def _checked(login: Mapping[str, str], *, keep: bool) -> str:
    token = login.get("password")
    if not token:
        raise UserInputValidation(f"the login has no token as its password. {_LOGIN}")
    original("log_in")(token, target.profile_of_launch(), keep=keep)
    return token
