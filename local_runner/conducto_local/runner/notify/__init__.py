"""Telling people and services outside how nodes stand: Slack, mail, statuses on GitHub.

`texts` says what they are told, `channels` sends it, `outbox` sees to it that it is sent once.
"""
