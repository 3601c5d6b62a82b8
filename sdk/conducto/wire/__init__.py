"""The wire form: the only part that the author API and the host share.

Standard library, Python 3.8, no I/O at import.
"""
