"""The commands, each in a module of its own where it is more than a page."""
