"""The cache of commands' results."""
