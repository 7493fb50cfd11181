"""Makes the pictures of the documentation from a run: `python docs/figures.py [RUN_FOLDER]` (needs Chromium).

Without a folder, `stemtrial run mist` is run first. `python docs/figures.py natural_history` makes those of
docs/natural_history.md instead, and its table; `python docs/figures.py readout` does so for docs/readout.md,
`python docs/figures.py reconstitution` for docs/reconstitution.md, `python docs/figures.py cells` for the pages on cell
therapies, `python docs/figures.py dropout` and `python docs/figures.py open_label` for docs/estimands.md,
`python docs/figures.py scorecard runs/scorecard-all/scorecard.json` for docs/validation.md, from a finished scorecard.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from plotly.graph_objects import Figure
from plotly.offline import get_plotlyjs
from plotly.subplots import make_subplots

from stemtrial.kernel import default_threads
from stemtrial.observe import instruments
from stemtrial.observe.blood import BLOOD
from stemtrial.parameters import point_draw
from stemtrial.predict import Settings, predict
from stemtrial.predict.counterfactual import effects_of
from stemtrial.predict.estimands import estimands
from stemtrial.predict.natural_history import as_data, natural_history
from stemtrial.predict.readout import read_out
from stemtrial.report.colours import light
from stemtrial.report.estimands import Group, biases, by_unit, estimates
from stemtrial.report.figures import forest, kaplan_meier
from stemtrial.report.lanes import Lane, lanes
from stemtrial.report.natural_figures import curves as natural_curves
from stemtrial.report.natural_history import markdown
from stemtrial.report.readout import markdown as readout_markdown
from stemtrial.report.readout_figures import probabilities, truthful
from stemtrial.report.scorecard_groups import coverage_figure, lanes_of, ratio_figure
from stemtrial.report.scorecard_markdown import markdown as scorecard_markdown
from stemtrial.report.words import Names, names_of, number, off_by, plain, scale_of, shown, span, years
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


NATURAL = {
    "ms": (
        60,
        ("disability-relapsing", "survival"),
        "natural-history.png",
        "comparison",
        " of each kind and year of onset",
    ),
    "als": (10, ("survival-site", "kings"), "natural-history-als.png", "comparison of als", ""),
}
"""By disease: years of follow-up, pictures, their file, the mark of the table, whose number the size is."""


def natural(disease: str, people: int = 5000) -> None:
    """Simulate a natural history, draw it, and put its comparison into docs/natural_history.md."""
    years_, shown_, file, mark, each = NATURAL[disease]
    history = natural_history(disease=disease, people=people, years=years_, threads=default_threads())
    drawn = {p["id"]: p for p in as_data(history)["pictures"]}
    figures = []
    for ident in shown_:
        fig = natural_curves(drawn[ident])
        lines = [t for t in fig.data if t.mode == "lines" and t.line.width != 0]
        for line, curve in zip(lines, drawn[ident]["curves"], strict=True):
            line.update(name=curve["label"], showlegend=True)
        fig.update_layout(
            showlegend=True,
            legend={"y": -0.2, "yanchor": "top", "traceorder": "normal", "font": {"size": 12}},
            margin={"b": 130},
        )
        figures.append(fig)
    picture(figures, HERE / file, 1200, 480)
    scored = [r for r in history.comparison if r["inside"] is not None]
    said = f"{len(history.misses)} of {len(scored)} scored quantities miss."
    size = f"{people} people{each}, {years_} years, seed 1."
    into("natural_history.md", mark, f"{said} {size}\n\n{markdown(history.comparison)}")


READ = (
    "neda3", "relapse_free", "composite_worsening.12_weeks", "composite_worsening.24_weeks",
    "confirmed_worsening.12_weeks", "confirmed_worsening.24_weeks", "confirmed_worsening.affirm.12_weeks",
    "confirmed_worsening.affirm.24_weeks", "confirmed_worsening.expand", "pira.12_weeks", "pira.24_weeks", "pira.opera",
    "pira.fixed", "pira.roving", "raw.12_weeks", "raw.24_weeks", "raw.opera", "raw.fixed", "raw.roving",
)  # fmt: skip
"""Definitions on the page of readouts; the command shows all of them."""


def at_point(replicates: int, patients: int | None = None) -> Settings:
    """Settings of the pictures that show what a method does: at point values, whatever posterior ships."""
    return Settings(replicates=replicates, patients=patients, threads=default_threads(), point=True)


def readout(protocol: str = "affirm", replicates: int = 100) -> None:
    """Read a trial out, draw it, and put its numbers into docs/readout.md."""
    settings = at_point(replicates)
    with tempfile.TemporaryDirectory() as folder:
        data = read_out(load_protocol(protocol), settings, folder=Path(folder)).as_json()
    for part in ("observed", "truth"):
        data[part] = [r for r in data[part] if r["endpoint"] in READ]
    figures = [probabilities(data), truthful(data, "all")]
    for fig in figures:
        fig.update_layout(showlegend=True, legend={"y": 1.02, "font": {"size": 12}}, margin={"t": 60})
    figures[1].update_layout(margin={"b": 50})
    picture(figures, HERE / "readout.png", 1200, 960)
    page = HERE.parent / "readout.md"
    before, _, rest = page.read_text(encoding="utf-8").partition("<!-- tables: made by docs/figures.py -->\n")
    _, _, after = rest.partition("<!-- end -->\n")
    made = f"<!-- tables: made by docs/figures.py -->\n{readout_markdown(data)}\n<!-- end -->\n"
    page.write_text(before + made + after, encoding="utf-8")


def reconstitution(people: int = 10_000, transplants: int = 30_000) -> None:
    """Draw the blood after transplantation, and put its tables and those of harm into docs/reconstitution.md."""
    sys.path.insert(0, str(HERE.parent.parent))
    from validation.reconstitution import CY, DAYS, TBI, page, transplanted
    from validation.transplant_harms import page as harms

    p = point_draw()[0]
    drawn = (("cyclophosphamide, ATG", CY, "#1f5fa8"), ("irradiation, ATG, CD34-selected", TBI, "#c2571a"))
    names = [*BLOOD]
    fig = make_subplots(2, 4, subplot_titles=[f"{instruments()[n].label}, {instruments()[n].unit}" for n in names])
    for label, regimen, colour in drawn:
        blood = transplanted(*regimen, people, p)
        for k, name in enumerate(names):
            low, mid, high = np.quantile(blood.count(name), [0.05, 0.5, 0.95], axis=1)
            place, months = {"row": k // 4 + 1, "col": k % 4 + 1}, np.array(DAYS) / 30.44
            band = {"mode": "lines", "line": {"width": 0}, "showlegend": False, "hoverinfo": "skip"}
            fig.add_scatter(x=months, y=high, **band, **place)
            fig.add_scatter(x=months, y=low, fill="tonexty", fillcolor=f"{colour}22", **band, **place)
            fig.add_scatter(
                x=months, y=mid, mode="lines", line={"color": colour}, name=label, showlegend=k == 0, **place
            )
    fig.update_xaxes(range=[0, 24], dtick=6, title_text="months", title_standoff=4)
    fig.update_yaxes(rangemode="tozero")
    fig.update_annotations(font_size=12)
    fig.update_layout(legend={"orientation": "h", "y": -0.16}, margin={"l": 40, "r": 10, "t": 40, "b": 70})
    picture([fig], HERE / "reconstitution.png", 1200, 560)
    text = HERE.parent / "reconstitution.md"
    before, _, rest = text.read_text(encoding="utf-8").partition("<!-- tables: made by docs/figures.py -->\n")
    _, _, after = rest.partition("<!-- end -->\n")
    made = f"{page(people, p)}\n\n## Harm beside what was published\n\n{harms(transplants, p)}\n"
    text.write_text(f"{before}<!-- tables: made by docs/figures.py -->\n{made}<!-- end -->\n{after}", encoding="utf-8")


GIVEN = {
    "msc_it": "into spinal fluid",
    "msc_iv": "into a vein",
    "sham": "sham",
    "['msc_early', 'placebo_first']": "cells to sham",
}
"""Arms of the two trials of MSC, and their comparison, in words."""


def cells(replicates: int = 100) -> None:
    """Draw a single-arm series beside the same trial with no effect at all, and trials of MSC under each hypothesis."""
    settings = at_point(replicates)
    with tempfile.TemporaryDirectory() as folder:
        series, petrou, mesems = (
            predict(load_protocol(name), settings, folder=Path(folder) / name)
            for name in ("burman-2014", "petrou-2020", "mesems")
        )
    rows = [r for r in series.estimates if r["statistic"] == "km_probability"]
    gone = [Lane("no effect at all", "arm1", lambda r: r["no_effect"]), Lane("predicted", "arm0", lambda r: r)]
    fig = beside(rows, gone, names_of(series.page), "patients still free of it at 5 years, %")
    picture([fig], HERE / "no-effect.png", 900, 430)
    apart = [
        Lane("sceptical", "arm3", lambda r: r["hypotheses"]["sceptical"]),
        Lane("optimistic", "arm2", lambda r: r["hypotheses"]["optimistic"]),
        Lane("mixture", "contrast", lambda r: r),
    ]
    active = [r for r in petrou.estimates if r["endpoint"] == "neda.petrou" and isinstance(r["arm"], str)]
    lesions = [r for r in mesems.estimates if r["endpoint"] == "gd_lesions.weeks_4_12_24" and r["outcome_id"]]
    left = beside(active, apart, names_of(petrou.page), "patients without activity in six months, %", GIVEN)
    left.update_layout(title={"text": "Petrou 2020: cells into spinal fluid or vein, and sham"})
    right = beside(lesions, apart, names_of(mesems.page), "ratio of enhancing lesions, cells to sham", GIVEN)
    right.update_layout(title={"text": "MESEMS: cells into a vein against sham"})
    picture([left, right], HERE / "msc-hypotheses.png", 1200, 430)


DRUG = {
    "slows loss by 40 %": {"riluzole.loss": 0.6, "riluzole.mortality": 1.0},
    "halves mortality": {"riluzole.loss": 1.0, "riluzole.mortality": 0.5},
    "does both": {"riluzole.loss": 0.6, "riluzole.mortality": 0.5},
}
"""Drugs that never were, in the design of a trial that was: what they do to the loss of motor neurons and to death."""


def dropout(protocol: str = "riluzole-1994", patients: int = 300, replicates: int = 200, at: float = 1.0) -> None:
    """Draw what death does to estimates of function, and put the table into docs/estimands.md."""
    settings = at_point(replicates, patients)
    found = {
        name: estimands(load_protocol(protocol), settings, at_years=at, changed=changed).as_json()
        for name, changed in DRUG.items()
    }
    both = by_unit(found["does both"]["rows"])[0][1]
    left = estimates(both)
    left.update_layout(title={"text": "A drug that does both: estimates (90 %) and truth"})
    groups = [Group(name, f"arm{k}", by_unit(f["rows"])[0][1]) for k, (name, f) in enumerate(found.items())]
    right = biases(groups)
    right.update_layout(title={"text": "Bias of three drugs, 95 % Monte Carlo"})
    for fig in (left, right):
        legend = {"y": -0.14, "yanchor": "top", "font": {"size": 12}}
        fig.update_layout(showlegend=True, legend=legend, margin={"t": 44, "b": 96}, title_font_size=15)
    picture([left, right], HERE / "dropout.png", 1200, 620)
    lines = [
        "| estimand | estimator | drug | estimate (90 %) | truth | bias (95 % Monte Carlo) |",
        "|---|---|---|---|---|---|",
    ]
    for k in range(len(found["does both"]["rows"])):
        for name, data in found.items():
            r = data["rows"][k]
            bias = "–" if r["bias"] is None else " ± ".join(off_by(r["bias"], 1.96 * (r["mcse"] or 0)))
            told = f"{number(r['median'])} ({span(r['pi90'])}) {r['unit']}"
            what = r["estimand"].replace("_", " ")
            lines.append(f"| {what} | {r['estimator']} | {name} | {told} | {number(r['truth'])} | {bias} |")
    said = "; ".join(
        f"{name}: {100 * f['alive']['riluzole']:.0f} % alive, {100 * f['alive']['placebo']:.0f} % on placebo"
        for name, f in found.items()
    )
    into(
        "estimands.md",
        "dropout",
        f"{patients} patients, {replicates} replicates, seed 1. At {at:g} year, {said}.\n\n" + "\n".join(lines),
    )


OPEN = {"open": "open raters", "blind": "blind raters", "nothing": "open raters, cells without effect"}
"""Who rates, and whether the cells do anything."""
TRIALS = {"oh-2018": "Oh 2018, open", "alsummit": "ALSUMMIT, sham"}
GIVEN_AGAINST = {"msc": "2 doses", "g1": "2 doses", "g2": "2 doses and 3 boosters"}
"""What the treated arms of these trials get."""


def open_label(replicates: int = 200) -> None:
    """Draw the same cells under open and under blind raters, and put the table into docs/estimands.md."""
    tokens = dict(zip(OPEN, ("arm1", "arm0", "contrast"), strict=True))
    ways = [Lane(OPEN[way], tokens[way], lambda r, way=way: r["by"][way]) for way in OPEN]
    rows = contrasts(replicates)
    lines = ["| trial | who | outcome | when | " + " | ".join(OPEN.values()) + " | published |", "|---" * 8 + "|"]
    figures = []
    for title, measures in (("ALSFRS-R", ("alsfrs_r_change",)), ("Vital capacity", ("fvc_change", "svc_change"))):
        mine = [r for r in rows if r["of"] in measures]
        fig = lanes(mine, ways)
        for way in OPEN:
            line = {"color": light(tokens[way]), "width": 9}
            fig.add_scatter(x=[None], y=[None], mode="lines", line=line, name=OPEN[way])
        for trace in fig.data:
            trace.showlegend = trace.name in (*OPEN.values(), "median") or str(trace.name).startswith("published")
        legend = {"y": -0.1, "yanchor": "top", "font": {"size": 12}, "traceorder": "normal"}
        named = {"text": f"{title}, cells minus control", "font": {"size": 15}}
        fig.update_layout(showlegend=True, legend=legend, margin={"t": 44, "b": 120}, title=named)
        figures.append(fig)
        for r in mine:
            seen = [shown({**way.of(r), "published": None}, scale_of(r)) for way in ways]
            p = r["published"]
            known = p is not None and p["value"] is not None
            told = [r["trial"], r["who"], plain(r["of"]), years(r["time_years"])]
            told += [f"{number(x['median'])} ({span(x['pi90'])})" for x in seen]
            told.append(f"{number(p['value'])} ({span(p['ci95'])}), {r['outcome_id']}" if known else "–")
            lines.append("| " + " | ".join(told) + " |")
    picture(figures, HERE / "open-label.png", 1200, 620)
    into("estimands.md", "open_label", f"{replicates} replicates, seed 1.\n\n" + "\n".join(lines))


def contrasts(replicates: int) -> list[dict]:
    """Differences between arms in both trials, each predicted in the ways of OPEN (``by``), as the trial is told."""
    out: list[dict] = []
    with tempfile.TemporaryDirectory() as folder:
        for name, title in TRIALS.items():
            protocol = load_protocol(name)
            gone = point_draw(effects_of(tuple({e.therapy for a in protocol.arms.values() for e in a.regimen})))
            by: dict[str, list] = {}
            for way in OPEN:
                rater = protocol.blinding.model_copy(update={"rater": "blind" if way == "blind" else "open"})
                made = predict(
                    protocol.model_copy(update={"blinding": rater}),
                    at_point(replicates),
                    gone if way == "nothing" else None, folder=Path(folder) / f"{name}-{way}",
                )  # fmt: skip
                by[way] = made.estimates
            names = names_of(made.page)
            for k, r in enumerate(by["open"]):
                if r["statistic"] == "difference":
                    who = GIVEN_AGAINST[r["arm"][0]]
                    about = {"trial": title, "who": who, "of": r["endpoint"], "arm": who}
                    about["endpoint"] = f"{title}: {names.endpoint(r['endpoint'])}"
                    out.append(r | about | {"by": {way: rows[k] for way, rows in by.items()}})
    return out


def into(page: str, part: str, text: str) -> None:
    """Put text between the marks of a part of a page."""
    file = HERE.parent / page
    before, mark, rest = file.read_text(encoding="utf-8").partition(f"<!-- {part}: made by docs/figures.py -->\n")
    _, end, after = rest.partition("<!-- end -->\n")
    file.write_text(f"{before}{mark}{text}\n{end}{after}", encoding="utf-8")


def scored(card_file: str = "runs/scorecard-all/scorecard.json") -> None:
    """Draw coverage and skill by lane, and write the tables of a scorecard."""
    card = json.loads(Path(card_file).read_text(encoding="utf-8"))
    lanes_of_test = lanes_of(card)
    picture([coverage_figure(lanes_of_test), ratio_figure(lanes_of_test)], HERE / "scorecard.png", 1100, 460)
    into("validation.md", "scorecard", scorecard_markdown(card))


def beside(rows: list, ways: list, names: Names, axis: str, given: Mapping[str, str] | None = None) -> Figure:
    """Draw what was predicted in several ways (median, 50 and 90 %) and published (95 %), a group an outcome or arm."""
    given = given or {}
    fig, scale, step = Figure(), scale_of(rows[0]), len(ways) + 2
    for k, way in enumerate(ways):
        seen = [shown({**(way.of(r) or {}), "published": None}, scale) for r in rows]
        at = [-(n * step + k) for n in range(len(rows))]
        line = {"mode": "lines", "hoverinfo": "skip", "legendgroup": way.name, "showlegend": False}
        for s, y in zip(seen, at, strict=True):
            for ends, width in ((s["pi90"], 3), (s["pi50"], 10)):
                fig.add_scatter(x=list(ends), y=[y, y], line={"color": light(way.token), "width": width}, **line)
        fig.add_scatter(
            x=[s["median"] for s in seen], y=at, mode="markers", name=way.name,
            marker={"symbol": "circle", "size": 12, "color": "white", "line": {"width": 3, "color": light(way.token)}},
        )  # fmt: skip
    told = [shown(r, scale) for r in rows]
    ends = [s["ci95"] if s["ci95"][0] is not None else (s["value"], s["value"]) for s in told]
    fig.add_scatter(
        x=[s["value"] for s in told], y=[-(n * step + len(ways)) for n in range(len(rows))], mode="markers",
        name="published",
        marker={"symbol": "diamond", "size": 13, "color": light("ink")},
        error_x={
            "type": "data", "symmetric": False, "color": light("ink"),
            "array": [high - s["value"] for (_, high), s in zip(ends, told, strict=True)],
            "arrayminus": [s["value"] - low for (low, _), s in zip(ends, told, strict=True)],
        },
    )  # fmt: skip
    words = [given.get(str(r["arm"])) or names.endpoint(r["endpoint"]).partition(", time to")[0] for r in rows]
    middle = [-(n * step + len(ways) / 2) for n in range(len(rows))]
    fig.update_yaxes(
        tickvals=middle, ticktext=["<br>".join(textwrap.wrap(w, 28)) for w in words],
        range=[middle[-1] - step / 2, 1.2], showgrid=False, zeroline=False, tickfont={"size": 13},
    )  # fmt: skip
    fig.update_xaxes(title_text=axis, title_font={"size": 13}, gridcolor="#dddddd", zeroline=False, showline=True)
    if scale.log:
        fig.update_xaxes(type="log", range=np.log10([0.4, 2.5]).tolist(), tickvals=[0.4, 0.5, 0.7, 1, 1.5, 2, 2.5])
        fig.add_vline(x=1, line={"dash": "dot", "color": light("muted")})
    else:
        fig.update_xaxes(range=[-2, 102])
    fig.update_layout(
        template="none", font={"size": 13}, title={"font": {"size": 15}, "x": 0.02, "y": 0.97},
        legend={"orientation": "h", "y": -0.2, "yanchor": "top", "x": 0, "traceorder": "normal"},
        margin={"l": 150 if given else 210, "r": 20, "t": 40, "b": 100},
    )  # fmt: skip
    return fig


MADE = {
    "natural_history": lambda: [natural(disease) for disease in NATURAL],
    "readout": readout,
    "reconstitution": reconstitution,
    "cells": cells,
    "dropout": dropout,
    "open_label": open_label,
    "scorecard": scored,
}
"""What the program makes by name; what follows the name is given on."""


def main() -> None:
    """Run MIST if need be, and draw."""
    if sys.argv[1:2] and sys.argv[1] in MADE:
        MADE[sys.argv[1]](*sys.argv[2:])
        return
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
