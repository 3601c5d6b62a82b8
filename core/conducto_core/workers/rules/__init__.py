"""The number and size of workers. Pure."""
