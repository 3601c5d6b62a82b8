"""The pure part of the cloud: pipeline state, events, workers, snapshots."""
