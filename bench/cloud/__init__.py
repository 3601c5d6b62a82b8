"""Benchmarks of the cloud.

The functions and the emulator are not installed as packages: they are imported from the checkout.
"""

import sys
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]
sys.path += [str(_ROOT / folder) for folder in ("functions", "emulator", "tests")]
