"""What is shown on stderr while people wait."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from stemtrial.cli import text

if TYPE_CHECKING:  # options are checked without Numba
    from stemtrial.kernel import Kernel


@contextmanager
def progress(kernel: Kernel) -> Iterator[Any]:
    """Give a function of (stage, fraction) that shows on stderr how far the run is: bars, or lines if no terminal."""
    if _will_compile(kernel):
        print("stemtrial: compiling the model, once for this machine (about 20 s)", file=sys.stderr, flush=True)
    if not sys.stderr.isatty():
        yield _Lines()
        return
    from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description:<12}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=text.console(err=True), transient=True) as bars:
        stages: dict[str, TaskID] = {}

        def told(stage: str, fraction: float) -> None:
            for other, task in stages.items():
                if other != stage:
                    bars.update(task, completed=1.0)
            if stage not in stages:
                stages[stage] = bars.add_task(stage, total=1.0)
            bars.update(stages[stage], completed=fraction)

        yield told


class _Lines:
    """One line a stage, and one every ten seconds within it."""

    def __init__(self) -> None:
        self.stage, self.next = "", 0.0

    def __call__(self, stage: str, fraction: float) -> None:
        now = time.monotonic()
        if stage == self.stage and now < self.next:
            return
        percent = "" if stage != self.stage else f" {100 * fraction:.0f} %"
        print(f"stemtrial: {stage}{percent}", file=sys.stderr, flush=True)
        self.stage, self.next = stage, now + 10.0


def _will_compile(kernel: Kernel) -> bool:
    """Whether the kernel of a run, of the default block width, has no machine code in the cache yet."""
    from stemtrial.kernel.compile import cache_folder

    return not any((cache_folder() / "kernels" / "__pycache__").glob(f"kernel_{kernel.identity}.*.nbc"))
