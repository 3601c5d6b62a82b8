"""Safe access to files that others change at the same time: directories and directory trees."""
