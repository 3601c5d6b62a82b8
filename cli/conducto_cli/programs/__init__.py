"""Programs: launch again, continue, compare."""
