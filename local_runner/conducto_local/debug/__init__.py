"""Shells in containers like those that attempts ran in.

The agent says what such a container is like (`conducto_local.api.debug_containers`). The command
line's own process starts it (`session`), or prints how anybody can (`command_line`). Nothing here
needs the ``docker`` program.
"""
