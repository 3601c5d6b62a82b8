"""Pages of the web app, opened from a terminal."""

import os
import sys
from urllib.parse import quote, urlsplit

from conducto.client import Client

#: Set where there is something that can show a browser's window.
_SCREENS = ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY")


def open_page(client: Client, pipeline_id: str | None) -> str:
    """Open a pipeline's page, or the list, where there is a browser; return its address.

    The address logs in once, within a minute, and then shows the page.
    """
    import webbrowser  # noqa: PLC0415 - slow, and rarely needed

    path = "/" if pipeline_id is None else f"/p/{quote(pipeline_id)}"
    url = urlsplit(client.login().url)._replace(path=path).geturl()
    if any(map(os.environ.get, _SCREENS)) or sys.platform == "darwin":
        webbrowser.open(url)
    return url


def is_wanted(app: bool | None) -> bool:
    """Return whether a launch opens the page: by the flag, else by ``[general] show_app``."""
    if app is not None:
        return app
    from conducto.api.config import Config  # noqa: PLC0415 - reads a file

    return Config().get("general", "show_app") is True
