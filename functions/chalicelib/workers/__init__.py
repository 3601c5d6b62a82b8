"""Workers on Fargate."""
