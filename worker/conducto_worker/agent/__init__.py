"""The agent of a cloud worker: fetches tasks, has them run in the user's container, reports."""
