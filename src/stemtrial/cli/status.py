"""From arguments to the status of the command: mistakes, interruptions and failures of the machine in one line."""

from __future__ import annotations

import contextlib
import errno
import os
import shlex
import signal
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

import typer

from stemtrial.cli.app import app
from stemtrial.errors import InputError

INTERRUPTED = 130  # 128 + SIGINT, as shells report it
RESUMED = ("run", "compare", "scorecard", "readout", "fit", "credibility")
"""Commands that go on where they were interrupted."""
_USAGE_ERROR: Any = typer.BadParameter.__mro__[2]  # ClickException, from whichever click this typer carries


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and leave with its status.

    0; 2 after a mistake of the user (one line on stderr); 1 if the machine failed (full disk, out of memory, a pipe
    that was closed); 130 after Ctrl-C.

    Parameters
    ----------
    args : sequence of str, optional
        Arguments; ``sys.argv[1:]`` when left out.
    """
    sys.exit(_status(list(sys.argv[1:] if args is None else args)))


def _status(args: list[str]) -> int:
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal without the character loses it, not the run
    try:
        code = typer.main.get_command(app).main(args, prog_name="stemtrial", standalone_mode=False)
        sys.stdout.flush()
        if code == INTERRUPTED:  # typer's own answer to Ctrl-C
            raise KeyboardInterrupt
        return code if isinstance(code, int) else 0
    except InputError as e:
        return _say(str(e), 2)
    except _USAGE_ERROR as e:
        at = getattr(e, "ctx", None)
        path = at.command_path if at is not None else "stemtrial"
        return _say(f"{e.format_message().rstrip('.')}; see '{path} --help'", 2)
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # a second Ctrl-C does not wait for the threads
        again = shlex.join(["stemtrial", *args])
        if args and args[0] in RESUMED:
            return _say(f"interrupted; what is finished is kept, and the same command goes on: {again}", INTERRUPTED)
        return _say("interrupted", INTERRUPTED)
    except MemoryError:
        return _say("not enough memory; use fewer patients or fewer threads", 1)
    except OSError as e:
        if e.errno == errno.EPIPE:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # whoever reads has seen enough
            return 1
        where = f"{e.filename}: " if e.filename else ""
        return _say(f"{where}{e.strerror or e}; mend that, and the same command goes on", 1)


def _say(message: str, code: int) -> int:
    with contextlib.suppress(OSError):  # nobody listens
        print(f"stemtrial: {' '.join(message.split())}", file=sys.stderr, flush=True)
    return code
