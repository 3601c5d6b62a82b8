"""Measurements of the cloud side.

The functions and the emulator are no installed packages: they are found in the checkout.
"""

import sys
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]
sys.path += [str(_ROOT / folder) for folder in ("functions", "emulator")]
