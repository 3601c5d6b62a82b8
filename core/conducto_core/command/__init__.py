"""The execution of one command in its container, for both targets."""
