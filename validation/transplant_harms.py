"""Harm of transplantation: each published rate beside the model in people alike, as a Markdown table.

    python -m validation.transplant_harms [--patients N] [parameter=value ...]

People are drawn with the age, EDSS, year, conditioning and experience of the centre that the study had; where its record
does not say, the mix is assumed (``Series`` below). Intervals of shares are Clopper-Pearson and of counts Poisson, unless
printed. Rows of test studies are shown and were never tuned on.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from stemtrial.cohort.ms.population import people_at_onset
from stemtrial.evidence import study
from stemtrial.kernel import YEAR, Schedule, default_threads
from stemtrial.parameters import point_draw
from stemtrial.therapy import compose, prescribe
from stemtrial.therapy.ahsct_harms import adverse_events
from stemtrial.therapy.family import Given, HarmEvents
from validation import changes
from validation.reconstitution import settings, table

Floats = NDArray[np.float64]
Span = tuple[float, float]
CYTOPENIAS = ("neutropenia", "thrombocytopenia")
SEED = 21


@dataclass(frozen=True)
class Series:
    """People of a study: mean and SD of age and EDSS, years, shares of conditioning, centre's transplants so far."""

    age: Span = (37.0, 8.0)
    edss: Span = (5.5, 1.3)
    years: Span = (2012.0, 2018.0)
    conditioning: Mapping[str, float] = field(default_factory=lambda: {"beam-atg": 1.0})
    centre: Span = (5.0, 60.0)
    selected: bool = False
    female: float = 0.64
    follow_up: Span = (5.0, 5.0)


EBMT = {"beam-atg": 0.55, "beam": 0.15, "busulfan-cyclophosphamide-atg": 0.10, "tbi-cyclophosphamide-atg": 0.08,
        "cyclophosphamide-atg": 0.12}  # fmt: skip
TBI = {"tbi-cyclophosphamide-atg": 1.0}
CY = {"cyclophosphamide-atg": 1.0}
BURT = Series((37, 9), (4.1, 1.5), (2003, 2019), {"cyclophosphamide-atg": 0.95, "cyclophosphamide-alemtuzumab": 0.05},
              (30, 500), follow_up=(0.5, 5.0))  # fmt: skip
STOREK = Series((41, 8), (7.0, 0.8), (1998, 2003), TBI, (1, 30), True, follow_up=(2.0, 2.0))
LONDON = Series((41, 9), (6.0, 1.0), (2012, 2019), CY, (20, 150), follow_up=(1.0, 2.0))
SWEDEN = Series((31, 8), (3.5, 1.4), (2008, 2018), CY, (10, 60), follow_up=(3.0, 3.0))
WOMEN = Series((31, 5.5), (5.5, 1.3), (2000, 2018), {"beam-atg": 0.85, "cyclophosphamide-atg": 0.15}, female=1.0)
ALL_DISEASES = Series((37, 10), (4.0, 0.5), (1995, 2009), EBMT, (1, 60))


class Cohort:
    """Many people like those of a series, transplanted on day 0 of their clock."""

    def __init__(self, series: Series, n: int, p: Mapping[str, float]) -> None:
        rng = np.random.default_rng(SEED)
        self.series, self.n, self.p = series, n, p
        self.age = np.clip(rng.normal(*series.age, n), 18, 65)
        self.edss = np.clip(np.round(2 * rng.normal(*series.edss, n)) / 2, 0, 9)
        self.year = rng.uniform(*series.years, n)
        self.female = (rng.random(n) < series.female).astype(float)
        self.end = rng.uniform(*series.follow_up, n) * YEAR
        self.regimen = rng.choice(list(series.conditioning), n, p=np.array(list(series.conditioning.values())))
        # experience in ten groups, since it is a field of the regimen and not a fact of the patient
        self.centre = np.exp(rng.uniform(*np.log(series.centre), 10))[rng.integers(0, 10, n)]

    def parts(self) -> Iterator[tuple[NDArray[np.int64], dict[str, Any]]]:
        """Rows of one regimen and its fields."""
        for conditioning in np.unique(self.regimen):
            for done in np.unique(self.centre):
                rows = np.flatnonzero((self.regimen == conditioning) & (self.centre == done))
                yield rows, settings(str(conditioning), self.series.selected) | {"centre_transplants": float(done)}

    def events(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.str_], NDArray[np.int64]]:
        """Adverse events within follow-up: person, day, term, grade."""
        told: list[tuple[NDArray[np.int64], HarmEvents]] = []
        for rows, entry in self.parts():
            facts = {"edss": self.edss[rows], "age_years": self.age[rows], "female": self.female[rows]}
            given = Given(
                rows.astype(np.uint64), "ahsct", entry, np.zeros(len(rows), np.int64), self.end[rows].astype(np.int64),
                facts,
            )  # fmt: skip
            told += [(rows[h.row], h) for h in adverse_events(SEED, given, self.p)]
        who = np.concatenate([r for r, _ in told])
        day = np.concatenate([h.day for _, h in told])
        term = np.concatenate([np.full(len(h.row), h.harm.term, "U40") for _, h in told])
        grade = np.concatenate([np.full(len(h.row), h.harm.grade) for _, h in told])
        seen = day <= self.end[who]
        return who[seen], day[seen], term[seen], grade[seen]

    def share(self, *terms: str, until: float = np.inf, grade: int = 0, of: NDArray[np.bool_] | None = None) -> float:
        """Share of people (of some) with one of the terms up to a day; no term: any beside cytopenias."""
        who, day, term, grades = self.events()
        mine = np.isin(term, terms) if terms else ~np.isin(term, CYTOPENIAS)
        had = np.zeros(self.n, bool)
        had[who[mine & (day <= until) & (grades >= grade)]] = True
        return float(had[np.ones(self.n, bool) if of is None else of].mean())

    def per_person(self, *terms: str, between: Span) -> float:
        """Events a person between two days."""
        _, day, term, _ = self.events()
        return float((np.isin(term, terms) & (between[0] <= day) & (day <= between[1])).sum() / self.n)

    def when(self, term: str, how: Callable[[Floats], Any]) -> float:
        """Mean or median day of a term."""
        _, day, terms, _ = self.events()
        return float(how(day[terms == term].astype(float)))

    def deaths(self) -> float:
        """Share that dies of the treatment within a year."""
        kernel = compose("ms", ("ahsct",))
        index = np.arange(self.n, dtype=np.uint64)
        q = {**self.p, "ms.gompertz_a": 0.0}
        constants, state = people_at_onset(1, index, q, entry_year=self.year, duration_years=np.full(self.n, 5.0))
        constants["age0"] = self.age
        plan = []
        for rows, entry in self.parts():
            facts = {"edss": self.edss[rows], "year": self.year[rows], "day": np.zeros(len(rows), np.int64)}
            for o in prescribe("ahsct", entry, facts, parameters=q):
                assert o.amounts is not None
                plan.append(
                    Schedule(rows, np.full(len(rows), o.day), np.full(len(rows), kernel.dose(o.dose)), o.amounts)
                )
        crowd = kernel.population(0, index, constants, state)
        got = kernel.advance(crowd, 0, 365, q, SEED, schedule=Schedule.join(plan), threads=default_threads())
        return float((got.events["kind"] == kernel.event("treatment_death")).sum() / self.n)


@dataclass(frozen=True)
class Row:
    """One line: harm, outcome, people, published with its interval, model."""

    harm: str
    outcome: str
    series: Series
    model: Callable[[Cohort], float]
    published: str
    interval: Span | None
    digits: int = 3


def share_of(k: int, n: int) -> Span:
    """Clopper-Pearson 95 % interval."""
    low = 0.0 if k == 0 else float(stats.beta.ppf(0.025, k, n - k + 1))
    high = 1.0 if k == n else float(stats.beta.ppf(0.975, k + 1, n - k))
    return low, high


def count_of(k: int, n: int) -> Span:
    """Poisson 95 % interval of events a person."""
    return float(stats.chi2.ppf(0.025, 2 * k)) / 2 / n, float(stats.chi2.ppf(0.975, 2 * k + 2)) / 2 / n


def k_of_n(
    harm: str, outcome: str, series: Series, k: int, n: int, model: Callable[[Cohort], float], digits: int = 3
) -> Row:
    """A row from events in patients."""
    return Row(harm, outcome, series, model, f"{k}/{n} = {k / n:.{digits}f}", share_of(k, n), digits)


def ratio_of_centres(low: float, high: float) -> Callable[[Cohort], float]:
    """Treatment-related deaths at centres of some experience over those at centres beyond 15 transplants."""

    def get(c: Cohort) -> float:
        few = Cohort(Series(c.series.age, c.series.edss, c.series.years, c.series.conditioning, (low, high)), c.n, c.p)
        many = Cohort(Series(c.series.age, c.series.edss, c.series.years, c.series.conditioning, (16, 60)), c.n, c.p)
        return few.deaths() / many.deaths()

    return get


def rows() -> Sequence[Row]:
    """Every published rate: studies tuned on, then context, then test."""
    died = "treatment-related death"
    autoimmune = (
        "secondary autoimmune thyroid disease",
        "immune thrombocytopenia",
        "other secondary autoimmune disease",
    )
    thyroid, itp, _ = autoimmune
    infections = ("infection", "serious infection")

    def infected(low: float, high: float) -> Callable[[Cohort], float]:
        return lambda c: c.per_person(*infections, between=(low, high))

    def itp_after(conditioning: str) -> Callable[[Cohort], float]:
        return lambda c: c.share(itp, of=c.regimen == conditioning)

    def era(low: float, high: float, edss: float, centre: Span) -> Series:
        return Series((37, 8), (edss, 1.2), (low, high), EBMT, centre)

    storek, trm_era = "storek2008_reconstitution", "muraro2017_trm_era"
    periods = ((7, 23, 0, 15), (8, 25, 16, 180), (9, 9, 181, 365), (10, 9, 366, 730))
    return (
        Row(died, "muraro2017_longterm#7", Series((37, 8), (6.3, 1.0), (1995, 2006), EBMT, (1, 30)), Cohort.deaths,
            "0.028", (0.010, 0.049)),
        k_of_n(died, "boffa2021_italy210#7", Series((36, 8), (5.7, 1.4), (1997, 2019), {"beam-atg": 0.85,
               "cyclophosphamide-atg": 0.10, "busulfan-cyclophosphamide-atg": 0.05}, (2, 60)), 3, 210, Cohort.deaths),
        k_of_n(died, "burt2021_507#1", BURT, 1, 507, Cohort.deaths, 4),
        k_of_n(died, "ruizarguelles2019_mexico617#3", Series((46, 10), (5.5, 1.3), (2015, 2018),
               {"cyclophosphamide-rituximab": 1.0}, (30, 600)), 0, 617, Cohort.deaths, 4),
        k_of_n(died, "nash2003_tbi#3", Series((41, 8), (7.0, 0.8), (1998, 2001), TBI, (1, 30), True), 1, 26, Cohort.deaths),
        k_of_n(died, "burt2003_tbi", Series((40, 8), (6.3, 1.2), (1996, 2001), TBI, (5, 60), True), 0, 21, Cohort.deaths),
        k_of_n(died, "nash2017_haltms#11", Series((37, 8), (4.5, 0.8), (2006, 2010), centre=(10, 60), selected=True), 0, 24,
               Cohort.deaths),
        Row("death, centre below 5 against beyond 15 transplants", "pasquini2012_cibmtr#2", ALL_DISEASES,
            ratio_of_centres(1, 4), "3.5", (1.1, 11.1), 1),
        Row("death, centre at 5-15 against beyond 15", "pasquini2012_cibmtr#3", ALL_DISEASES, ratio_of_centres(5, 15), "4.2",
            (1.5, 11.7), 1),
        k_of_n("engraftment syndrome", "nash2003_tbi#4", STOREK, 13, 18, lambda c: c.share("engraftment syndrome"), 2),
        *(
            Row(f"infections a person, day {a}-{b}", f"{storek}#{i}", STOREK, infected(a, b), f"{k}/56 = {k / 56:.2f}",
                count_of(k, 56), 2)
            for i, k, a, b in periods
        ),
        k_of_n("EBV lymphoproliferative disease", "nash2003_tbi#3", STOREK, 1, 26,
               lambda c: c.share("EBV lymphoproliferative disease")),
        Row("immune thrombocytopenia after alemtuzumab", "burt2021_507#17", BURT, itp_after("cyclophosphamide-alemtuzumab"),
            "0.14; n not told, 21 taken (burt2009_phase12)", share_of(3, 21)),
        Row("immune thrombocytopenia after the others", "burt2021_507#18", BURT, itp_after("cyclophosphamide-atg"), "0-0.028",
            (0.0, 0.028)),
        k_of_n("thyroid disease, hypo- and hyperthyroid", "burt2021_507#19 and #20", BURT, 31, 457, lambda c: c.share(thyroid)),
        Row("any secondary autoimmune disease at 5 y", "daikeler2011_secondary_ad#1", ALL_DISEASES,
            lambda c: c.share(*autoimmune), "0.098", (0.059, 0.137)),
        Row("its onset, median months", "daikeler2011_secondary_ad#2", ALL_DISEASES,
            lambda c: c.when(thyroid, np.median) / 30.44, "21.9 (0.6-49)", (0.6, 49.0), 1),
        k_of_n("menses recovered", "massarotti2021_menses#1", WOMEN, 30, 43,
               lambda c: c.share("menses recovered") / c.share("amenorrhoea"), 2),
        Row("menses recovered, mean months", "massarotti2021_menses#2", WOMEN,
            lambda c: c.when("menses recovered", np.mean) / 30.44, "6.8; 25 % taken", (5.1, 8.5), 1),
        Row(died, "sormani2017_meta#1", Series((37, 8), (5.7, 1.3), (1995, 2016), EBMT, (2, 60)), Cohort.deaths, "0.021",
            (0.013, 0.034)),
        Row(f"{died}, 1995-2000", f"{trm_era}#2", era(1995, 2001, 6.3, (1, 15)), Cohort.deaths, "0.073", None),
        Row(f"{died}, 2001-2007", f"{trm_era}#3", era(2001, 2008, 6.0, (2, 30)), Cohort.deaths, "0.013", None),
        Row(f"{died}, 2008-2016", f"{trm_era}#4", era(2008, 2017, 5.0, (5, 60)), Cohort.deaths, "0.007", None),
        k_of_n(f"{died}, 2012-2016", f"{trm_era}#5", era(2012, 2017, 5.0, (5, 60)), 1, 439, Cohort.deaths, 4),
        Row("menses recovered, up to 32 y", "menses_questionnaire2016#1", WOMEN,
            lambda c: c.share("menses recovered", of=c.age <= 32) / c.share("amenorrhoea", of=c.age <= 32), "1.0", None, 2),
        Row("menses recovered, 33-41 y", "menses_questionnaire2016#3", WOMEN, lambda c: c.share("menses recovered",
            of=(c.age > 32) & (c.age < 42)) / c.share("amenorrhoea", of=(c.age > 32) & (c.age < 42)), "0.38", None, 2),
        Row("febrile neutropenia, BEAM", "none published that may be read", Series(follow_up=(1, 1)),
            lambda c: c.share("febrile neutropenia"), "", None, 2),
        Row("febrile neutropenia, cyclophosphamide", "none published that may be read", LONDON,
            lambda c: c.share("febrile neutropenia"), "", None, 2),
        Row("CMV reactivation, cyclophosphamide and ATG", "none published that may be read", LONDON,
            lambda c: c.share("CMV reactivation"), "", None, 2),
        k_of_n(died, "nicholas2021_london#7", LONDON, 3, 120, Cohort.deaths),
        k_of_n(died, "atkins2016_canada#4", Series((34, 6), (5.0, 1.0), (2000, 2009), {"busulfan-cyclophosphamide-atg": 1.0},
               (1, 24), True), 1, 24, Cohort.deaths),
        k_of_n("EBV reactivation", "mehra2019_ebv#1", LONDON, 36, 36, lambda c: c.share("EBV reactivation"), 2),
        k_of_n("monoclonal gammopathy", "mehra2019_ebv#2", LONDON, 18, 29, lambda c: c.share("monoclonal gammopathy"), 2),
        k_of_n("grade 3 or more within 100 d, cytopenias apart", "zhukovsky2021_alem#11", SWEDEN, 48, 69,
               lambda c: c.share(until=100, grade=3), 2),
        k_of_n("thyroid disease at 3 y", "zhukovsky2021_alem#13", SWEDEN, 14, 69, lambda c: c.share(thyroid), 2),
    )  # fmt: skip


def lines(n: int, p: Mapping[str, float]) -> Iterator[tuple[str, ...]]:
    """Lines of the table."""
    for row in rows():
        name = row.outcome.partition("#")[0]
        role = "" if " " in name else str(study(name).role)
        value = row.model(Cohort(row.series, n, p))
        span = "" if row.interval is None else f"{row.interval[0]:.{row.digits}f}-{row.interval[1]:.{row.digits}f}"
        inside = "" if row.interval is None else ("yes" if row.interval[0] <= value <= row.interval[1] else "**no**")
        yield row.harm, row.outcome, role, row.published, span, f"{value:.{row.digits}f}", inside


def page(n: int, p: Mapping[str, float]) -> str:
    """The table as docs/reconstitution.md holds it."""
    return table(("harm", "study", "role", "published", "95 %", "model", "inside"), lines(n, p))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patients", type=int, default=30_000)
    parser.add_argument("changes", nargs="*", metavar="parameter=value")
    given = parser.parse_args()
    print(page(given.patients, point_draw(changes(given.changes))[0]))


if __name__ == "__main__":
    main()
