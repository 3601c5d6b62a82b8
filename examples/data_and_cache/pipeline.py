"""Data that nodes share, and a cache that pipelines share.

The first pipeline builds an index of the licence texts in the Debian image and stores it in the
user's data. Later pipelines use it until the texts change.
"""

import hashlib
import json
import re
from pathlib import Path

import conducto as co

TEXTS = Path("/usr/share/common-licenses")
CACHE = "licence-index"
PLACE = Path("/tmp/licence-index")
WORDS = ["warranty", "trademark", "patent", "lawyer"]


def search(words: list[str] = WORDS) -> co.Serial:
    """Look up words in the licence texts, all at the same time."""
    image = co.Image("python:3.11-slim", copy_dir=".")
    root = co.Serial(image=image)
    root["Index"] = co.Exec(index)
    root["Words"] = co.Parallel(cpu=0.5, mem=0.5)
    for word in words:
        root["Words"][word] = co.Exec(look_up, word)
    # Programs in other languages use a tool, or the directory itself.
    root["Summary"] = co.Exec(
        """
        conducto-data-pipeline list found
        conducto-data-pipeline exists checksum
        cat /conducto/data/pipeline/found/*
        """
    )
    # Runs only after "conducto unskip".
    root["Forget the index"] = co.Exec(f"conducto-data-user clear-cache {CACHE}", skip=True)
    return root


def index() -> None:
    """Build the index of the texts, unless the user's data has it."""
    checksum = hashlib.sha256(b"".join(path.read_bytes() for path in licences())).hexdigest()[:16]
    co.data.pipeline.puts("checksum", checksum.encode())
    if co.data.user.cache_exists(CACHE, checksum):
        print(f"index {checksum} already exists")
        return
    PLACE.mkdir(parents=True, exist_ok=True)
    for path in licences():
        words = sorted(set(re.findall("[a-z]+", path.read_text(encoding="utf-8").lower())))
        PLACE.joinpath(path.name).write_text("\n".join(words), encoding="utf-8")
    co.data.user.save_cache(CACHE, checksum, str(PLACE))
    print(f"index {checksum} built from {len(licences())} texts")


def look_up(word: str) -> None:
    """Store the names of the licences that use a word."""
    checksum = co.data.pipeline.gets("checksum").decode()
    co.data.user.restore_cache(CACHE, checksum, str(PLACE.parent))
    found = [path.name for path in sorted(PLACE.iterdir()) if word in path.read_text().split("\n")]
    print(f"{word}: {len(found)} of {len(licences())}")
    result = json.dumps({"word": word, "licences": found}) + "\n"
    co.data.pipeline.puts(f"found/{word}.json", result.encode())


def licences() -> list:
    """Return the texts, without symbolic links to others of them."""
    return sorted(path for path in TEXTS.iterdir() if not path.is_symlink())


if __name__ == "__main__":
    co.main(default=search)
