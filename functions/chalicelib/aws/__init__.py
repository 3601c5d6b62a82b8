"""AWS adapters that several features share."""
