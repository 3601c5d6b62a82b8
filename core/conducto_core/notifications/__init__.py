"""Notifications about states of nodes: Slack, email, commit statuses on GitHub.

`messages` composes them, `channels` sends them, `delivery` evaluates the result and schedules
retries. The driver stores pending ones (the local runner in its outbox, the cloud in its journal).
"""
