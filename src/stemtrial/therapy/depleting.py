"""Depletion in two yearly courses: cladribine and alemtuzumab kill autoreactive clones, effectors and B cells.

What is killed returns by itself: effectors in weeks, B cells in a year, the clone pool by its slow logistic growth; so
the effect outlasts the courses without any drug left. Harm is drawn in :mod:`stemtrial.therapy.harms`.
"""

from __future__ import annotations

from stemtrial.kernel import Effect, Expr, Model, maximum, power10
from stemtrial.therapy.drugs import dose_response
from stemtrial.therapy.family import Facts, Family, Numbers, Order, Settings, amounts, stop_offset

DEPLETING = ("cladribine", "alemtuzumab")
COURSE_DAYS = (0, 365)
"""Days of the courses, from the day of the entry."""


def on_ms(m: Model) -> None:
    """Compose the courses onto MS: doses ``depleting.course.<drug>``."""

    def p(symbol: str) -> Expr:
        return m.parameter(f"depleting.{symbol}")

    clones, effectors, b_cells = (m.state_node(s) for s in ("C", "E", "B"))
    naive = m.state("depleting.naive_t", "rel", "naive T cells, over those of the same age", 1.0)
    m.relax(naive, to=1.0, tau=p("naive_days"), text="return from the thymus")
    m.observe("naive_t", naive, "rel to age norm", "naive T cells after depleting courses")

    def define(drug: str) -> None:
        def course(e: Effect) -> None:
            z, _ = e.normals()
            mean = p(f"kill.{drug}") * (1.0 / len(COURSE_DAYS)) * dose_response(
                e.amount("dose_ratio"), m.parameter("drugs.half_dose")
            )  # fmt: skip
            kill = maximum(0.0, mean + p("kill_sd") * z)
            e.scale(clones, power10(-kill))
            e.scale(effectors, power10(-kill))
            e.scale(b_cells, power10(-p(f"kill_b.{drug}")))
            e.scale(naive, power10(-kill * p("naive_share")))

        m.on_dose(f"depleting.course.{drug}", course, ("dose_ratio",), f"one course of {drug}")

    for drug in DEPLETING:
        define(drug)


def prescribe(name: str, settings: Settings, facts: Facts, parameters: Numbers) -> list[Order]:
    """Give two courses a year apart; a ``stop_day`` before the second leaves it out."""
    given = amounts(len(facts["day"]), float(settings.get("dose_ratio", 1.0)))
    last = stop_offset(settings)
    return [Order(d, f"depleting.course.{name}", given) for d in COURSE_DAYS if last is None or d < last]


FAMILY = Family("depleting", {"ms": on_ms}, DEPLETING, prescribe)
