"""``conducto login --ci``: a CI run exchanges its ID token for a token of an hour.

GitHub Actions gives jobs with ``permissions: id-token: write`` an address and a token with which
they request an ID token ("OpenID Connect reference" in GitHub's documentation). Other CI services
put the ID token itself into a variable.
"""

import json
import os
import urllib.request
from urllib.parse import quote

from conducto.errors import UsageError
from conducto_cli.cloud_account import Account
from conducto_client.cloud_transport import CloudClient, CloudTransport
from conducto_client.transport import Endpoint

#: The variable for an ID token, whose audience is the address of the installation.
ID_TOKEN = "CONDUCTO_ID_TOKEN"  # noqa: S105  the name of a variable
_REQUEST_URL, _REQUEST_TOKEN = "ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN"
_SECONDS = 30.0


def log_in(url: str, org: str) -> Account:
    """Return the account of this CI run in an organisation.

    Raises:
        UsageError: This is not a CI run with an ID token.
    """
    with CloudClient(CloudTransport(Endpoint(url, requested_id_token(url)))) as client:
        issued = client.exchange_ci_token(org)
    return Account(url, issued.token, issued.org, issued.user)


def requested_id_token(url: str) -> str:
    """Return the ID token of this CI run for an installation; raises `UsageError`."""
    given = os.environ.get(ID_TOKEN)
    if given:
        return given
    address, token = os.environ.get(_REQUEST_URL), os.environ.get(_REQUEST_TOKEN)
    if not address or not token:
        raise UsageError(
            "this job has no ID token; in GitHub Actions add 'permissions: id-token: write' to the "
            f"job, elsewhere set {ID_TOKEN}"
        )
    request = urllib.request.Request(  # noqa: S310  GitHub's own address
        f"{address}&audience={quote(url, safe='')}", headers={"Authorization": f"Bearer {token}"}
    )
    try:
        with urllib.request.urlopen(request, timeout=_SECONDS) as response:  # noqa: S310
            return str(json.load(response)["value"])
    except (OSError, ValueError, KeyError) as error:
        raise UsageError(f"GitHub did not give an ID token: {error}") from error
