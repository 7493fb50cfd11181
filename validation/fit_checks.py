"""Checks of a finished fit, as Markdown tables, misses first.

    python -m validation.fit_checks FOLDER [--blocks NAME ...] [--truths 200] [--simulator BLOCK [--simulator-truths 3]]
                                    [--cross als] [--lack] [--seed 1] [--workers 2] [--members N] [--passes N] [--json]

FOLDER is that of the fit; seed, members and passes must be those that it was made with. What the fit has not finished is
simulated first (hours). Through the emulators everything takes minutes; ``--simulator`` adds, for one block, the fit of
truths that the simulator itself made, one run of all members a pass and truth beyond the first, and resumes.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from stemtrial.calibrate.blocks import blocks
from stemtrial.calibrate.crosscheck import LEAST_RATIO, MOST_RATIO, R_HAT, SHIFT, Compared, CrossCheck, cross_check
from stemtrial.calibrate.fit import Fitted, Settings, fit
from stemtrial.calibrate.loco import JUDGED, Forecast, Refit, by_lane, leave_one_out, without_series
from stemtrial.calibrate.posterior import widenings
from stemtrial.calibrate.sbc_checks import CLAIMED, Checked, sbc_emulator, sbc_simulator
from stemtrial.report.markdown import markdown_table

MOVED = 0.5
"""Shift of a refit, in standard deviations of the posterior, that is told parameter by parameter."""


def _range(low: float, high: float, digits: int = 2) -> str:
    return f"{low:.{digits}f} to {high:.{digits}f}"


# -- second method ----------------------------------------------------------------------------------------------------
def cross_text(found: CrossCheck, title: str) -> str:
    """Tell of the smoother against the chains."""
    out = [
        f"## Second method: {title}", "",
        f"Agreement: means within {SHIFT:g} standard deviations, ratio of standard deviations {LEAST_RATIO:g} to "
        f"{MOST_RATIO:g}, R-hat at most {R_HAT:g}.",
    ]  # fmt: skip
    for name, rows in (("same likelihood", found.same_likelihood), ("exact likelihood", found.exact)):
        ordered = sorted(rows, key=lambda r: (r.agrees, -abs(r.difference)))
        out += [
            "", f"### Chain with the {name}: {sum(r.agrees for r in rows)} of {len(rows)} parameters agree", "",
            markdown_table(
                ("parameter", "smoother, mean (SD)", "difference, SD", "ratio of SDs", "R-hat", "effective draws", ""),
                [
                    (f"`{r.parameter}`", f"{r.mean:+.2f} ({r.sd:.2f})", f"{r.difference:+.2f}", f"{r.ratio:.2f}",
                     f"{r.r_hat:.3f}", f"{r.effective:.0f}", _verdict(r))
                    for r in ordered
                ],
            ),
        ]  # fmt: skip
    out += [
        "", "### Published numbers under each posterior, which has seen them (coverage above the claim is expected)", "",
        markdown_table(
            ("posterior", "in the 50 % interval", "in the 90 % interval", "mean PIT"),
            [(name, *_cover(rows), f"{np.mean([f.pit for f in rows]):.2f}") for name, rows in found.predictive.items()],
        ),
    ]  # fmt: skip
    return "\n".join(out)


def _verdict(r: Compared) -> str:
    return "agrees" if r.agrees else "**differs**" if r.converged else "**not converged**"


def _cover(rows: Sequence[Forecast]) -> tuple[str, str]:
    inside = [sum(f.inside(level) for f in rows) for level in (0.5, 0.9)]
    return f"{inside[0]} of {len(rows)}", f"{inside[1]} of {len(rows)}"


# -- synthetic truths -------------------------------------------------------------------------------------------------
def sbc_text(checked: Checked, how: str) -> str:
    """Tell of the coverage of synthetic truths."""
    c = checked.calibration
    n = len(c.ranks)
    pooled = [
        (f"{x.level:.0%}", f"{x.pooled:.3f}", _range(x.pooled_low, x.pooled_high, 3))
        for x in map(c.coverage, (0.5, 0.9))
    ]
    low, high = CLAIMED
    out = [
        f"## Synthetic truths {how}: {checked.block}, {n} truths", "",
        f"Pooled coverage of 90 % intervals must lie within {low:.0%} to {high:.0%}: "
        + ("it does." if checked.passes else "**it does not.**"), "",
        markdown_table(("interval", "pooled coverage", "95 %, truths as units"), pooled), "",
    ]  # fmt: skip
    half, most, z = c.coverage(0.5), c.coverage(0.9), checked.z_scores
    p = c.uniformity() if n >= 10 else np.full(len(checked.names), np.nan)
    order = np.argsort(np.where(most.low > 0.9, most.low - 0.9, np.maximum(0.9 - most.share, 0.0)), kind="stable")[::-1]
    rows = [
        (f"`{checked.names[k]}`", f"{most.share[k]:.2f} ({_range(most.low[k], most.high[k])})",
         f"{half.share[k]:.2f} ({_range(half.low[k], half.high[k])})", f"{z[:, k].mean():+.2f} ({z[:, k].std():.2f})",
         "" if np.isnan(p[k]) else f"{p[k]:.3f}")
        for k in order
    ]  # fmt: skip
    head = (
        "parameter",
        "in the 90 % interval (95 % binomial)",
        "in the 50 % interval",
        "z-score, mean (SD)",
        "p, uniform ranks",
    )
    return "\n".join([*out, markdown_table(head, rows)])


# -- left out ---------------------------------------------------------------------------------------------------------
def loco_text(forecasts: Sequence[Forecast], how: str = "effects of the trial as estimated") -> str:
    """Tell of cohorts that were left out."""
    out = [
        f"## Every cohort left out in turn, {how} (linear refits; cohorts as units)", "",
        markdown_table(
            ("lane", "cohorts", "numbers", "in the 50 % interval (90 %)", "in the 90 % interval (90 %)", "mean PIT", ""),
            [
                (r["lane"], r["cohorts"], r["outcomes"], _with_ends(r, "50"), _with_ends(r, "90"),
                 f"{r['pit']['mean']:.2f}",
                 ("holds" if r["holds"] else "**does not hold**") if r["judged"] else f"fewer than {JUDGED} cohorts: not judged")
                for r in sorted(by_lane(forecasts), key=lambda r: r["holds"] is not False)
            ],
        ),
        "", "### Numbers outside their 90 % interval", "",
    ]  # fmt: skip
    misses = sorted((f for f in forecasts if not f.inside(0.9)), key=lambda f: min(f.pit, 1 - f.pit))
    rows = [
        (f.lane, f.outcome_id, f.statistic, f"{f.published:.3g}", f"{f.median:.3g} ({f.low_90:.3g} to {f.high_90:.3g})",
         f"{f.pit:.3f}", f"{f.crps:.3g}")
        for f in misses
    ]  # fmt: skip
    head = ("lane", "outcome", "statistic", "published", "forecast, median (90 %)", "PIT", "CRPS")
    return "\n".join([*out, markdown_table(head, rows) if rows else "None."])


def _with_ends(r: Mapping[str, Any], level: str) -> str:
    ends = r[f"ci90_{level}"]
    return f"{r[f'coverage_{level}']:.2f}" + (f" ({_range(*ends)})" if ends else "")


def refits_text(refits: Mapping[str, Sequence[Refit]]) -> str:
    """Tell of posteriors without open series."""
    out = ["## Without open series (linear refits)", ""]
    rows = [
        (block, r.title, f"{len(r.studies)} ({r.outcomes})", f"{sum(abs(s.shift) > MOVED for s in r.shifts)} of {len(r.shifts)}",
         f"`{r.shifts[0].parameter}` {r.shifts[0].shift:+.2f}")
        if r.studies else (block, r.title, "none", "", "")
        for block, mine in refits.items() for r in mine
    ]  # fmt: skip
    out.append(markdown_table(("block", "", "studies (numbers)", f"moved by more than {MOVED:g} SD", "most"), rows))
    moved = [
        (block, r.title, f"`{s.parameter}`", f"{s.shift:+.2f}", f"{s.ratio:.2f}")
        for block, mine in refits.items() for r in mine for s in r.shifts if abs(s.shift) > MOVED
    ]  # fmt: skip
    if moved:
        out += ["", markdown_table(("block", "", "parameter", "shift, SD", "ratio of SDs"), moved)]
    return "\n".join(out)


# -- the command ------------------------------------------------------------------------------------------------------
def _as_json(x: Any) -> Any:
    if isinstance(x, np.ndarray):
        return x.tolist()
    if isinstance(x, np.generic):
        return x.item()
    raise TypeError(type(x).__name__)


def _sbc_json(checked: Checked) -> dict[str, Any]:
    c = checked.calibration
    return {
        "block": checked.block, "names": checked.names, "passes": checked.passes, "draws": c.draws, "ranks": c.ranks,
        "z_scores": checked.z_scores, "coverage": [asdict(c.coverage(level)) for level in (0.5, 0.9)],
    }  # fmt: skip


def _told() -> Callable[[str, float], None]:
    last: dict[str, int] = {}

    def tell(stage: str, fraction: float) -> None:
        tenth = int(fraction * 10)
        if last.get(stage) != tenth:
            last[stage] = tenth
            print(f"{stage}: {fraction:.0%}", file=sys.stderr, flush=True)

    return tell


def report(fitted: Mapping[str, Fitted], args: argparse.Namespace, settings: Settings) -> tuple[str, dict[str, Any]]:
    """Run all checks and return them as text and as data."""
    texts: list[str] = []
    told: dict[str, Any] = {"sbc_emulator": {}, "loco": {}, "widened": {}, "refits": {}}
    wide = widenings(fitted, args.seed)
    tell = _told()
    for name, f in fitted.items():
        before = fitted[f.block.after] if f.block.after else None
        if args.truths:
            tell(f"{f.block.title}: {args.truths} truths through the emulator", 0.0)
            checked = sbc_emulator(f, args.truths, args.seed, before=before, passes=args.passes, lack=args.lack)
            told["sbc_emulator"][name] = checked
        told["loco"][name], told["refits"][name] = leave_one_out(f, args.seed), without_series(f)
        told["widened"][name] = leave_one_out(f, args.seed, wide[f.block.disease].factor)
    if args.cross in fitted:
        tell(f"{args.cross}: Markov chains", 0.0)
        told["cross_check"] = cross_check(fitted[args.cross], args.seed)
        texts.append(cross_text(told["cross_check"], fitted[args.cross].block.title))
    if args.simulator:
        after = blocks()[args.simulator].after
        told["sbc_simulator"] = sbc_simulator(
            args.simulator, args.folder, settings, args.simulator_truths,
            before=fitted[after] if after else None, told=tell,
        )  # fmt: skip
        texts.append(sbc_text(told["sbc_simulator"], "through the simulator"))
    how = "through the emulator" + (" and what it misses" if args.lack else "")
    ordered = sorted(told["sbc_emulator"].values(), key=lambda c: c.passes)
    texts += [sbc_text(c, how) for c in ordered]
    every = {k: [f for mine in told[k].values() for f in mine] for k in ("loco", "widened")}
    factors = ", ".join(f"{d.upper()} times {w.factor:.2f}" for d, w in wide.items())
    texts += [loco_text(every["loco"]), loco_text(every["widened"], f"effects of the trial as they ship, {factors}")]
    texts.append(refits_text(told["refits"]))
    data = {
        "sbc_emulator": {k: _sbc_json(c) for k, c in told["sbc_emulator"].items()},
        "loco": {k: [asdict(f) for f in mine] for k, mine in told["loco"].items()},
        "widened": {k: [asdict(f) for f in mine] for k, mine in told["widened"].items()},
        "lanes": by_lane(every["loco"]),
        "lanes_widened": by_lane(every["widened"]),
        "refits": {k: [asdict(r) for r in mine] for k, mine in told["refits"].items()},
    }
    if "cross_check" in told:
        data["cross_check"] = asdict(told["cross_check"])
    if "sbc_simulator" in told:
        data["sbc_simulator"] = _sbc_json(told["sbc_simulator"])
    return "\n\n".join(texts), data


def parsed(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    known = list(blocks())
    parser.add_argument("folder", type=Path)
    parser.add_argument("--blocks", nargs="+", choices=known, default=None)
    parser.add_argument("--truths", type=int, default=200)
    parser.add_argument("--simulator", choices=known, default=None)
    parser.add_argument("--simulator-truths", type=int, default=3)
    parser.add_argument("--cross", choices=known, default="als")
    parser.add_argument("--lack", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--members", type=int, default=None)
    parser.add_argument("--passes", type=int, default=None)
    parser.add_argument("--json", action="store_true")
    return parser.parse_args(argv)


def main() -> None:
    """Check and print."""
    args = parsed()
    settings = Settings(args.seed, args.workers, args.members, args.passes)
    text, data = report(fit(args.folder, args.blocks, settings, _told()), args, settings)
    print(json.dumps(data, default=_as_json, indent=1) if args.json else text)


if __name__ == "__main__":
    main()
