"""Which outcomes of the sealed studies the packaged protocols predict; no simulation, no value.

``python -m validation.sealed_outcomes [--all]`` prints a Markdown table: study, outcomes, predicted, and what is not
predicted with the reason. ``--all`` adds every outcome with the row that predicts it.
"""

from __future__ import annotations

import argparse
from collections import defaultdict

from stemtrial.evidence import studies
from stemtrial.predict.expressible import Standing, standings


def sealed() -> dict[str, list[Standing]]:
    """Return the standings of every sealed study, by its id."""
    return {s.id: standings(s) for s in studies().values() if s.role == "sealed"}


def share(found: dict[str, list[Standing]], baselines: bool = True) -> tuple[int, int]:
    """Return how many outcomes are predicted, and how many there are, baselines (time 0) included or not."""
    counted = [s for of in found.values() for s in of if baselines or s.outcome.time_years != 0]
    return sum(s.predicted for s in counted), len(counted)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--all", action="store_true", help="also every outcome with the row that predicts it")
    every = parser.parse_args().all
    found = sealed()
    print("| study | protocols | outcomes | predicted | not predicted |\n|---|---|---|---|---|")
    for name, of in found.items():
        reasons: dict[str, list[str]] = defaultdict(list)
        for s in of:
            if not s.predicted:
                reasons[s.reason].append(f"{s.outcome.outcome_id.partition('#')[2]} {s.outcome.endpoint}")
        told = "; ".join(f"{', '.join(what)}: {why}" for why, what in reasons.items())
        protocols = ", ".join(dict.fromkeys(s.protocol for s in of if s.predicted))
        print(f"| {name} | {protocols} | {len(of)} | {sum(s.predicted for s in of)} | {told or '–'} |")
    (a, n), (b, m) = share(found), share(found, baselines=False)
    print(f"\n{len(found)} studies, {n} outcomes, {a} predicted ({100 * a / n:.1f} %).")
    print(f"Without baselines: {b} of {m} ({100 * b / m:.1f} %).")
    if every:
        print("\n| outcome | endpoint | statistic | predicted by |\n|---|---|---|---|")
        for s in (s for of in found.values() for s in of):
            by = f"{s.protocol}: {s.endpoint}, {s.estimator}" if s.predicted else f"nothing: {s.reason}"
            print(f"| {s.outcome.outcome_id} | {s.outcome.endpoint} | {s.outcome.statistic} | {by} |")


if __name__ == "__main__":
    main()
