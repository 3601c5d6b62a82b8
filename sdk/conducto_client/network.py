"""Proxies and certificate authorities of the environment, as other programs use them.

``HTTPS_PROXY`` and ``NO_PROXY`` choose a proxy; ``SSL_CERT_FILE`` or ``REQUESTS_CA_BUNDLE`` add the
certificates of a private authority.
"""

import base64
import http.client
import os
import ssl
from collections.abc import Mapping
from urllib.parse import unquote, urlsplit
from urllib.request import proxy_bypass_environment  # type: ignore[attr-defined]

_CA_VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")
_SUFFIX = "_proxy"
_HTTPS_PORT = 443
_PROXY_PORT = 80


class NetworkSettingError(OSError):
    """A variable is not usable; the message has its name, its value and the remedy."""


def proxy_for(url: str, env: Mapping[str, str] = os.environ) -> str | None:
    """Return the proxy for a URL, or None if it is reached directly."""
    parts = urlsplit(url)
    names = sorted(name for name in env if name.lower().endswith(_SUFFIX))  # lower case goes last
    proxies = {name.lower().removesuffix(_SUFFIX): env[name] for name in names if env[name]}
    if not parts.hostname or proxy_bypass_environment(parts.netloc, proxies):
        return None
    return proxies.get("https" if parts.scheme in ("https", "wss") else "http") or proxies.get(
        "all"
    )


def tls_context(env: Mapping[str, str] = os.environ) -> ssl.SSLContext:
    """Return the settings of TLS, with the certificates of a private authority.

    Raises:
        NetworkSettingError: The file of the authority has no usable certificates.
    """
    context = ssl.create_default_context()
    for name in _CA_VARIABLES:
        path = env.get(name)
        if not path:
            continue
        try:
            context.load_verify_locations(cafile=path)
        except OSError as error:
            raise NetworkSettingError(
                f"{name}: the file {path!r} has no usable certificates ({error}); correct the "
                "variable"
            ) from error
    return context


def https_connection(
    url: str, timeout: float, env: Mapping[str, str] = os.environ
) -> http.client.HTTPSConnection:
    """Return a connection to a server, through the proxy of the environment if there is one.

    Raises:
        NetworkSettingError: A variable is not usable.
    """
    parts, proxy = urlsplit(url), proxy_for(url, env)
    host, port = parts.hostname or "", parts.port or _HTTPS_PORT
    context = tls_context(env)
    if proxy is None:
        return http.client.HTTPSConnection(host, port, timeout=timeout, context=context)
    through = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    if through.scheme != "http" or not through.hostname:
        shown = through._replace(netloc=through.netloc.rpartition("@")[2]).geturl()
        raise NetworkSettingError(
            f"the proxy {shown} is not an address such as http://HOST:PORT; correct HTTPS_PROXY"
        )
    connection = http.client.HTTPSConnection(
        through.hostname, through.port or _PROXY_PORT, timeout=timeout, context=context
    )
    connection.set_tunnel(host, port, _login_of(through.username, through.password))
    return connection


def _login_of(user: str | None, password: str | None) -> dict[str, str]:
    if user is None:
        return {}
    login = f"{unquote(user)}:{unquote(password or '')}"
    return {"Proxy-Authorization": f"Basic {base64.b64encode(login.encode()).decode()}"}
