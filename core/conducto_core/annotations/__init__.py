"""Messages about lines of files: from commands, failed tests, and the output of failed commands."""
