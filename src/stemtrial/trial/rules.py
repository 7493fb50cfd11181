"""What a protocol says happens to patients along the way: decisions after an event, and loss to follow-up."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Strict, Tag, ValidationInfo, model_validator

from stemtrial.therapy.info import catalogue
from stemtrial.trial.parts import ArmName, Number, Part, check_event, check_therapy, fail
from stemtrial.trial.regimen import Choice, RegimenEntry, Treatment

Share = Annotated[float, Strict(), Field(gt=0, le=1)]
FromMonth = Annotated[float, Strict(), Field(ge=0)]


def _to_tag(to: Any) -> str:
    if isinstance(to, Mapping | Treatment | Choice):
        return "<entry>"
    return "<name>"


Destination = Annotated[Annotated[str, Tag("<name>")] | Annotated[RegimenEntry, Tag("<entry>")], Discriminator(_to_tag)]


class _OfArms(Part):
    """A rule that holds for some arms.

    Parameters
    ----------
    arm, arms : str, tuple of str
        The arm or the arms for which it holds; all of them when both are left out.
    """

    arm: ArmName | None = None
    arms: tuple[ArmName, ...] = ()

    @model_validator(mode="after")
    def _once(self) -> _OfArms:
        if self.arm is not None and self.arms:
            fail(("arms",), f"stands beside arm '{self.arm}'; keep one of the two")
        return self

    def of(self, arms: Sequence[str]) -> tuple[str, ...]:
        """Those of a protocol's arms for which the rule holds."""
        return (self.arm,) if self.arm is not None else self.arms or tuple(arms)

    def named(self) -> list[tuple[tuple[str | int, ...], str]]:
        """Each arm that the rule names, with its path below the rule."""
        if self.arm is not None:
            return [(("arm",), self.arm)]
        return [(("arms", i), name) for i, name in enumerate(self.arms)]


class WhenRule(_OfArms):
    """What happens to a patient with an event, once, at the visit that shows it.

    Parameters
    ----------
    when : str
        ``relapse`` or the id of a time-to-event endpoint.
    action : {"cross_over", "switch", "add", "stop", "withdraw"}
        ``cross_over`` stops what is taken and starts the regimen of another arm; ``switch`` stops it and starts ``to``;
        ``add`` starts ``to`` on top (rescue); ``stop`` stops all therapy, and the patient is followed on;
        ``withdraw`` ends follow-up.
    to : str, Treatment or Choice, optional
        The arm to cross over to, or the therapy to start: its name, or an entry as in a regimen, whose ``day`` counts
        from the decision.
    from_month : float
        The rule acts from this month on; an event shown earlier acts then.
    share : float
        Probability that an eligible patient takes the action, above 0 and at most 1.
    """

    when: str
    action: Literal["cross_over", "switch", "add", "stop", "withdraw"]
    to: Destination | None = None
    from_month: FromMonth = 0.0
    share: Share = 1.0

    @model_validator(mode="after")
    def _names_are_known(self, info: ValidationInfo) -> WhenRule:
        check_event(self.when, info, ("when",))
        if self.action in ("withdraw", "stop"):
            if self.to is not None:
                fail(("to",), f"means nothing with action {self.action}; remove it")
        elif self.to is None:
            what = "the arm" if self.action == "cross_over" else "the therapy"
            fail(("to",), f"is missing; action {self.action} needs {what} to go to")
        elif self.action == "cross_over":
            if not isinstance(self.to, str):
                fail(("to",), "must name an arm with action cross_over; use action switch for a therapy")
        elif isinstance(self.to, str):
            check_therapy(self.to, ("to",))
            needed = [key for key, field in catalogue()[self.to].fields.items() if field.required]
            if needed:
                fail(
                    ("to",), f"'{self.to}' needs the field '{needed[0]}'; write {{therapy: {self.to}, {needed[0]}: ..}}"
                )
        elif isinstance(self.to, Choice) and self.to.switch_on is not None:
            fail(("to", "switch_on"), "means nothing in a rule, which acts once; remove it")
        return self

    @property
    def entry(self) -> Treatment | Choice | None:
        """The therapy to start, as an entry of a regimen; ``None`` for a crossover, a stop and a withdrawal."""
        if self.action not in ("switch", "add") or self.to is None:
            return None
        return Treatment.model_validate({"therapy": self.to}) if isinstance(self.to, str) else self.to


class HazardRule(_OfArms):
    """Loss to follow-up, whatever the state of the patient except for ``after`` and ``per_point``.

    Parameters
    ----------
    hazard : {"drop_out"}
        What happens.
    per_year : float
        Hazard, 0 to 10 per patient-year; with ``per_point``, of a patient who is as at entry.
    per_point : float
        Log hazard, 0 to 1, that is added for each point by which the scale of the disease, as rated, is worse than at
        entry (of MS the EDSS, of ALS the ALSFRS-R), and taken away for each by which it is better. The hazard stays the
        same between scheduled visits. 0: it does not depend on how the patient fares.
    after : str, optional
        ``relapse`` or the id of a time-to-event endpoint: the hazard acts from the visit that shows the first such
        event on. From randomisation when left out.
    from_month, to_month : float
        The stretch of follow-up in which it acts: from 0, and to the end when ``to_month`` is left out.
    """

    hazard: Literal["drop_out"]
    per_year: Annotated[float, Strict(), Field(ge=0, le=10)]
    per_point: Annotated[float, Strict(), Field(ge=0, le=1)] = 0.0
    after: str | None = None
    from_month: FromMonth = 0.0
    to_month: Number | None = None

    @model_validator(mode="after")
    def _in_order(self, info: ValidationInfo) -> HazardRule:
        if self.after is not None:
            check_event(self.after, info, ("after",))
        if self.to_month is not None and self.to_month <= self.from_month:
            fail(("to_month",), f"{self.to_month:g} is not after from_month {self.from_month:g}; put them in order")
        if self.per_point and self.after is not None:
            fail(("per_point",), "does not go with 'after', since an event is no score; write two rules")
        if self.per_point and not self.per_year:
            fail(("per_point",), "means nothing with per_year 0, which it multiplies; give both, or remove it")
        return self


def _rule_tag(rule: Any) -> str:
    keys: Collection[str] = rule if isinstance(rule, Mapping) else dir(rule)
    return "<hazard>" if "hazard" in keys or "per_year" in keys else "<when>"


RuleEntry = Annotated[
    Annotated[WhenRule, Tag("<when>")] | Annotated[HazardRule, Tag("<hazard>")], Discriminator(_rule_tag)
]
