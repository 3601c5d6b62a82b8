"""Plans, usage and cost."""
