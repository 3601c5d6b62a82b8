"""Workers as ECS tasks."""
