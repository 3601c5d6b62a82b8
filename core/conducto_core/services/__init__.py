"""Services: containers beside the container of a command."""
