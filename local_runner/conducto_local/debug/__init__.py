"""Debug shells, in containers like those of attempts.

The agent describes the container (`conducto_local.api.debug_containers`). The CLI process starts it
(`session`), or prints a ``docker run`` line (`command_line`). Only the latter needs the ``docker``
program.
"""
