"""Each drug against its fit studies: the contrast that the model predicts beside the published one, as a Markdown table.

    python -m validation.drug_effects [--drug natalizumab ...] [--patients N] [parameter=value ...]

Each study runs once, on its own protocol where it has one, with N patients over all arms, so that the figures are the
model's and not one trial's luck. Parameters given are changed for this call only. Only studies whose role is `fit` are
here; published values are read from the evidence.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from stemtrial import analysis
from stemtrial.cohort.recruit import recruit
from stemtrial.endpoint import Counts, Events, derive
from stemtrial.errors import InputError
from stemtrial.evidence import study
from stemtrial.kernel import default_threads
from stemtrial.parameters import Draws, point_draw
from stemtrial.predict.run import scaled
from stemtrial.therapy import compose
from stemtrial.trial.conduct import conduct
from stemtrial.trial.entry import families_of, planned_days
from stemtrial.trial.parts import Randomisation
from stemtrial.trial.protocol import Protocol, load_protocol
from stemtrial.trial.recruiting import care_of
from stemtrial.trial.regimen import Arm
from validation import changes

RECRUITS = 4000
Regimens = Mapping[str, Sequence[Mapping[str, Any]]]


@dataclass(frozen=True)
class Line:
    """One contrast: an endpoint, how it is contrasted, and the published outcomes that give its value.

    Two outcomes stand for their ratio, treated over control. ``baseline`` keeps patients whose value at baseline is at
    least that: what the study asked of its patients and screening does not measure.
    """

    endpoint: str
    kind: str
    published: tuple[int, ...]
    at: float | None = None
    baseline: tuple[str, float] | None = None


@dataclass(frozen=True)
class Contrast:
    """A drug in a fit study: protocol, treated arm, control arm, lines.

    ``arms`` replaces the arms of a protocol that stands in for a study without one of its own; its rules (drop-out,
    rescue) are left out then.
    """

    drug: str
    study: str
    protocol: str
    treated: str
    control: str
    lines: tuple[Line, ...]
    arms: Regimens = field(default_factory=dict)


def _rates(*published: int, endpoint: str = "relapse_rate") -> Line:
    return Line(endpoint, "rate ratio", published)


def _hazard(endpoint: str, *published: int) -> Line:
    return Line(endpoint, "hazard ratio", published)


EDSS12, EDSS24 = "confirmed_worsening.12_weeks", "confirmed_worsening.24_weeks"
T2 = "new_t2_lesions"
CONTRASTS = (
    Contrast("natalizumab", "polman2006_affirm", "affirm", "natalizumab", "placebo", (
        _rates(7, 6), _rates(12, 11, endpoint=T2), Line("gd_lesions", "ratio of means", (32, 31), 2.0),
        _hazard("confirmed_worsening.affirm.12_weeks", 1), _hazard("confirmed_worsening.affirm.24_weeks", 35),
    )),
    Contrast("fingolimod", "kappos2010_freedoms", "freedoms", "f05", "placebo", (
        _rates(2, 3), _rates(14, 15, endpoint=T2), Line("gd_lesions", "ratio of means", (16, 17), 2.0),
        _hazard("confirmed_worsening.oratorio", 10), _hazard("confirmed_worsening.oratorio.24_weeks", 11),
    )),
    Contrast("fingolimod 1.25 mg", "kappos2010_freedoms", "freedoms", "f125", "placebo", (_rates(1, 3),)),
    Contrast("fingolimod", "calabresi2014_freedoms2", "freedoms-2", "f05", "placebo", (
        _rates(2, 1), _rates(11, 10, endpoint=T2),
        _hazard("confirmed_worsening.oratorio", 6), _hazard("confirmed_worsening.oratorio.24_weeks", 7),
    )),
    Contrast("fingolimod", "cohen2010_transforms", "transforms", "f05", "ifn", (
        _rates(2, 3), _rates(9, 10, endpoint=T2), Line("gd_lesions", "ratio of means", (11, 12), 1.0),
        _hazard("confirmed_worsening.oratorio", 15),
    )),
    Contrast("fingolimod", "lublin2016_informs", "informs", "fin", "placebo", (
        _hazard("composite_worsening.12_weeks", 9), _hazard("confirmed_worsening.expand", 10),
    )),
    Contrast("siponimod", "kappos2018_expand", "expand", "sip", "placebo", (
        _rates(7, 8), _hazard("confirmed_worsening.expand", 3), _hazard("confirmed_worsening.expand.6_months", 6),
        _hazard("t25fw_worsening_20.12_weeks", 11),
    )),
    Contrast("ozanimod", "cohen2019_radiance", "freedoms", "oz1", "ifn", (_rates(3), _rates(9, endpoint=T2)), {
        "oz1": [{"therapy": "ozanimod"}], "ifn": [{"therapy": "interferon_beta_im"}],
    }),
    Contrast("dimethyl_fumarate", "gold2012_define", "define", "bid", "placebo", (
        _rates(1, 2), _rates(10, endpoint=T2), Line("gd_lesions", "ratio of means", (18, 17), 2.0), _hazard(EDSS12, 9),
    )),
    Contrast("teriflunomide", "oconnor2011_temso", "temso", "t14", "placebo", (
        _rates(3, 1), Line("gd_lesions", "ratio of means", (16, 15), 2.0), _hazard("confirmed_worsening.oratorio", 19),
    )),
    Contrast("teriflunomide 7 mg", "oconnor2011_temso", "temso", "t7", "placebo", (
        _rates(2, 1), _hazard("confirmed_worsening.oratorio", 20),
    )),
    Contrast("interferon_beta", "prisms1998_prisms", "prisms", "i44", "placebo", (_rates(5),)),
    Contrast("interferon_beta 22 ug", "prisms1998_prisms", "prisms", "i22", "placebo", (_rates(4),)),
    Contrast("interferon_beta_im", "jacobs1996_mscrg", "prisms", "ifn", "placebo", (_rates(14, 13),), {
        "ifn": [{"therapy": "interferon_beta_im"}], "placebo": [],
    }),
    Contrast("glatiramer", "johnson1995_copolymer1", "prisms", "ga", "placebo", (_rates(3, 4),), {
        "ga": [{"therapy": "glatiramer"}], "placebo": [],
    }),
    Contrast("ocrelizumab", "hauser2017_opera", "opera", "ocr", "ifn", (
        _rates(1, 2), _rates(21, 22, endpoint=T2), Line("gd_lesions", "ratio of means", (11, 12), 1.85),
        _hazard("confirmed_worsening.opera.12_weeks", 7), _hazard("confirmed_worsening.opera.24_weeks", 10),
    )),
    Contrast("ocrelizumab", "montalban2017_oratorio", "oratorio", "ocr", "placebo", (
        _hazard("confirmed_worsening.oratorio", 3), _hazard("confirmed_worsening.oratorio.24_weeks", 6),
        _hazard("nine_hole_peg_worsening_20.12_weeks", 15),
    )),
    Contrast("alemtuzumab", "cohen2012_carems1", "care-ms-1", "alem", "ifn", (_rates(3), _hazard(EDSS24, 15))),
    Contrast("alemtuzumab", "coles2008_camms223", "care-ms-1", "alem", "ifn", (_rates(2, 1),)),
    Contrast("tolebrutinib", "oh2025_gemini", "freedoms", "tole", "teri", (_rates(7), _hazard(EDSS24, 8)), {
        "tole": [{"therapy": "tolebrutinib"}], "teri": [{"therapy": "teriflunomide"}],
    }),
    Contrast("clemastine", "green2017_rebuild", "rebuild", "clem", "placebo_first", (
        Line("vep_p100_change", "difference of means", (1,), 0.25, ("vep_p100_ms", 118.0)),  # recalled: delayed nerves
    )),
)  # fmt: skip


def published(c: Contrast, line: Line) -> tuple[float, str]:
    """Value and interval of a line, from the evidence."""
    outcomes = {o.outcome_id: o for o in study(c.study).outcomes}
    found = [outcomes[f"{c.study}#{k}"] for k in line.published]
    values = [float(o.value) for o in found if o.value is not None]
    if len(values) < len(found):
        raise InputError(f"{c.study}: outcomes {line.published} have no value; name others")
    ci = found[0].ci95
    if len(values) == 1:
        return values[0], f"{ci[0]:g} to {ci[1]:g}" if ci else ""
    return values[0] / values[1], "of arms"


def adapted(c: Contrast, patients: int) -> Protocol:
    """The protocol of a contrast, for so many patients."""
    p = load_protocol(c.protocol)
    if c.arms:
        arms = {k: Arm.model_validate({"n": 100, "regimen": list(r)}) for k, r in c.arms.items()}
        ratio = Randomisation.model_validate({"ratio": dict.fromkeys(arms, 1), "block_sizes": [2]})
        changes = {"arms": arms, "randomisation": ratio, "control": c.control, "analysis_set": {}, "rules": ()}
        p = p.model_copy(update=changes)
    wanted = [i for line in c.lines for i in _INSTRUMENTS.get(line.endpoint, ())]
    p = p.model_copy(update={"instruments": tuple(dict.fromkeys((*p.instruments, *wanted)))})
    return scaled(p, patients)


_INSTRUMENTS = {
    "composite_worsening.12_weeks": ("t25fw_s", "nine_hole_peg_s"),
    "t25fw_worsening_20.12_weeks": ("t25fw_s",),
    "nine_hole_peg_worsening_20.12_weeks": ("nine_hole_peg_s",),
    "vep_p100_change": ("vep_p100_ms",),
}


class Trial:
    """A contrast, simulated once with many patients."""

    def __init__(self, c: Contrast, draws: Draws, patients: int) -> None:
        self.contrast, self.draws = c, draws
        self.protocol = adapted(c, patients)

    @cached_property
    def tables(self) -> Any:
        """Observed tables."""
        p, kernel, threads = (
            self.protocol,
            compose(self.protocol.disease, families_of(self.protocol)),
            default_threads(),
        )
        people = recruit(kernel, self.draws, 0, care_of(p), p.population.criteria, RECRUITS, threads=threads)
        return conduct(p, people, kernel, self.draws[0], 5, threads=threads).tables

    def predicted(self, line: Line) -> tuple[float, float]:
        """Value of a line, and its Monte Carlo standard error (of the logarithm, but for a difference)."""
        got = derive(line.endpoint, self.tables, at_years=line.at, planned_days=planned_days(self.protocol))
        patients = self.tables["patients"]
        asked = patients[line.baseline[0]] >= line.baseline[1] if line.baseline else np.full(len(patients["arm"]), True)
        treated, control = (asked & (patients["arm"] == a) for a in (self.contrast.treated, self.contrast.control))
        if isinstance(got, Events):
            fit = analysis.cox(got.time_years[None], got.event[None], treated[None], (treated | control)[None])
            events = [int(got.event[g].sum()) for g in (treated, control)]
            return float(fit.value[0]), math.sqrt(sum(1 / max(1, e) for e in events))
        if isinstance(got, Counts):
            rate, variance = [], 0.0
            for g in (treated, control):
                count, years = got.count[g], got.exposure_years[g]
                rate.append(count.sum() / years.sum())
                variance += float(((count - rate[-1] * years) ** 2).sum() / max(1, count.sum()) ** 2)
            return float(rate[0] / rate[1]), math.sqrt(variance)
        values = [got.value[g][np.isfinite(got.value[g])] for g in (treated, control)]
        (a, b), (sa, sb) = ([float(f(v)) for v in values] for f in (np.mean, lambda v: v.std() / math.sqrt(len(v))))
        if line.kind == "difference of means":
            return a - b, math.hypot(sa, sb)
        return a / b, math.hypot(sa / a, sb / b)


def rows(contrasts: Sequence[Contrast], draws: Draws, patients: int) -> list[tuple[str, ...]]:
    """One row a line: drug, study, endpoint, contrast, published, interval, predicted, Monte Carlo error."""
    out: list[tuple[str, ...]] = []
    trials: dict[tuple[str, str], Trial] = {}
    for c in contrasts:
        key = (c.protocol, repr(c.arms))
        if key in trials:  # another dose of the same trial
            t = Trial(c, draws, patients)
            t.__dict__["tables"] = trials[key].tables
        else:
            t = trials[key] = Trial(c, draws, patients)
        stands_in = "" if load_protocol(c.protocol).reproduces == c.study else f" (on {c.protocol})"
        for line in c.lines:
            value, interval = published(c, line)
            here, error = t.predicted(line)
            shown = f"{here:.2f}", f"{error:.2f}"
            out.append((c.drug, c.study + stands_in, line.endpoint, line.kind, f"{value:.2f}", interval, *shown))
            print("| " + " | ".join(out[-1]) + " |", flush=True)
    return out


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    drugs = sorted({c.drug.split()[0] for c in CONTRASTS})
    parser.add_argument("--drug", action="append", choices=drugs, help="only this drug; may be repeated")
    parser.add_argument("--patients", type=int, default=6000)
    parser.add_argument("changes", nargs="*", metavar="parameter=value")
    args = parser.parse_args()
    draws = point_draw(changes(args.changes))
    head = ("drug", "study", "endpoint", "contrast", "published", "95 % interval", "predicted", "Monte Carlo error")
    print("| " + " | ".join(head) + " |\n" + "|---" * len(head) + "|", flush=True)
    rows([c for c in CONTRASTS if args.drug is None or c.drug.split()[0] in args.drug], draws, args.patients)


if __name__ == "__main__":
    main()
