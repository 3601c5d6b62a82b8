"""How a command runs in its container: environment, command server, masking, measurements."""
