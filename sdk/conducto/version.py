"""The version of this package and the commit that it was built from."""

__version__ = "1.0.0.dev0"
__sha1__ = "unknown"
