"""A prediction beside the study that it reproduces: what missed, what agreed, what could not be scored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from stemtrial.errors import InputError, did_you_mean
from stemtrial.evidence import studies
from stemtrial.predict.run import Prediction
from stemtrial.trial.protocol import load_protocol, protocol_names

Rows = tuple[dict[str, Any], ...]


@dataclass(frozen=True)
class Comparison:
    """Rows of ``estimates.json``, sorted by what their study says of them; each row stands in one group.

    Attributes
    ----------
    study : str or None
        Id of the study.
    misses, agreements : tuple of rows
        The verified published value lies outside, inside the 90 % interval.
    unscored : tuple of rows
        A published outcome is predicted, but its value is recalled, sealed or absent, or the run is of another size.
    unpublished : tuple of rows
        Nothing was published.
    not_predicted : tuple of dict
        ``outcome_id, reason``: published outcomes that no estimate predicts.
    """

    study: str | None
    misses: Rows
    agreements: Rows
    unscored: Rows
    unpublished: Rows
    not_predicted: Rows

    @property
    def predicted(self) -> int:
        """Published outcomes with a prediction."""
        return len(self.misses) + len(self.agreements) + len(self.unscored)

    @property
    def published(self) -> int:
        """Outcomes of the study."""
        return self.predicted + len(self.not_predicted)


def compare(prediction: Prediction) -> Comparison:
    """Set a prediction beside the study that its protocol reproduces.

    Parameters
    ----------
    prediction : Prediction
        Of a protocol with ``reproduces``; without it every row is ``unpublished``.
    """
    tied = [e for e in prediction.estimates if e["outcome_id"]]
    return Comparison(
        study=prediction.run["reproduces"],
        misses=tuple(e for e in tied if e["agrees"] is False),
        agreements=tuple(e for e in tied if e["agrees"] is True),
        unscored=tuple(e for e in tied if e["agrees"] is None),
        unpublished=tuple(e for e in prediction.estimates if not e["outcome_id"]),
        not_predicted=tuple(prediction.page["not_predicted"]),
    )


def protocols_of(study_id: str) -> tuple[str, ...]:
    """Names of the packaged protocols that reproduce a study: the whole of it first, then its parts.

    Two trials that were published together (OPERA I and II) have a protocol each and one for both.

    Raises
    ------
    InputError
        If the study is unknown, or no protocol reproduces it.
    """
    found = reproductions()
    if study_id in found:
        return found[study_id]
    if study_id not in studies():
        raise InputError(f"study '{study_id}' is not known{did_you_mean(study_id, studies())}")
    known = ", ".join(f"{s} ({names[0]})" for s, names in found.items())
    raise InputError(f"no protocol reproduces '{study_id}' yet; studies with a protocol: {known}")


def protocol_of(study_id: str) -> str:
    """Name of the packaged protocol that reproduces a study; of several, the one for the whole of it.

    Raises
    ------
    InputError
        As :func:`protocols_of`.
    """
    return protocols_of(study_id)[0]


def reproductions() -> dict[str, tuple[str, ...]]:
    """Study -> names of its packaged protocols, shortest name first; a protocol that cannot be read has none."""
    found: dict[str, list[str]] = {}
    for name in sorted(protocol_names(), key=lambda n: (len(n), n)):
        try:
            reproduced = load_protocol(name).reproduces
        except InputError:  # says its fault when it is asked for
            continue
        if reproduced:
            found.setdefault(reproduced, []).append(name)
    return {s: tuple(names) for s, names in found.items()}
