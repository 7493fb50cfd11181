"""Calls the command line: in this process where that will do, in another where signals and streams matter."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import NamedTuple

import pytest


class Said(NamedTuple):
    code: int
    out: str
    err: str


Cli = Callable[..., Said]


@pytest.fixture(scope="session")
def call() -> Cli:
    """Run a command in the current folder."""
    from stemtrial.cli import main

    def run(*args: str) -> Said:
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as left:
            main(args)
        code = left.value.code
        assert isinstance(code, int)
        return Said(code, out.getvalue(), err.getvalue())

    return run


@pytest.fixture
def cli(call: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Run a command in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    return call


CTRL_C = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
"""A shell without job control lets what it starts in the background ignore Ctrl-C, and children inherit that."""


@pytest.fixture
def process(tmp_path: Path) -> Callable[..., subprocess.Popen[str]]:
    """Start a command as a process of its own, in an empty folder."""

    def start(*args: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", f"{CTRL_C}; from stemtrial.cli import main; main()", *args],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start
