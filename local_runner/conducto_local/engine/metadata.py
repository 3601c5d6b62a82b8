"""Blocks the metadata address of clouds, which provides the machine's credentials.

Containers must not reach it. No engine has a setting for that, and an agent may not change the
machine's firewall, so the network of containers is set up such that the address is unreachable:

- Docker gives each container the address itself, as a link-local address of its interface.
  Connections to it are refused inside the container; other containers and the host are not
  affected.
- Podman gives a network a static route to it through an unused address of the network.

The IPv6 address, ``fd00:ec2::254``, is unreachable because the networks are created without IPv6.
"""

import ipaddress
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

ADDRESS = "169.254.169.254"
#: The network of this address, which becomes unreachable with Docker.
_LINK_LOCAL = ipaddress.ip_network("169.254.0.0/16")
#: Environment variable of the agent that allows containers to reach the address.
VARIABLE = "CONDUCTO_METADATA"
#: Files with an engine's name servers; the second if systemd-resolved is in use.
_RESOLVERS = (Path("/etc/resolv.conf"), Path("/run/systemd/resolve/resolv.conf"))
#: Networks without addresses of their own, or not created by Conducto.
_SPECIAL = frozenset({"none", "host", "bridge", "default"})


def is_allowed(env: Mapping[str, str]) -> bool:
    """Return whether the agent's environment lets containers reach the address."""
    return env.get(VARIABLE) == "on"


def link_local_servers(resolvers: Iterable[Path] = _RESOLVERS) -> list[str]:
    """Return the machine's name servers that containers could no longer reach.

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
    """Return additions to a container's create request for Docker; empty for special networks."""
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
