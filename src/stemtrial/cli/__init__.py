"""The command line: parse, call the library, print."""

from stemtrial.cli.app import app
from stemtrial.cli.status import main

__all__ = ["app", "main"]
