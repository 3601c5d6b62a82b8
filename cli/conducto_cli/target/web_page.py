"""Pages of the web app, opened from a terminal.

The arguments of a process are for every user of a machine to read, and a browser is given the
address of a page as one. So the browser opens a file that only its owner can read, and that signs
it in: by a form that it posts to the agent, or by going on to the cloud's address with a code.
"""

import html
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, urljoin, urlsplit

from conducto.api import paths
from conducto_client import Client
from conducto_core.run.model.responses import Login

#: Set where there is something that can show a browser's window.
_SCREENS = ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY")
_PRIVATE_DIRECTORY = 0o700
_PAGE = '<!doctype html><html lang="en"><meta charset="utf-8"><title>Conducto</title>'
_XDG_SECONDS = 3.0
#: Seconds for which the page of a log-in is kept.
_LOGIN_SECONDS = 600


@dataclass(frozen=True, slots=True)
class WebPage:
    """A page of the web app.

    Attributes:
        address: Signs nobody in.
        code: Signs a browser in that is not, when it is typed there within `seconds`.
        forwarded: A browser was given the file that signs it in.
    """

    address: str
    code: str = field(repr=False)
    seconds: int
    forwarded: bool

    def code_line(self) -> str:
        """Return the line that tells a person the code."""
        return f"to sign a browser in, enter within {self.seconds} s: {self.code}"


def open_page(client: Client, pipeline_id: str | None) -> WebPage:
    """Open a pipeline's page, or the list, where there is a browser; return the page."""
    import webbrowser  # noqa: PLC0415 - slow, and rarely needed

    login = client.login()
    path = "/" if pipeline_id is None else _path_of(pipeline_id)
    address = urlsplit(login.url)._replace(path=path).geturl()
    forwarded = False
    if any(map(os.environ.get, _SCREENS)) or sys.platform == "darwin":
        reads_files = _browser_reads_files()
        folder = Path(paths.base_dir()) / "browser"
        target = forwarding_file(folder, login, path).as_uri() if reads_files else address
        forwarded = webbrowser.open(target) and reads_files
    return WebPage(address, login.code, login.seconds, forwarded)


def open_address(address: str) -> bool:
    """Open an address, whose fragment other users must not see, in a browser if there is one."""
    import webbrowser  # noqa: PLC0415 - slow, and rarely needed

    has_screen = any(map(os.environ.get, _SCREENS)) or sys.platform == "darwin"
    if not has_screen or not _browser_reads_files():
        return False
    return webbrowser.open(_written(_redirect(address), _LOGIN_SECONDS).as_uri())


def page_address(client: Client, pipeline_id: str) -> str | None:
    """Return the address of a pipeline's page, which signs nobody in; None without a web app."""
    app = client.status().app
    return None if app is None else f"{app}{_path_of(pipeline_id)}"


def _path_of(pipeline_id: str) -> str:
    return f"/p/{quote(pipeline_id)}"


def forwarding_file(folder: Path, login: Login, path: str) -> Path:
    """Write a file that signs in the browser that opens it, and leads to a page."""
    return _written(_forwarding(login, path), login.seconds, folder)


def _written(body: str, seconds: int, folder: Path | None = None) -> Path:
    """Write a page that only this user can read, after removing those older than ``seconds``."""
    folder = folder or Path(paths.base_dir()) / "browser"
    folder.mkdir(mode=_PRIVATE_DIRECTORY, parents=True, exist_ok=True)
    folder.chmod(_PRIVATE_DIRECTORY)
    for path in folder.glob("sign-in-*.html"):
        with suppress(OSError):
            if time.time() - path.stat().st_mtime > seconds:
                path.unlink()
    descriptor, name = tempfile.mkstemp(prefix="sign-in-", suffix=".html", dir=folder)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(_PAGE + body)
    return Path(name)


def _forwarding(login: Login, path: str) -> str:
    if login.form is None:
        target = urlsplit(login.url)._replace(path=path, fragment=f"code={login.code}").geturl()
        return _redirect(target)
    fields = {"secret": login.form.secret, "nonce": login.form.nonce, "page": path}
    inputs = "".join(
        f'<input type="hidden" name="{name}" value="{html.escape(value)}">'
        for name, value in fields.items()
    )
    action = html.escape(urljoin(login.url, "/session"))
    form = f'<form method="post" action="{action}">{inputs}<button>Open Conducto</button></form>'
    return f"{form}<script>document.forms[0].submit()</script>"


def _redirect(target: str) -> str:
    script = json.dumps(target).replace("<", "\\u003c")
    link = f'<a href="{html.escape(target)}">Open Conducto</a>'
    return f"<script>location.replace({script})</script>{link}"


def _browser_reads_files() -> bool:
    """Return whether the browser can open our files: one of Windows or from Snap cannot."""
    if "WSL_DISTRO_NAME" in os.environ or "microsoft" in platform.release().lower():
        return False
    named = os.environ.get("BROWSER")
    return not _is_of_snap(_default_browser() if named is None else named)


def _is_of_snap(browser: str) -> bool:
    name, _, end = browser.partition(".")
    app, _, command = name.partition("_")  # e.g. firefox_firefox.desktop
    return browser.startswith("/snap/") or (end == "desktop" and app == command)


def _default_browser() -> str:
    with suppress(OSError, subprocess.SubprocessError):
        words = ["xdg-settings", "get", "default-web-browser"]
        done = subprocess.run(  # noqa: S603 (our own words)
            words, capture_output=True, text=True, timeout=_XDG_SECONDS, check=False
        )
        return done.stdout.strip()
    return ""


def is_wanted(app: bool | None) -> bool:
    """Return whether a launch opens the page: by the flag, else by ``[general] show_app``."""
    if app is not None:
        return app
    from conducto.api.config import Config  # noqa: PLC0415 - reads a file

    return Config().get("general", "show_app") is True
