"""Rules of decline: a patient's own slope, everybody's course over time, and courses ranked together with survival."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from stemtrial.endpoint.common import Common, Kind, Milestone, within_limits


class Slope(Common):
    """A patient's own slope by least squares over the visits, compared with the run-in or not, or whether it is enough.

    Baseline (day 0) is one of its points where ``from_days`` is 0.

    Attributes
    ----------
    column : str
        Column of the visits table, and of the patients table for baseline.
    plus : tuple of str
        Further columns of the same unit that are added to it.
    from_days, to_days : int, int or None
        The visits of the slope, ends included; to the visit of the horizon where ``to_days`` is left out.
    points_at_least : int
        Who has fewer of them, baseline included, is not assessed.
    before : str or None
        Column of the patients table that holds the slope a month before entry (run-in), in the unit of ``column``.
    measure : {'after', 'before', 'difference', 'relative'}
        The slope, that of the run-in, the first minus the second, or that as a fraction of the size of the second:
        0.5 is half as fast, 1 stands still, and whoever did not decline in the run-in has 0.
    per : {'month', 'year'}
        Unit of time of slopes and differences.
    baseline_at_least : float or None
        Who has a lower value at baseline is not assessed.
    at_least, at_most : float or None
        With one of them a status: whether it lies within, ends included (a responder).
    dead : {'by_slope', 'fails'}
        Of a status, who died by the horizon: judged by the slope while alive, or not within, whatever it was.

    """

    rule: Literal["slope"] = "slope"
    column: str
    plus: tuple[str, ...] = ()
    from_days: Annotated[int, Field(ge=0)] = 0
    to_days: Annotated[int, Field(gt=0)] | None = None
    points_at_least: Annotated[int, Field(ge=2)] = 2
    before: str | None = None
    measure: Literal["after", "before", "difference", "relative"] = "after"
    per: Literal["month", "year"] = "year"
    baseline_at_least: float | None = None
    at_least: float | None = None
    at_most: float | None = None
    dead: Literal["by_slope", "fails"] = "by_slope"

    @model_validator(mode="after")
    def _consistent(self) -> Slope:
        if self.to_days is not None and self.to_days <= self.from_days:
            raise ValueError(f"to_days {self.to_days} is not after from_days {self.from_days}")
        if (self.measure != "after") != (self.before is not None):
            raise ValueError(f"measure: {self.measure} {'needs' if self.before is None else 'does not read'} before")
        if self.dead == "fails" and self.kind != "status":
            raise ValueError("dead: fails needs at_least or at_most; a slope cannot fail")
        within_limits(self.at_least, self.at_most)
        return self

    @property
    def kind(self) -> Kind:
        """``value``, ``change`` (compared with the run-in) or, with limits, ``status``."""
        if self.at_least is not None or self.at_most is not None:
            return "status"
        return "value" if self.measure in ("after", "before") else "change"


class Course(Common):
    """Values at baseline and all scheduled visits, and the time to an event that ends what function can tell.

    Attributes
    ----------
    column, plus : str, tuple of str
        Column of the visits and patients tables, and further ones of the same unit that are added to it.
    events : tuple of str
        Milestones that count as the event.
    deaths : bool
        Whether death counts.

    """

    column: str
    plus: tuple[str, ...] = ()
    events: tuple[Milestone, ...] = ()
    deaths: bool = True


class Trajectory(Course):
    """The course of a measurement over time, for models of slopes."""

    kind: ClassVar[Kind] = "trajectory"
    rule: Literal["trajectory"] = "trajectory"


class JointRank(Course):
    """Survival and function ranked together: death is worse than life, earlier worse than later; the rest is by change.

    Two patients of whom none is known to have outlived the other are compared by their change from baseline at the last
    visit that both had. Berry 2013, doi:10.3109/21678421.2012.762930; Finkelstein and Schoenfeld 1999,
    doi:10.1002/(SICI)1097-0258(19990615)18:11<1341::AID-SIM129>3.0.CO;2-7.
    """

    kind: ClassVar[Kind] = "rank"
    rule: Literal["joint_rank"] = "joint_rank"
