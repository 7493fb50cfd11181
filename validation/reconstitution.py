"""Blood after transplantation: the model's curves, and each published datum beside the model, as Markdown tables.

    python -m validation.reconstitution [--patients N] [parameter=value ...]

Patients are 25 to 55 years old; nobody dies. A count is the person's true one (instruments.blood_norm and the spread
between people), without the error of a visit. Only studies whose role is `fit` were tuned on; `context` is shown.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stemtrial.cohort.ms.population import people_at_onset
from stemtrial.evidence import study
from stemtrial.kernel import Schedule, default_threads, normals
from stemtrial.observe.blood import BLOOD
from stemtrial.observe.parameters import from_draw, merged
from stemtrial.parameters import point_draw
from stemtrial.therapy import compose, prescribe
from stemtrial.therapy.ahsct_harms import engraftment
from stemtrial.therapy.family import Given
from validation import changes

Floats = NDArray[np.float64]
DAYS = tuple(range(0, 30)) + tuple(range(30, 1111, 15))
SHOWN = (0, 7, 30, 90, 180, 365, 730, 1095)
SEED, MONTH = 11, 30.44
UNDETECTABLE = 15.0
"""Cells/ul below which a count is called undetectable (assumed: about 1 % of lymphocytes)."""


def settings(conditioning: str, selected: bool = False, cells: float = 5.0) -> dict[str, Any]:
    """Fields of a regimen entry."""
    choice: dict[str, Any] = {
        "conditioning": conditioning,
        "cd34_selected": "yes" if selected else "no",
        "mobilisation": "gcsf",
    }
    return choice | {"cells_1e6_per_kg": cells, "centre_transplants": 30, "day": 0}


@dataclass(frozen=True)
class Blood:
    """Transplanted people: observables by day, ``(days, people)``, and what else there is to know of them."""

    p: Mapping[str, float]
    observed: Mapping[str, Floats]
    neutrophils: Floats
    platelets: Floats

    def cells(self, name: str) -> Floats:
        """Relative cells."""
        return self.observed[name]

    def count(self, instrument: str) -> Floats:
        """True counts in the unit of an instrument."""
        number = merged(from_draw(self.p))
        people = np.arange(len(self.neutrophils), dtype=np.uint64)
        z = normals(SEED, people, 0, f"observe.{instrument}.person")[:, 0]
        own = number[f"blood_norm.{instrument}"] * np.exp(number[f"blood_person_sd_log.{instrument}"] * z)
        return self.observed[BLOOD[instrument]] * own

    @property
    def cd4(self) -> Floats:
        """CD4 T cells per ul."""
        return self.count("cd4_naive_per_ul") + self.count("cd4_memory_per_ul")

    @property
    def emigrants(self) -> Floats:
        """Recent thymic emigrants, relative: circles times the cells in whose DNA they are counted."""
        share = {k: self.p[f"ahsct.t_share.{k}"] for k in ("naive_cd4", "memory_cd4", "cd8", "other")}
        cells = sum(share[k] * self.observed[k] for k in ("naive_cd4", "memory_cd4", "cd8"))
        return self.observed["trec"] * (cells + share["other"])


def transplanted(conditioning: str, selected: bool, people: int, p: Mapping[str, float], cells: float = 5.0) -> Blood:
    """Transplant people of 25 to 55 years on day 0 and read their blood."""
    kernel = compose("ms", ("ahsct",))
    deathless = {k: 0.0 for k in p if k.startswith("ahsct.mortality.")} | {"ms.gompertz_a": 0.0}
    q = dict(p) | deathless
    index = np.arange(people, dtype=np.uint64)
    constants, state = people_at_onset(
        1, index, q, entry_year=np.full(people, 2012.0), duration_years=np.full(people, 5.0)
    )
    constants["age0"] = np.random.default_rng(2).uniform(25, 55, people)
    crowd = kernel.population(0, index, constants, state)
    entry = settings(conditioning, selected, cells)
    facts = {"edss": np.full(people, 4.0), "year": np.full(people, 2012.0), "day": np.zeros(people, np.int64)}
    rows = np.arange(people)
    plan = Schedule.join([
        Schedule(rows, np.full(people, o.day), np.full(people, kernel.dose(o.dose)), o.amounts)
        for o in prescribe("ahsct", entry, facts, parameters=q) if o.amounts is not None
    ])  # fmt: skip
    visits = np.tile(rows, len(DAYS)), np.repeat(np.array(DAYS), people)
    got = kernel.advance(crowd, 0, DAYS[-1] + 1, q, SEED, schedule=plan, visits=visits, threads=default_threads())
    given = Given(index, "ahsct", entry, np.zeros(people, np.int64), np.full(people, DAYS[-1]), facts)
    _, platelets = engraftment(SEED, given, q)
    events, logged = got.events, np.zeros(people)
    mine = events["kind"] == kernel.event("engraftment")
    logged[events["patient"][mine]] = events["value"][mine]
    return Blood(q, {k: v.reshape(len(DAYS), people) for k, v in got.observed.items()}, logged, platelets)


def recovery(values: Floats, share: float = 1.0) -> Floats:
    """Days until each person is back at ``share`` of their value before the transplant; infinite if not seen."""
    back = (values >= share * values[0]) & (np.array(DAYS) > 0)[:, None]
    return np.where(back.any(0), np.array(DAYS, float)[back.argmax(0)], np.inf)


def at(values: Floats, day: float) -> Floats:
    """Values on the nearest day read."""
    return values[int(np.argmin(np.abs(np.array(DAYS) - day)))]


@dataclass(frozen=True)
class Datum:
    """One published datum: what, from which outcome, and what the model gives each person.

    ``published`` replaces the outcome's value where that has no number (a direction, "undetectable"); ``low`` and
    ``high`` are its limits: printed ranges, or what the word stands for. Without limits the published value has to lie
    in the model's central 90 % of people; with them the model's median has to lie between them.
    """

    what: str
    outcome: str
    regimen: tuple[str, bool]
    value: Callable[[Blood], Floats]
    low: float | None = None
    high: float | None = None
    published: str | None = None
    digits: int = 0
    cells: float = 5.0


TBI, CY, BEAM = ("tbi-cyclophosphamide-atg", True), ("cyclophosphamide-atg", False), ("beam-atg", False)


def data() -> tuple[Datum, ...]:
    """Every published datum, tuned-on studies first."""
    storek, cull, clones = "storek2008_reconstitution", "cull2017_lymphocytes", "storek_tcr_diversity2009"

    def ratio(get: Callable[[Blood], Floats], day: float) -> Callable[[Blood], Floats]:
        return lambda b: at(get(b), day) / get(b)[0]

    def naive_share(b: Blood) -> Floats:
        return b.count("cd4_naive_per_ul") / b.cd4

    return (
        Datum("neutrophils pass 0.5e9/l, d", "ruizarguelles2019_mexico617#1", ("cyclophosphamide-rituximab", False),
              lambda b: b.neutrophils, 2, 14, "8 (2-14)", 1, 5.68),
        Datum("platelets pass 20e9/l, d", "ruizarguelles2019_mexico617#2", ("cyclophosphamide-rituximab", False),
              lambda b: b.platelets, 0, 11, "4 (0-11)", 1, 5.68),
        Datum("neutrophils pass 0.5e9/l, d", "nash2017_haltms#9", ("beam-atg", True), lambda b: b.neutrophils, digits=1),
        Datum("platelets pass 20e9/l, d", "nash2017_haltms#10", ("beam-atg", True), lambda b: b.platelets, digits=1),
        Datum("T cells on day 7, /ul", f"{storek}#1", TBI, lambda b: at(b.cd4 + b.count("cd8_per_ul"), 7), 0, UNDETECTABLE,
              "undetectable", 1),
        Datum("B cells on day 7, /ul", f"{storek}#2", TBI, lambda b: at(b.count("b_cells_per_ul"), 7), 0, UNDETECTABLE,
              "undetectable", 1),
        Datum("NK cells at 1 month, of before", f"{storek}#3", TBI, ratio(lambda b: b.cells("nk"), 30), 0.7, 1.5, "normal", 2),
        Datum("B cells at 6 months, of before", f"{storek}#4", TBI, ratio(lambda b: b.cells("b_cells"), 180), 0.7, 1.5,
              "normal", 2),
        Datum("CD8 at 2 y, of before", f"{storek}#5", TBI, ratio(lambda b: b.cells("cd8"), 730), 0.7, 1.5, "normal", 2),
        Datum("CD4 at 2 y, /ul", f"{storek}#6", TBI, lambda b: at(b.cd4, 730)),
        Datum("thymic emigrants back at baseline, months", f"{cull}#1", CY, lambda b: recovery(b.emigrants) / MONTH, digits=1),
        Datum("naive CD4 back at baseline, months", f"{cull}#2", CY, lambda b: recovery(b.cells("naive_cd4")) / MONTH, digits=1),
        Datum("CD4 at 2 y, of before", f"{cull}#4", CY, ratio(lambda b: b.cd4, 730), 0, 0.999, "below 1", 2),
        Datum("naive share of CD4 at 2 y, of before", "muraro2005_jem#1", TBI, ratio(naive_share, 730), digits=2),
        Datum("TREC at 2 y, of before", "muraro2005_jem#2", TBI, ratio(lambda b: b.cells("trec"), 730), 1.001, 99, "raised", 2),
        Datum("TCR clones before, 1e3", f"{clones}#1", TBI, lambda b: b.count("tcr_clones_1e3")[0], 600, 700, "650 (600-700)"),
        Datum("TCR clones at 1 month, 1e3", f"{clones}#2", TBI, lambda b: at(b.count("tcr_clones_1e3"), 30), 200, 500,
              "350 (200-500)"),
        Datum("TCR clones at 12 months, 1e3", f"{clones}#3", TBI, lambda b: at(b.count("tcr_clones_1e3"), 365), 400, 1600,
              "1000 (400-1600)"),
        Datum("memory CD4 repertoire shared with before, 1 month", "ruder2022_tcr#1", BEAM,
              lambda b: at(b.cells("memory_overlap"), 33), 0.21, 0.31, "0.26", 2),
        Datum("the same at 1 y", "ruder2022_tcr#2", BEAM, lambda b: at(b.cells("memory_overlap"), 365), 0.12, 0.18, "0.15", 2),
        Datum("naive CD4 that survived, share at 1 y", "ruder2022_tcr#3", BEAM, lambda b: np.full(len(b.neutrophils), 10 ** -(b.p["ahsct.t_kill"] + b.p["ahsct.t_kill_antibody"])), 0, 0.02, "0", 3),
        Datum("naive CD4 at 1 month, of before", "ruder2022_tcr#4", BEAM, ratio(lambda b: b.cells("naive_cd4"), 33), 0, 0.1,
              "barely detectable", 3),
        Datum("TREC at 3 months, of before", "arruda2018", CY, ratio(lambda b: b.cells("trec"), 90), 0, 0.999, "below 1", 2),
        Datum("TREC at 1 y, of before", "arruda2018", CY, ratio(lambda b: b.cells("trec"), 365), 1.001, 99, "above 1", 2),
        Datum("TREC at 2 y, of before", "arruda2018", CY, ratio(lambda b: b.cells("trec"), 730), 1.001, 99, "above 1", 2),
    )  # fmt: skip


NOT_MODELLED = (
    ("Th17 back at 6 months", "cull2017_lymphocytes#3", "no state: nothing in the disease model would read it"),
    ("Treg count below baseline at 2 y; fraction highest at 6 months", "cull2017_lymphocytes#5, abrahamsson2013#2",
     "R is regulatory activity, not a count"),
    ("dominant CD8 clones survive, CD4 clones do not", "muraro2014_tcr#1", "no clones one by one, one repertoire"),
)  # fmt: skip


def compared(people: int, p: Mapping[str, float]) -> Iterator[tuple[str, ...]]:
    """Rows of the comparison: what, study, role, regimen, published, model, ok."""
    made = cache(lambda regimen, cells: transplanted(*regimen, people, p, cells))
    for d in data():
        record = study(d.outcome.partition("#")[0])
        found = next((o for o in record.outcomes if o.outcome_id == d.outcome), None)
        values = d.value(made(d.regimen, d.cells))
        low, median, high = np.quantile(values, [0.05, 0.5, 0.95], method="nearest")
        if d.low is not None and d.high is not None:
            ok = d.low <= median <= d.high
        else:
            assert found is not None
            assert found.value is not None
            ok = bool(low <= found.value <= high)
        published = d.published or f"{found.value:g}" if found else str(d.published)
        said = f"{median:.{d.digits}f} ({low:.{d.digits}f}-{high:.{d.digits}f})"
        regimen = d.regimen[0] + (", CD34-selected" if d.regimen[1] else "")
        yield d.what, d.outcome, str(record.role), regimen, published, said, "yes" if ok else "**no**"


def curves(conditioning: str, selected: bool, people: int, p: Mapping[str, float]) -> Iterator[tuple[str, ...]]:
    """Rows of the table of curves: instrument, then median and central 90 % on each of ``SHOWN``."""
    blood = transplanted(conditioning, selected, people, p)
    for name in BLOOD:
        values = blood.count(name)
        digits = 1 if name.startswith("neutro") else 0
        cells = (np.quantile(at(values, d), [0.5, 0.05, 0.95]) for d in SHOWN)
        yield (f"`{name}`", *(f"{m:.{digits}f} ({a:.{digits}f}-{b:.{digits}f})" for m, a, b in cells))


def table(head: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> str:
    """A Markdown table."""
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(r) + " |" for r in lines)


def page(people: int, p: Mapping[str, float]) -> str:
    """Both tables as docs/reconstitution.md holds them."""
    head = ("count", *(f"day {d}" for d in SHOWN))
    parts = []
    for conditioning, selected in (CY, TBI):
        title = conditioning + (", CD34-selected graft" if selected else ", graft as harvested")
        parts += [f"**{title}**", table(head, curves(conditioning, selected, people, p))]
    told = ("what", "study", "role", "regimen", "published", "model, median (central 90 %)", "inside")
    parts += ["**Beside what was published**", table(told, compared(people, p))]
    parts += [table(("published, not modelled", "study", "why"), iter(NOT_MODELLED))]
    return "\n\n".join(parts)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patients", type=int, default=4000)
    parser.add_argument("changes", nargs="*", metavar="parameter=value")
    given = parser.parse_args()
    print(page(given.patients, point_draw(changes(given.changes))[0]))


if __name__ == "__main__":
    main()
