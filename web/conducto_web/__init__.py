"""The built web app. `make web` writes its files; the wheel contains them."""

from pathlib import Path


def app_folder() -> Path:
    """Return the directory of the files; without ``index.html``, the app is not built."""
    return Path(__file__).resolve().parent / "built"
