"""The command line: parse, call the library, print."""

from stemtrial.cli.app import app, main

__all__ = ["app", "main"]
