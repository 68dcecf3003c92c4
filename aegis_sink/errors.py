"""The base of errors that a command ends with."""


class Explained(Exception):
    """Its text tells a person what, where and what to do: commands print it and end with 1."""
