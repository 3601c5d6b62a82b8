"""Code that both targets share: the contract, the decisions, and the API.

No module has side effects at import.
"""
