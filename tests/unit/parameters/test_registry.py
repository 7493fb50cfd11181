"""The register of numbers: complete, sourced, refused when malformed; draws as a table over it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from stemtrial.errors import InputError
from stemtrial.parameters import Draws, point_draw, registry
from stemtrial.parameters.register import _numbers

GOOD = {"value": 1.0, "unit": "1", "meaning": "m", "source": "assumed"}


def test_every_number_is_finite_and_says_what_it_is():
    known = registry()
    assert len(known) > 150
    for name, p in known.items():
        assert p.name == name
        assert math.isfinite(p.value), name
        assert p.unit.strip(), name
        assert len(p.meaning) > 5, name
        assert len(p.source) > 3, name


def test_no_number_is_both_assumed_and_given_a_source_of_its_own():
    assert registry()["ahsct.mobilisation_days"].assumed
    assert registry()["drugs.onset.glatiramer"].assumed, "wherever the source says so"
    assert not registry()["ms.tauG"].assumed


SPELLINGS = {("normal", ("sd",)), ("lognormal", ("sd",)), ("beta", ("sd",)), ("fixed", ())}
"""One spelling a distribution; ``mean`` is added only where the prior is not centred on the point value."""


def spellings():
    return {(p.prior["dist"], tuple(sorted(set(p.prior) - {"dist", "mean"}))) for p in registry().values() if p.prior}


def test_priors_have_a_known_shape_and_a_positive_spread():
    assert spellings() <= SPELLINGS
    for name, p in registry().items():
        assert all(float(v) > 0 for k, v in p.prior.items() if k.startswith("sd")), name
        centre = p.prior.get("mean", p.value)
        # the bias of open raters is off at the point value, and has its prior for trials that need it
        assert float(centre) == pytest.approx(p.value) or name == "instruments.rater_beta_open", name


def test_priors_are_spelt_in_one_way():
    kinds = [dist for dist, _ in spellings()]
    assert len(kinds) == len(set(kinds))


def test_every_parameter_that_the_model_reads_is_registered(everything):
    missing = set(everything.model.parameters) - set(registry())
    assert not missing


def test_shares_sum_to_one():
    known = registry()
    for group in ("ms.topography", "cohort.first_site"):
        assert sum(p.value for n, p in known.items() if n.startswith(group + ".")) == pytest.approx(1)


def test_values_by_name_become_one_number_each():
    entry = GOOD | {"value": {"low": 1, "high": 2.5}}
    low, high = _numbers("a.b", entry, "file")
    assert (low.name, low.value, high.name, high.value) == ("a.b.low", 1.0, "a.b.high", 2.5)
    assert "low" in low.meaning


@pytest.mark.parametrize("key", ["value", "unit", "meaning", "source"])
def test_a_missing_key_is_refused(key):
    with pytest.raises(InputError, match=f"a.yaml: a.b: '{key}' is missing"):
        _numbers("a.b", {k: v for k, v in GOOD.items() if k != key}, "a.yaml")


def test_an_unknown_key_is_refused_with_a_suggestion():
    with pytest.raises(InputError, match=r"unknown key 'sources'; did you mean 'source'\?"):
        _numbers("a.b", GOOD | {"sources": "x"}, "a.yaml")


def test_the_point_draw_holds_every_number_and_takes_changes():
    d = point_draw({"ms.tauG": 40.0})
    assert len(d) == 1
    assert d.label == "point"
    assert d[0] == {n: p.value for n, p in registry().items()} | {"ms.tauG": 40.0}
    assert d[7] == d[0]


def test_changing_an_unknown_number_is_refused():
    with pytest.raises(InputError, match=r"parameter 'ms.lam00' is not registered; did you mean .*'ms.lam0'"):
        point_draw({"ms.lam00": 1.0})


def test_identity_goes_by_values():
    assert point_draw().identity == point_draw().identity
    assert point_draw().identity != point_draw({"ms.tauG": 32.000001}).identity


def test_draws_repeat_in_a_circle():
    d = Draws("posterior", ("a", "b"), np.array([[1.0, 2.0], [3.0, 4.0]]))
    assert [d[k]["a"] for k in range(5)] == [1, 3, 1, 3, 1]
