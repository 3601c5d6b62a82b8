"""Maps over results, which the driver expands."""
