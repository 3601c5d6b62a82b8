"""Telling people and services outside how nodes stand: Slack, mail, statuses on GitHub.

`texts` says what they are told, `channels` sends it, `trying` says how it went and when to try
again. Whoever runs pipelines keeps what is still to be sent (the local runner in its outbox, the
cloud side in its store).
"""
