"""A pipeline's page in the web app."""

import os
import sys
from urllib.parse import quote, urlsplit

from conducto.client import Client


def open_page(client: Client, pipeline_id: str) -> str:
    """Open a pipeline's page where there is a browser; return its address.

    The address logs in once, within a minute, and then shows the page.
    """
    import webbrowser  # noqa: PLC0415 - slow, and rarely needed

    url = urlsplit(client.login().url)._replace(path=f"/p/{quote(pipeline_id)}").geturl()
    if os.environ.get("BROWSER") or os.environ.get("DISPLAY") or sys.platform == "darwin":
        webbrowser.open(url)
    return url


def is_wanted(app: bool | None) -> bool:
    """Return whether a launch opens the page: by the flag, else by ``[general] show_app``."""
    if app is not None:
        return app
    from conducto.api.config import Config  # noqa: PLC0415 - reads a file

    return Config().get("general", "show_app") is True
