"""Due times and firings. Pure."""
