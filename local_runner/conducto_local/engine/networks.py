"""The network of a pipeline's containers."""

from collections.abc import Mapping
from http import HTTPStatus

from conducto_local.engine import metadata
from conducto_local.engine.http import ApiError, HttpClient
from conducto_local.engine.traits import Traits

#: Attempts: another network may take the subnet that Podman has just proposed.
_TRIES = 5


async def create(http: HttpClient, name: str, labels: Mapping[str, str], traits: Traits) -> None:
    """Create a network.

    Raises:
        ApiError: The engine cannot create it; the status is CONFLICT if the name exists.
    """
    for left in reversed(range(_TRIES)):
        await _create(http, name, labels)
        if traits.podman is None or not traits.block_metadata:
            return
        try:
            await _recreate_with_route(http, name, labels)
        except ApiError as error:
            if error.status == HTTPStatus.CONFLICT or not left:
                raise
        else:
            return


async def _create(http: HttpClient, name: str, labels: Mapping[str, str]) -> None:
    body = {
        "Name": name,
        "Driver": "bridge",
        "CheckDuplicate": True,
        "EnableIPv6": False,
        "Labels": dict(labels),
    }
    await http.call("POST", "/networks/create", json_body=body)


async def _recreate_with_route(http: HttpClient, name: str, labels: Mapping[str, str]) -> None:
    """Replace a network with one that has the same subnet and a static route."""
    found = await http.call("GET", f"/networks/{name}")
    subnet = str(found["IPAM"]["Config"][0]["Subnet"])
    await http.call("DELETE", f"/networks/{name}")
    body = metadata.podman_network(name, labels, subnet)
    await http.call("POST", "/libpod/networks/create", json_body=body)
