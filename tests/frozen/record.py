"""Record what the original client does with the scripts of the frozen corpus.

Usage: ``PYTHONPATH=tests python -m frozen.record PYTHON``, where PYTHON has ``conducto==0.1.28``
installed. Its HOME is a temporary directory, because that client renames profile directories.
"""

import shutil
import sys
import tempfile
from pathlib import Path

from frozen.cases import OTHERS, SCRIPTS, TREES, facts_of, write_facts


def main(python: str) -> None:
    """Record the facts."""
    with tempfile.TemporaryDirectory() as home:
        scripts = Path(home).resolve() / "scripts"
        shutil.copytree(SCRIPTS, scripts)
        env = {"HOME": home}
        write_facts({line: facts_of(line, python, scripts, env) for line in (*TREES, *OTHERS)})


if __name__ == "__main__":
    main(sys.argv[1])
