"""Results of single tests, from the JUnit files of commands."""
