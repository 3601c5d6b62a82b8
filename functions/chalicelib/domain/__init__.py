"""The pure part of the cloud target: pipeline state, events, workers and snapshots."""
