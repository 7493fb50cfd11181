"""How many digits a study prints of a number: the width of its rounding."""

from __future__ import annotations

from stemtrial.evidence.schema import Outcome, Study
from stemtrial.evidence.vocabulary import term_of

SHARES = ("proportion", "km_probability")
"""Statistics that are printed to a per cent at least."""
MOST_DECIMALS = 4
"""Decimals beyond which a number was computed from others and is not printed so."""


def half_unit(o: Outcome, study: Study) -> float:
    """Half a unit of the last printed digit of a published value.

    YAML drops trailing zeros (``0.40`` stands as 0.4), so the longest of the numbers that the study prints of this
    term and statistic tells the digits, its intervals included, and a share is printed to a per cent at least. A count
    of patients is exact; so is a number that was computed from others, but for the digits that it keeps.

    Parameters
    ----------
    o : Outcome
        Published value, with its intervals.
    study : Study
        Its study.

    Returns
    -------
    float
        In the unit of the value; 0 of counts, and where nothing tells.
    """
    if o.statistic == "count" or o.value is None:
        return 0.0
    term = term_of(o.endpoint)
    alike = [x for x in study.outcomes if term_of(x.endpoint) == term and x.statistic == o.statistic and not x.derived]
    kin = [o] if o.derived else [o, *alike]
    printed = [v for x in kin for v in (x.value, *(x.ci95 or ()), *(x.ci90 or ())) if v is not None]
    digits = [d for v in printed if (d := _decimals(v)) <= MOST_DECIMALS]
    return float(0.5 * 10.0 ** -max(*digits, 2 if o.statistic in SHARES else 0)) if digits else 0.0


def _decimals(x: float) -> int:
    text = repr(float(x))
    return MOST_DECIMALS + 1 if "e" in text else len(text.partition(".")[2].rstrip("0"))
