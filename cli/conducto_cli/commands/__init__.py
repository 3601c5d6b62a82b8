"""The commands, one module each: its arguments and its behavior."""
