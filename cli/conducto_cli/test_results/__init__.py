"""The command about results of tests."""
