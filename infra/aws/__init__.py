"""Programs of an installation's administrator."""
