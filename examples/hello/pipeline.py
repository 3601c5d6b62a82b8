"""A small pipeline with a Serial, a Parallel and three Execs.

Print the tree:  python pipeline.py
Run it:          python pipeline.py --local --run
"""

import conducto as co


def hello(name: str = "world") -> co.Serial:
    """Greet somebody in two languages at the same time, then say good-bye."""
    # Without image=, nodes run in the official Python image, in the version that runs this file.
    root = co.Serial(env={"NAME": name})
    root["Greetings"] = co.Parallel()
    root["Greetings/Shell"] = co.Exec('echo "Hello, $NAME, from a shell."')
    root["Greetings/Python"] = co.Exec(
        """python - <<'CODE'
import os, platform
print(f"Hello, {os.environ['NAME']}, from Python {platform.python_version()}.")
CODE"""
    )
    root["Good bye"] = co.Exec('echo "Good bye, $NAME. Both have spoken."')
    return root


if __name__ == "__main__":
    co.main(default=hello)
