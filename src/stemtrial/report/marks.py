"""The marks that pictures are made of: rows with labels, bars, bands, published points, arms' colours and dashes."""

from __future__ import annotations

import html
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from stemtrial.report.colours import ARM_DASHES, ARM_TOKENS, light, veil
from stemtrial.report.words import Names, finite, number, span

_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', sans-serif"
LABEL_CHARS = 44  # what fits on a telephone, 390 px wide
BOLD_CHARS = 41  # of a bold line
LINE = 17  # px, one line of a row's label
MARKERS = {  # published points: symbol, outline or fill token
    "primary": ("circle", "ink"),
    "secondary": ("circle-open", "ink"),
    "recalled": ("diamond-open", "muted"),
}
MARKER_NAMES = {
    "primary": "published, read at the source",
    "secondary": "published, from another publication",
    "recalled": "published, recalled from memory: not scored",
}


def safe(text: Any, width: int | None = None) -> str:
    """Return text that Plotly prints as it is (it reads a subset of HTML), cut to ``width`` characters."""
    plain = " ".join(str(text).split())
    if width is not None:
        plain = textwrap.shorten(plain, width, placeholder=" …") if len(plain) > width else plain
        plain = plain if len(plain) <= width else plain[: width - 1] + "…"
    return html.escape(plain, quote=False)


def blank(height: float, margin: Mapping[str, float], **layout: Any) -> go.Figure:
    """Return an empty figure in the house style: transparent, light colours, no zoom (a page must scroll)."""
    axis = {
        "gridcolor": light("rule"),
        "linecolor": light("muted"),
        "tickcolor": light("muted"),
        "zeroline": False,
        "tickfont": {"color": light("muted"), "size": 12},
        "title": {"font": {"color": light("muted"), "size": 12}},
        "fixedrange": True,
    }
    template = go.layout.Template(layout={"xaxis": axis, "yaxis": axis, "yaxis2": axis})
    fig = go.Figure()
    fig.update_layout(
        template=template,
        height=height,
        margin=dict(margin),
        autosize=True,
        dragmode=False,
        hovermode="closest",
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": _FONT, "size": 13, "color": light("ink")},
        hoverlabel={
            "bgcolor": light("surface"),
            "bordercolor": light("muted"),
            "font": {"color": light("ink"), "size": 13},
            "align": "left",
        },
        legend={"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom", "itemclick": False, "itemdoubleclick": False},
        **layout,
    )
    return fig


def published_kind(published: Mapping[str, Any] | None) -> str:
    """Return the verification of a published number; one that is not stated counts as recalled."""
    kind = str((published or {}).get("verification") or "recalled")
    return kind if kind in MARKERS else "recalled"


def arm_token(arm: Any, arms: Sequence[str]) -> str:
    """Return the palette token of an arm by its place among ``arms``; ``contrast`` for a pair or an unknown arm."""
    return ARM_TOKENS[list(arms).index(arm) % len(ARM_TOKENS)] if isinstance(arm, str) and arm in arms else "contrast"


def arm_dash(arm: str, arms: Sequence[str]) -> str:
    """Return the line dash of an arm: arms differ by more than colour."""
    return ARM_DASHES[list(arms).index(arm) % len(ARM_DASHES)] if arm in arms else "solid"


class Rows:
    """Rows of a dot-and-bar picture: y in pixels, downwards; a label above each row's lanes."""

    def __init__(self) -> None:
        self.y = 6.0
        self.annotations: list[dict[str, Any]] = []

    def label(self, text: str, y: float, right: bool = False, token: str = "ink") -> None:
        """Write one line of text at height ``y``, at the left or right edge."""
        side = {"x": 1, "xanchor": "right"} if right else {"x": 0, "xanchor": "left"}
        self.annotations.append(
            {
                "text": text,
                "xref": "paper",
                "yref": "y",
                "y": y,
                "yanchor": "middle",
                "showarrow": False,
                "align": "left",
                "font": {"size": 13, "color": light(token)},
                "bgcolor": light("surface"),
                "borderpad": 0,
                **side,
            }
        )

    def heading(self, text: str) -> None:
        """Write a heading in bold, on two lines if it is long, and move below it."""
        for line in textwrap.wrap(" ".join(text.split()), BOLD_CHARS, max_lines=2, placeholder=" …") or [""]:
            self.label(f"<b>{safe(line, LABEL_CHARS)}</b>", self.y + LINE / 2)
            self.y += LINE

    def figure(self, axis: Mapping[str, Any]) -> go.Figure:
        """Return the empty figure with these labels and this x axis."""
        fig = blank(self.y + 8 + 46, {"l": 10, "r": 14, "t": 8, "b": 46}, annotations=self.annotations)
        fig.update_xaxes(automargin=False, showline=True, ticks="outside", ticklen=4, **axis)
        fig.update_yaxes(range=[self.y, 0], visible=False)
        return fig


def bars_of(
    fig: go.Figure, bars: Iterable[tuple[float, float, float, str]], width: float, alpha: float, name: str = ""
) -> None:
    """Draw horizontal bars (lo, hi, y, token), one trace a colour; without a name they stay out of the legend."""
    by_token: dict[str, tuple[list[float | None], list[float | None]]] = {}
    for lo, hi, y, token in bars:
        xs, ys = by_token.setdefault(token, ([], []))
        xs += [lo, hi, None]
        ys += [y, y, None]
    for k, (token, (xs, ys)) in enumerate(by_token.items()):
        line = {"color": veil(token, alpha), "width": width}
        fig.add_scatter(
            x=xs,
            y=ys,
            mode="lines",
            line=line,
            hoverinfo="skip",
            name=name,
            showlegend=bool(name) and k == 0,
            legendgroup=name or token,
        )


def arrows_of(fig: go.Figure, points: Iterable[tuple[float, float, str, str]]) -> None:
    """Mark the ends (x, y, side, token) of bars that run on beyond the axis."""
    for x, y, side, token in points:
        marker = {"symbol": f"triangle-{side}", "size": 9, "color": light(token)}
        fig.add_scatter(
            x=[x], y=[y], mode="markers", marker=marker, hoverinfo="skip", showlegend=False, cliponaxis=False
        )


def published_of(
    fig: go.Figure,
    points: Sequence[tuple[float, float, float | None, float | None, str]],
    kind: str,
    token: str,
    horizontal: bool = False,
    legend: bool = True,
) -> None:
    """Draw published points (x, y, interval end, interval end, hover text) in the marker of their verification."""
    xs, ys = [p[0] for p in points], [p[1] for p in points]
    centre = xs if horizontal else ys
    error: dict[str, Any] = {
        "type": "data",
        "symmetric": False,
        "thickness": 1.4,
        "width": 3,
        "color": light(token),
        "array": [0 if p[3] is None else max(p[3] - c, 0) for p, c in zip(points, centre, strict=True)],
        "arrayminus": [0 if p[2] is None else max(c - p[2], 0) for p, c in zip(points, centre, strict=True)],
    }
    if not any(error["array"]) and not any(error["arrayminus"]):
        error = {"visible": False}
    marker = {
        "symbol": MARKERS[kind][0],
        "size": 9,
        "color": light(token),
        "line": {"width": 1.8, "color": light(token)},
    }
    fig.add_scatter(
        x=xs,
        y=ys,
        mode="markers",
        marker=marker,
        opacity=0.7 if kind == "recalled" else 1,
        hoverinfo="text",
        hovertext=[p[4] for p in points],
        name=MARKER_NAMES[kind],
        showlegend=legend,
        legendgroup=kind,
        cliponaxis=False,
        **{"error_x" if horizontal else "error_y": error},
    )


class Lanes:
    """Predictions one below the other on one axis: pale and dark bars, a line in the middle, published points.

    Parameters
    ----------
    lo, hi : float
        Ends of the axis: what lies beyond is drawn at the end, bars with an arrow.
    """

    def __init__(self, lo: float, hi: float) -> None:
        self.lo, self.hi = lo, hi
        self._wide: list[tuple[float, float, float, str]] = []
        self._narrow: list[tuple[float, float, float, str]] = []
        self._arrows: list[tuple[float, float, str, str]] = []
        self._middles: list[tuple[float, float, str]] = []
        self._points: dict[str, list[tuple[float, float, float | None, float | None, str]]] = {}

    def clip(self, x: float) -> float:
        """Where a number stands on the axis."""
        return min(max(x, self.lo), self.hi)

    def bar(
        self, y: float, token: str, note: str, middle: float | None, narrow: Sequence[float | None],
        wide: Sequence[float | None],
    ) -> None:  # fmt: skip
        """Add a prediction at height ``y``; what of it is None is left out."""
        for ends, kept in ((wide, self._wide), (narrow, self._narrow)):
            low, high = ends
            if low is not None and high is not None:
                kept.append((self.clip(low), self.clip(high), y, token))
                if kept is self._wide:
                    self._arrows += [(self.lo, y, "left", token)] * (low < self.lo)
                    self._arrows += [(self.hi, y, "right", token)] * (high > self.hi)
        if middle is not None:
            self._middles.append((self.clip(middle), y, note))

    def point(self, y: float, kind: str, note: str, value: float, ends: Sequence[float | None] = (None, None)) -> None:
        """Add a published value of a kind of :data:`MARKERS`, with its interval."""
        low, high = (None if v is None else self.clip(v) for v in ends)
        self._points.setdefault(kind, []).append((self.clip(value), y, low, high, note))

    def figure(
        self, layout: Rows, axis: Mapping[str, Any], reference: float | None, *, names: tuple[str, str, str],
        height: float = 9, alphas: tuple[float, float, float] = (0.3, 1, 0.85), tick: tuple[float, float] = (13, 2.5),
        token: str = "ink",
    ) -> go.Figure:  # fmt: skip
        """Draw everything.

        Parameters
        ----------
        layout : Rows
            With the labels of the lanes.
        axis : mapping
            Horizontal axis of Plotly.
        reference : float or None
            Where a vertical line says "no effect".
        names : (str, str, str)
            Of pale bars, dark bars and middles in the legend.
        height, alphas, tick, token
            Of bars; opacity of pale bars, of the line through them, and of dark ones; size and width of the line in
            the middle, and its colour.
        """
        fig = layout.figure(axis)
        if reference is not None and self.lo <= reference <= self.hi:
            fig.add_vline(x=reference, line={"color": light("muted"), "width": 1.2, "dash": "dot"}, layer="below")
        bars_of(fig, self._wide, height, alphas[0], names[0])
        bars_of(fig, self._wide, 1.5, alphas[1])
        bars_of(fig, self._narrow, height, alphas[2], names[1])
        fig.add_scatter(
            x=[p[0] for p in self._middles],
            y=[p[1] for p in self._middles],
            mode="markers",
            marker={"symbol": "line-ns", "size": tick[0], "line": {"width": tick[1], "color": light(token)}},
            hoverinfo="text",
            hovertext=[p[2] for p in self._middles],
            name=names[2],
        )
        arrows_of(fig, self._arrows)
        for kind in MARKERS:
            if dots := self._points.get(kind):
                published_of(fig, dots, kind, MARKERS[kind][1], horizontal=True)
        return fig


def curves_of(
    fig: go.Figure, curves: Sequence[Mapping[str, Any]], names: Names, unit: str, factor: float, shape: str
) -> float:
    """Draw bands, medians and published points of the arms of one measure; return the last time."""
    arms = list(names.arms)

    def times(x: Any) -> float | None:
        value = finite(x)
        return None if value is None else value * factor

    drawn = []
    last = 0.0
    for curve in curves:
        points = []
        for i, t in enumerate(map(finite, curve["time_years"])):
            if t is not None:
                points.append((t, times(curve["median"][i]), times(curve["lo"][i]), times(curve["hi"][i])))
                last = max(last, t)
        drawn.append((curve, points))
    last = last or 1.0
    for curve, everything in drawn:  # all bands first: no line lies under a band
        points = [p for p in everything if p[2] is not None and p[3] is not None]
        token = arm_token(curve.get("arm"), arms)
        line = {"width": 0.8, "shape": shape, "color": veil(token, 0.75)}
        xs = [p[0] for p in points]
        fig.add_scatter(x=xs, y=[p[2] for p in points], mode="lines", line=line, hoverinfo="skip", showlegend=False)
        fig.add_scatter(
            x=xs,
            y=[p[3] for p in points],
            mode="lines",
            line=line,
            fill="tonexty",
            fillcolor=veil(token, 0.2),
            hoverinfo="skip",
            name=f"{safe(names.arm(curve.get('arm')))}, 90 %",
            showlegend=True,
        )
    for curve, points in drawn:
        arm = str(curve.get("arm"))
        label = safe(names.arm(arm))
        fig.add_scatter(
            x=[p[0] for p in points],
            y=[p[1] for p in points],
            mode="lines",
            name=f"{label}, median",
            hoverinfo="text",
            line={"color": light(arm_token(arm, arms)), "width": 2.2, "shape": shape, "dash": arm_dash(arm, arms)},
            hovertext=[
                f"<b>{label}</b>, {p[0]:.3g} years<br>90 %: {span(p[2:])}{unit}<br>median {number(p[1])}{unit}"
                for p in points
            ],
        )
    kinds: set[str] = set()
    for k, (curve, _) in enumerate(drawn):
        token, label = arm_token(curve.get("arm"), arms), safe(names.arm(curve.get("arm")))
        shift = (k - (len(drawn) - 1) / 2) * 0.018 * last  # two arms at one time stay apart
        for kind in MARKERS:
            dots = []
            for p in curve.get("published") or ():
                t, v = finite(p.get("time_years")), finite(p.get("value"))
                if t is None or v is None or published_kind(p) != kind:
                    continue
                c0, c1 = (finite(c) for c in (p.get("ci95") or (None, None)))
                ci = f" (95 % {span((c0 * factor, c1 * factor))})" if c0 is not None and c1 is not None else ""
                value = f"{number(v * factor)}{unit}{ci}"
                words = f"<b>{label}</b>, {t:.3g} years<br>Published: {value}<br>{MARKER_NAMES[kind]}"
                ends = (None if c0 is None else c0 * factor, None if c1 is None else c1 * factor)
                dots.append((t + shift, v * factor, *ends, words))
            if dots:
                published_of(fig, dots, kind, token, legend=kind not in kinds)
                kinds.add(kind)
    return last


def time_axis(last: float, since: str) -> dict[str, Any]:
    """Return an x axis from 0 to ``last`` years, with whole steps."""
    step = 1.0 if last > 2.5 else 0.5 if last > 1.2 else 0.25
    while last / step > 12:
        step *= 2
    return {
        "title": {"text": f"years since {since}"},
        "range": [-0.03 * last, 1.04 * last],
        "dtick": step,
        "tick0": 0,
    }
