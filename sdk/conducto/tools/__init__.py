"""The command lines. Each module imports what its command needs, and no more."""
