"""The fake agent of the command line's unit tests."""

from cli.conftest import conducto, fake, open_client

__all__ = ["conducto", "fake", "open_client"]
