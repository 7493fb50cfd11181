"""How the controlled trials of mesenchymal stem cells weigh the two hypotheses of their action, as a Markdown page.

    python -m validation.cell_hypotheses [--patients N] [--replicates N] [parameter=value ...]

Each controlled trial with the role fit is conducted many times with N patients under one hypothesis; every replicate draws
its own centre effect. What one replicate gives is then nearly free of sampling error, and the published contrast is held
against it through the sampling error of the publication. The mean over replicates is the evidence for the hypothesis; the
ratio of both, over all trials, is the Bayes factor, and turns the prior weight into the posterior weight.

Contrasts, not levels: how many patients of a sham arm stay free of activity depends on who was recruited and on who read
the scans, which no effect of the cells can move (docs/design/model_review.md, MS item 13 and *Likelihood and score*).
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from stemtrial.kernel import default_threads, derive_seed
from stemtrial.parameters import point_draw, registry
from stemtrial.predict.run import Settings, predict
from stemtrial.trial.effects import trial_effects
from stemtrial.trial.entry import families_of
from stemtrial.trial.protocol import load_protocol
from validation import changes

Floats = NDArray[np.float64]
Values = Mapping[str, Floats]
HYPOTHESES = ("sceptical", "optimistic")
SEED = 11


def _log_odds(values: Values, endpoint: str, treated: str, control: str) -> Floats:
    """Log odds ratio of a share, one a replicate; shares kept off 0 and 1 as half a patient would."""

    def logit(arm: str) -> Floats:
        (key,) = (k for k in values if k.startswith(f"{endpoint}|proportion|{arm}|"))
        p = np.clip(values[key], 5e-4, 1 - 5e-4)
        return np.asarray(np.log(p / (1 - p)))

    return logit(treated) - logit(control)


def _log_odds_of(a: tuple[int, int], b: tuple[int, int]) -> float:
    """Log odds ratio of two published counts (with the event, of)."""
    (x, n), (y, m) = a, b
    return float(np.log(x / (n - x) / (y / (m - y))))


def _variance(count: tuple[int, int]) -> float:
    """Woolf's variance of the log odds of a published count."""
    x, n = count
    return 1 / x + 1 / (n - x)


@dataclass(frozen=True)
class Evidence:
    """Contrasts of one controlled trial.

    Attributes
    ----------
    protocol, study : str
        What is conducted, and the study whose outcomes these are.
    names : tuple of str
        The contrasts in words.
    published : ndarray, shape (contrasts,)
        On a log scale.
    covariance : ndarray, shape (contrasts, contrasts)
        Sampling error of the publication.
    predicted : callable
        From a run's estimates to the same contrasts, shape (contrasts, replicates).
    """

    protocol: str
    study: str
    names: tuple[str, ...]
    published: Floats
    covariance: Floats
    predicted: Callable[[Values], Floats]


def evidence() -> list[Evidence]:
    """The controlled trials with the role fit, as their records state them.

    The cycles of petrou2020_brain (17 of 29, 13 of 32, 3 of 31) are those that the record reconstructs from the
    percentages of outcomes 4 to 6; patients count up to twice, so that its sampling error is if anything larger.
    """
    it, iv, sham = (17, 29), (13, 32), (3, 31)
    gd_low, gd_high = 0.58, 1.5  # uccelli2021_mesems#1
    improved, on_saline = (9, 27), (10, 27)  # harris2024_mscnp_phase2#1, #2
    return [
        Evidence(
            "mesems", "uccelli2021_mesems", ("enhancing lesions, ratio IV : placebo",),
            np.log([0.94]), np.array([[(np.log(gd_high / gd_low) / 3.92) ** 2]]),
            lambda v: np.log(np.maximum(next(x for k, x in v.items() if "weeks_4_12_24|rate_ratio" in k
                                             or "weeks_4_12_24|mean_ratio" in k), 1e-3))[None],
        ),
        Evidence(
            "petrou-2020", "petrou2020_brain",
            ("free of activity in a cycle, odds ratio IT : sham", "the same, IV : sham"),
            np.array([_log_odds_of(it, sham), _log_odds_of(iv, sham)]),
            np.array([[_variance(it), 0.0], [0.0, _variance(iv)]]) + _variance(sham),
            lambda v: np.stack([_log_odds(v, "neda.petrou", a, "sham") for a in ("msc_it", "msc_iv")]),
        ),
        Evidence(
            "harris-2024", "harris2024_mscnp_phase2", ("improved on EDSS-Plus, odds ratio IT : saline",),
            np.array([_log_odds_of(improved, on_saline)]),
            np.array([[_variance(improved) + _variance(on_saline)]]),
            lambda v: _log_odds(v, "edss_plus_improved", "mscnp", "saline")[None],
        ),
    ]  # fmt: skip


@dataclass(frozen=True)
class Weighed:
    """One trial under one hypothesis: contrasts and centre effects of the replicates, and the likelihood of each.

    ``control`` is the median share of the sham arm free of activity, nan where the trial has no such endpoint.
    """

    contrasts: Floats
    centre: Floats
    likelihood: Floats
    control: float

    @property
    def evidence(self) -> float:
        """Mean likelihood over centre effects."""
        return float(self.likelihood.mean())

    @property
    def needed(self) -> float:
        """Mean log centre effect once the trial's result is known, in standard deviations of the prior."""
        log = np.log(self.centre)
        return float((log * self.likelihood).sum() / self.likelihood.sum() / log.std())


def weigh(e: Evidence, optimistic: bool, patients: int, replicates: int, changes: Mapping[str, float]) -> Weighed:
    """Conduct a trial under a hypothesis and hold the publication against it.

    Parameters
    ----------
    e : Evidence
        The trial.
    optimistic : bool
        Which hypothesis holds.
    patients, replicates : int
        Of a trial, and how many.
    changes : mapping
        Parameters that are changed.
    """
    draws = point_draw({**changes, "msc.weight_optimistic": float(optimistic)})
    protocol = load_protocol(e.protocol)
    settings = Settings(replicates=replicates, patients=patients, seed=SEED, threads=default_threads())
    with tempfile.TemporaryDirectory() as folder:
        made = predict(protocol, settings, draws, folder=Path(folder) / "run").tables["estimates"]
    values = {str(k): made["value"][made["estimate"] == k] for k in np.unique(made["estimate"])}
    contrasts = e.predicted(values)
    effects = trial_effects(
        protocol.disease, families_of(protocol), False, derive_seed(SEED, "trial"), np.arange(replicates), draws[0]
    )
    law = stats.multivariate_normal(np.zeros(len(e.published)), e.covariance)
    free = [x for k, x in values.items() if k.startswith("neda.petrou|proportion|sham")]
    control = float(np.median(free[0])) if free else float("nan")
    return Weighed(contrasts, effects.centre, np.atleast_1d(law.pdf((e.published[:, None] - contrasts).T)), control)


def for_both(sham: float) -> str:
    """Say what would have to be true for petrou2020_brain and uccelli2021_mesems to hold both.

    Parameters
    ----------
    sham : float
        Share of the sham arm free of activity over six months, as the model has it.

    Notes
    -----
    Activity that comes at a rate ``h`` leaves ``exp(-h)`` free, so that a share free tells the rate, and two shares the
    reduction of it.
    """
    it, iv, none = 17 / 29, 13 / 32, 3 / 31
    rate = [-float(np.log(x)) for x in (it, iv, none)]
    gone = [1 - r / rate[2] for r in rate[:2]]
    return (
        f"For both to hold: (1) on sham, activity at a rate of {rate[2]:.1f} a half-year, where the model has "
        f"{-np.log(sham):.2f} ({sham:.0%} free, published {none:.0%}): patients, or a reading of scans and of the EDSS, that "
        f"find {rate[2] / -np.log(sham):.0f} times as much as in other trials of progressive MS; and (2) of that activity "
        f"{gone[0]:.0%} prevented by cells into the spinal fluid and {gone[1]:.0%} by cells into a vein, where fifteen other "
        "centres, with the same cells by the same way, prevented 6 % of enhancing lesions, and 42 % at the very most "
        "(0.58 to 1.5). The second needs something that one centre had and the others had not."
    )


def main() -> None:
    """Weigh and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patients", type=int, default=1500)
    parser.add_argument("--replicates", type=int, default=100)
    parser.add_argument("changes", nargs="*", metavar="parameter=value")
    args = parser.parse_args()
    changed = changes(args.changes)
    prior = changed.get("msc.prior_weight", registry()["msc.prior_weight"].value)
    print("| trial | contrast | published | " + " | ".join(f"{h}: median, 90 %" for h in HYPOTHESES) + " |")
    print("|---" * (3 + len(HYPOTHESES)) + "|")
    total, needs, sham = 0.0, [], float("nan")
    for e in evidence():
        found = [weigh(e, h == "optimistic", args.patients, args.replicates, changed) for h in HYPOTHESES]
        for k, name in enumerate(e.names):
            low, high = np.exp(e.published[k] + np.array([-1.96, 1.96]) * np.sqrt(e.covariance[k, k]))
            told = [f"{np.exp(e.published[k]):.2f} ({low:.2f} to {high:.2f})"]
            for w in found:
                middle, a, b = np.exp(np.quantile(w.contrasts[k], [0.5, 0.05, 0.95]))
                told.append(f"{middle:.2f} ({a:.2f} to {b:.2f})")
            print(f"| {e.study} | {name} | {' | '.join(told)} |")
        if e.protocol == "petrou-2020":
            sham = found[0].control
        factor = np.log(found[1].evidence / found[0].evidence)
        total += factor
        needs.append((e.study, factor, [w.needed for w in found]))
    print("\n| trial | log Bayes factor, optimistic : sceptical | centre effect needed, SD, sceptical | optimistic |")
    print("|---|---|---|---|")
    for study, factor, (sceptical, optimistic) in needs:
        print(f"| {study} | {factor:+.2f} | {sceptical:+.2f} | {optimistic:+.2f} |")
    odds = prior / (1 - prior) * np.exp(total)
    print(f"\nBayes factor {np.exp(total):.2f}; prior weight {prior:g}, posterior weight {odds / (1 + odds):.2f}.")
    print("\n" + for_both(sham))


if __name__ == "__main__":
    main()
