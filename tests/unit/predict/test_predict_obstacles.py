"""What a valid protocol asks for that cannot be computed; agreement at the published size only; published baselines."""

from __future__ import annotations

import numpy as np
import pytest

from stemtrial.cohort.recruit import HISTORY, recruit
from stemtrial.endpoint import definitions
from stemtrial.errors import InputError
from stemtrial.evidence import study
from stemtrial.parameters import point_draw
from stemtrial.predict import Settings, obstacles, predict
from stemtrial.predict.estimate import STATISTICS, rows_of
from stemtrial.predict.obstacles import ESTIMATORS, EXAMINED, estimators_of
from stemtrial.predict.summary import summarise
from stemtrial.therapy import compose
from stemtrial.trial.entry import families_of
from stemtrial.trial.parts import _AT_TIMES, EndpointUse
from stemtrial.trial.protocol import load_protocol
from stemtrial.trial.recruiting import care_of


def test_mist_can_be_run():
    assert list(obstacles(load_protocol("mist"))) == []


def test_screening_measures_what_obstacles_think_it_does():
    p = load_protocol("mist")
    people = recruit(compose("ms", families_of(p)), point_draw(), 0, care_of(p), p.population.criteria, 100)
    assert set(people.screening) | {"course"} == HISTORY | EXAMINED | {"entry_year"}


def test_every_kind_of_endpoint_has_its_estimators():
    assert {d.kind for d in definitions().values()} <= set(ESTIMATORS)


@pytest.mark.parametrize("endpoint", definitions())
@pytest.mark.parametrize("estimator", STATISTICS)
def test_an_estimator_fits_or_is_refused(endpoint, estimator, tmp_path):
    p = load_protocol("mist")
    at = (1.0,) if estimator in _AT_TIMES else ()
    use = EndpointUse.model_construct(id=endpoint, estimator=estimator, at_years=at, predicts=())
    p = p.model_copy(update={"endpoints": p.endpoints.model_copy(update={"primary": use, "secondary": ()})})
    found = list(obstacles(p))
    if estimator in estimators_of(definitions()[endpoint]):
        assert found == []
    else:
        assert [loc for loc, _ in found] == [("endpoints", "primary", "estimator")]
        with pytest.raises(InputError, match=r"endpoints\.primary\.estimator: .* does not fit"):
            predict(p, Settings(replicates=1), folder=tmp_path / "run")
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
