"""Code that both targets share: the contract, the semantics, and the API.

No module has side effects at import.
"""
