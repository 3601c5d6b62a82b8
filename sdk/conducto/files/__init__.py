"""Safe access to files that other processes change: directories and directory trees."""
