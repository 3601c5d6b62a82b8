"""The commands for people on the host; they need Python 3.11 and the client's packages."""
