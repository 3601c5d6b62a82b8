"""Every decision about a running tree. Pure."""
