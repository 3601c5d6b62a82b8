"""The semantics of a tree, written once.

Pure functions and one state machine over `conducto_core.model`. Nothing here reads a clock, a file,
the environment or a random number. Both drivers, the local scheduler and the Step Functions
compiler, take every decision from these modules.
"""
