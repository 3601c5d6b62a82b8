"""Only the functions of ``__all__`` are methods."""

import conducto as co

__all__ = ["shown"]


def shown(a: int, *, b: str = "b"):
    return [a, b]


def other():
    return 1


co.main()
