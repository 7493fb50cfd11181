"""What a valid protocol asks for that cannot be computed; agreement at the published size only; published baselines."""

from __future__ import annotations

import numpy as np
import pytest

from stemtrial.cohort.eligibility import Eligibility
from stemtrial.cohort.recruit import Care, clinic_of, recruit
from stemtrial.cohort.variables import VARIABLES
from stemtrial.endpoint import definitions
from stemtrial.errors import InputError
from stemtrial.evidence import study
from stemtrial.parameters import point_draw
from stemtrial.predict import Settings, obstacles, predict
from stemtrial.predict.estimate import STATISTICS, rows_of
from stemtrial.predict.obstacles import ESTIMATORS, estimators_of
from stemtrial.predict.summary import summarise
from stemtrial.therapy import compose, family_of
from stemtrial.trial.parts import _AT_TIMES, EndpointUse
from stemtrial.trial.protocol import load_protocol


def test_mist_can_be_run():
    assert list(obstacles(load_protocol("mist"))) == []


@pytest.mark.parametrize(("disease", "course"), [("ms", "rrms"), ("als", "als")])
def test_screening_knows_every_variable_of_its_disease(disease, course):
    clinic = clinic_of(disease)
    kernel = compose(disease, {family_of(t) for t in clinic.care})
    people = recruit(kernel, point_draw(), 0, Care(disease, course, "none", (2006.0, 2014.0)), Eligibility([]), 100)
    known = {name for name, v in VARIABLES.items() if disease in v.diseases and not v.choices}
    assert set(people.screening) >= known | {"entry_year"}
    assert clinic.history <= {name for name, v in VARIABLES.items() if disease in v.diseases}
    assert set(clinic.screened) <= set(people.screening)


def test_every_kind_of_endpoint_has_its_estimators():
    assert {d.kind for d in definitions().values()} <= set(ESTIMATORS)


def asking(protocol, endpoint, estimator):
    """The protocol with one endpoint alone."""
    at = (1.0,) if estimator in _AT_TIMES else ()
    use = EndpointUse.model_construct(id=endpoint, estimator=estimator, at_years=at, predicts=())
    only = protocol.endpoints.model_copy(update={"primary": use, "secondary": ()})
    return protocol.model_copy(update={"endpoints": only})


@pytest.mark.parametrize("endpoint", definitions())
def test_an_estimator_fits_or_is_refused(endpoint):
    mist, fits = load_protocol("mist"), estimators_of(definitions()[endpoint])
    for estimator in STATISTICS:
        found = [loc for loc, _ in obstacles(asking(mist, endpoint, estimator))]
        assert found == ([] if estimator in fits else [("endpoints", "primary", "estimator")]), estimator


@pytest.mark.parametrize("estimator", STATISTICS)
def test_what_does_not_fit_is_not_run(estimator, tmp_path):
    endpoint = next(k for k, d in definitions().items() if estimator not in estimators_of(d))
    with pytest.raises(InputError, match=r"endpoints\.primary\.estimator: .* does not fit"):
        predict(asking(load_protocol("mist"), endpoint, estimator), Settings(replicates=1), folder=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_values_are_scored_at_the_published_size_only():
    p, s = load_protocol("mist"), study("burt2019_mist")
    rows = rows_of(p, s)
    values = np.tile(np.linspace(0.0, 1.0, 9), (len(rows), 1))
    scored = summarise(rows, values, s, n_draws=1, labels=[])
    other = summarise(rows, values, s, n_draws=1, labels=[], scored=False)
    assert {e["agrees"] for e in scored} == {True, False, None}
    assert {e["agrees"] for e in other} == {None}
    assert [e | {"agrees": None, "z": None} for e in scored] == other


def test_chunk_size_changes_nothing(tmp_path):
    p = load_protocol("mist")
    digests = {
        predict(p, Settings(replicates=4, patients=10, chunk=chunk), folder=tmp_path / str(chunk)).run["digest"]
        for chunk in (None, 1, 3)
    }
    assert len(digests) == 1
