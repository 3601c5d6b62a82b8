"""The compiler, the cloud machine, and forecasts. Pure."""
