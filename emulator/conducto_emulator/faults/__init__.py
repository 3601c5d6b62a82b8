"""Models of AWS's latencies, limits and inconsistencies."""
