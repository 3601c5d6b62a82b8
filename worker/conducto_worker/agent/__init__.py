"""The agent of a cloud worker: fetches tasks, runs them in the user's container, reports."""
