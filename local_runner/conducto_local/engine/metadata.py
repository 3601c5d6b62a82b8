"""The address at which clouds give a machine its credentials: containers must not reach it.

No engine has a setting for that, and an agent may not change the machine's firewall. So a
container's network is made such that the address leads nowhere:

- Docker gives each container the address itself, as a link-local one of its interface.
  Connections to it are refused inside the container, and no other container or host is affected.
- Podman gives a network a static route to it, through an address of the network that is not used.

The IPv6 twin, ``fd00:ec2::254``, cannot be reached because the networks are made without IPv6.
"""

import ipaddress
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

ADDRESS = "169.254.169.254"
#: What Docker's address brings along: its whole network leads nowhere then.
_LINK_LOCAL = ipaddress.ip_network("169.254.0.0/16")
#: Says, in the agent's environment, that containers may reach the address.
VARIABLE = "CONDUCTO_METADATA"
#: Where an engine reads its name servers; the second where systemd-resolved stands between.
_RESOLVERS = (Path("/etc/resolv.conf"), Path("/run/systemd/resolve/resolv.conf"))
#: Networks that have no addresses of their own to give, or are not ours.
_SPECIAL = frozenset({"none", "host", "bridge", "default"})


def is_allowed(env: Mapping[str, str]) -> bool:
    """Return whether the owner of the agent lets containers reach the address."""
    return env.get(VARIABLE) == "on"


def link_local_servers(resolvers: Iterable[Path] = _RESOLVERS) -> list[str]:
    """Return the machine's name servers that containers could not reach any more.

    Google's virtual machines use the metadata address itself as their name server.
    """
    found = set()
    for path in resolvers:
        try:
            lines = path.read_text(errors="replace").splitlines()
        except OSError:
            continue
        found |= {line.split()[-1] for line in lines if line.startswith("nameserver")}
    return sorted(filter(_is_link_local, found))


def _is_link_local(server: str) -> bool:
    try:
        return ipaddress.ip_address(server) in _LINK_LOCAL
    except ValueError:
        return False


def endpoint(network: str | None) -> dict[str, Any]:
    """Return what a container's creation adds for Docker; nothing without a network of ours."""
    if network is None or network in _SPECIAL:
        return {}
    config = {"IPAMConfig": {"LinkLocalIPs": [ADDRESS]}}
    return {"NetworkingConfig": {"EndpointsConfig": {network: config}}}


def podman_network(name: str, labels: Mapping[str, str], subnet: str) -> dict[str, Any]:
    """Return the body of Podman's own ``POST /libpod/networks/create``."""
    unused = str(ipaddress.ip_network(subnet)[-2])
    return {
        "name": name,
        "driver": "bridge",
        "dns_enabled": True,
        "ipv6_enabled": False,
        "labels": dict(labels),
        "options": {"isolate": "true"},
        "subnets": [{"subnet": subnet}],
        "routes": [{"destination": f"{ADDRESS}/32", "gateway": unused}],
    }
