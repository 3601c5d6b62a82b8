"""The execution of a command in its container: environment, server, masking, usage."""
