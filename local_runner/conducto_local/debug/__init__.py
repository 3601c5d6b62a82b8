"""Debug shells, in containers like those of attempts.

The agent describes the container (`conducto_local.debug.handlers`). The CLI process starts it
(`session`), or prints a ``docker run`` line (`command_line`). Only the latter needs the ``docker``
program.
"""
