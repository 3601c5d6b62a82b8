"""The command line itself: parser, registry, output."""
