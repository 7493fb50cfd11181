"""Makes the pictures of the documentation from a run: `python docs/figures.py [RUN_FOLDER]` (needs Chromium).

Without a folder, `stemtrial run mist` is run first.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from plotly.offline import get_plotlyjs

from stemtrial.kernel import default_threads
from stemtrial.predict import Settings, predict
from stemtrial.report.figures import forest, kaplan_meier
from stemtrial.report.words import names_of
from stemtrial.trial.protocol import load_protocol

HERE = Path(__file__).parent / "images"


def picture(figures: list, path: Path, width: int, height: int) -> None:
    """Draw figures side by side into a PNG."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        raise SystemExit("no Chromium found; install it to make the pictures")
    each, cells = width // len(figures), ""
    for f in figures:
        f.update_layout(width=each - 10, height=height, paper_bgcolor="white", plot_bgcolor="white")
        drawn = f.to_html(include_plotlyjs=False, full_html=False, config={"staticPlot": True})
        cells += f"<div style='width:{each}px'>{drawn}</div>"
    page = f"<!doctype html><script>{get_plotlyjs()}</script><body style='margin:0;display:flex'>{cells}"
    with tempfile.TemporaryDirectory() as folder:
        html = Path(folder) / "figure.html"
        html.write_text(page, encoding="utf-8")
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
        flags.append(f"--user-data-dir={folder}/profile")
        size = [f"--window-size={width},{height + 20}", "--force-device-scale-factor=2", "--virtual-time-budget=5000"]
        command = [chromium, *flags, *size, f"--screenshot={path}", html.as_uri()]
        subprocess.run(command, check=True, capture_output=True)


def main() -> None:
    """Run MIST if need be, and draw."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    p = predict(load_protocol("mist"), Settings(threads=default_threads()), folder=folder)
    HERE.mkdir(exist_ok=True)
    km, names = p.page["curves"]["km"], names_of(p.page)
    endpoints = dict.fromkeys(c["endpoint"] for c in km)
    curves = [kaplan_meier([c for c in km if c["endpoint"] == e], names) for e in endpoints]
    picture(curves, HERE / "mist-curves.png", 1100, 460)
    rows = [e for e in p.estimates if e["endpoint"] == "edss_change"]
    picture([forest(rows, names)], HERE / "mist-edss.png", 760, 360)


if __name__ == "__main__":
    main()
