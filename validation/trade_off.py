"""What the MS model cannot have at once: a constant is varied, and the targets that pull on it are shown side by side.

    python -m validation.trade_off [--patients N]

Writes docs/images/trade-off.png (needs Chromium) and prints the figures as a Markdown table.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from stemtrial.parameters import point_draw, registry
from stemtrial.therapy import compose
from validation.ms_targets import Trial, relapse_recovery

ROOT = Path(__file__).parents[1]
SLOW = "ms.phiY"
CHILDREN = "cohort.alpha.paediatric"
SWEEPS: Mapping[str, tuple[float, ...]] = {
    SLOW: (0.0, 0.033, 0.067, 0.10, 0.133),
    CHILDREN: (1.0, 1.3, 1.8, 2.2),
}
BANDS: Mapping[str, tuple[float, float]] = {
    "residual of a relapse, EDSS": (0.2, 0.35),
    "natalizumab HR24": (0.42, 0.58),
    "fingolimod HR24": (0.52, 0.72),
    "EDSS 2 y after aHSCT": (-1.4, -0.5),
    "worsening-free 10 y after aHSCT": (0.58, 0.85),
    "ARR on fingolimod": (0.0, 0.25),
    "ARR on interferon": (0.52, 0.89),
    "new T2 a year on interferon": (8.0, 10.5),
}
"""Target of each figure: the issue's limits, or the published value with its interval."""


def slow_recovery(value: float, patients: int) -> dict[str, float]:
    """A greater share that recovers slowly: gains after transplantation against healing and hazard ratios."""
    draws = point_draw({SLOW: value})
    affirm, freedoms = (Trial(name, draws, patients) for name in ("affirm", "freedoms"))
    series = Trial("beam-series.yaml", draws, patients // 4)
    return {
        "residual of a relapse, EDSS": relapse_recovery(affirm, compose("ms", ("drugs", "steroids")))[1],
        "natalizumab HR24": affirm.hazard_ratio("confirmed_worsening.affirm.24_weeks", "natalizumab", "placebo"),
        "fingolimod HR24": freedoms.hazard_ratio("confirmed_worsening.24_weeks", "f05", "placebo"),
        "EDSS 2 y after aHSCT": series.mean("edss_change", "ahsct", 2.0),
        "worsening-free 10 y after aHSCT": series.free("confirmed_worsening.24_weeks", "ahsct", 9.5),
    }


def children(value: float, patients: int) -> dict[str, float]:
    """More activity in children: relapses on fingolimod against relapses and lesions on interferon."""
    paradigms = Trial("paradigms", point_draw({CHILDREN: value}), patients // 2)
    return {
        "ARR on fingolimod": paradigms.rate("relapse_rate", "fin"),
        "ARR on interferon": paradigms.rate("relapse_rate", "ifn"),
        "new T2 a year on interferon": paradigms.rate("new_t2_lesions", "ifn"),
    }


def main() -> None:
    """Print the tables and draw the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patients", type=int, default=12_000)
    n = parser.parse_args().patients
    found = {
        SLOW: {v: slow_recovery(v, n) for v in SWEEPS[SLOW]},
        CHILDREN: {v: children(v, n) for v in SWEEPS[CHILDREN]},
    }
    show(found, BANDS, "trade-off.png", 4)


def show(
    found: Mapping[str, Mapping[float, Mapping[str, float]]], bands: Mapping[str, tuple[float, float]], image: str,
    columns: int,
) -> None:  # fmt: skip
    """Print a table and draw a row of panels for each constant that was varied.

    Parameters
    ----------
    found : mapping
        Constant -> its value -> target -> what the model gives.
    bands : mapping of str to (low, high)
        Limits of each target.
    image : str
        File below ``docs/images``.
    columns : int
        Panels of a row.
    """
    panels = [(name, key) for name, rows in found.items() for key in next(iter(rows.values()))]
    rows_of_panels = -(-len(panels) // columns)
    figure = make_subplots(
        rows=rows_of_panels, cols=columns, subplot_titles=[key for _, key in panels], horizontal_spacing=0.07
    )
    for i, (name, key) in enumerate(panels):
        row, col = i // columns + 1, i % columns + 1
        x, y = list(found[name]), [r[key] for r in found[name].values()]
        margin = 0.15 * (max(y) - min(y))
        shown = (min(y) - margin, max(y) + margin)
        band = [min(max(edge, shown[0]), shown[1]) for edge in bands[key]]
        figure.add_scatter(x=x, y=y, row=row, col=col, mode="lines+markers", line={"color": "#264653"})
        figure.add_hrect(*band, row=row, col=col, fillcolor="#2a9d8f", opacity=0.18, line_width=0)
        figure.add_vline(registry()[name].value, row=row, col=col, line={"dash": "dot", "color": "#888888"})
        figure.update_yaxes(range=shown, row=row, col=col)
        figure.update_xaxes(title_text=name, title_font_size=11, row=row, col=col)
    figure.update_annotations(font_size=12)
    figure.update_layout(showlegend=False, template="plotly_white", font_size=12, margin={"t": 40, "l": 40, "r": 20})
    for name, rows in found.items():
        keys = list(next(iter(rows.values())))
        print(f"\n| `{name}` | " + " | ".join(keys) + " |\n|---" + "|---" * len(keys) + "|")
        for value, r in rows.items():
            here = " (as set)" if value == registry()[name].value else ""
            print(f"| {value:g}{here} | " + " | ".join(f"{r[k]:.2f}" for k in keys) + " |")
        print("| target | " + " | ".join(f"{bands[k][0]:g} to {bands[k][1]:g}" for k in keys) + " |")
    sys.path.insert(0, str(ROOT / "docs"))
    from figures import picture  # type: ignore[import-not-found]  # docs is no package

    picture([go.Figure(figure)], ROOT / "docs" / "images" / image, 1200, 280 * rows_of_panels)


if __name__ == "__main__":
    main()
