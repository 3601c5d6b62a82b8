"""Services: containers beside the container of a command, in the local container engine."""
