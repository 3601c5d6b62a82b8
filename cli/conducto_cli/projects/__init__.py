"""First projects: the demo, and new ones from the examples."""
