"""The command line: one module a group of commands, assembled in `app`."""

from muniment.cli.app import main

__all__ = ["main"]
