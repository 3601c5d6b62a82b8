"""What runs beside a user's command: the command server, and the agent of a cloud worker."""
