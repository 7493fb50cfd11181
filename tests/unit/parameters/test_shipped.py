"""The posterior that ships: written and read, its first draws, and what is refused or labelled."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from stemtrial.errors import InputError
from stemtrial.parameters import (
    OTHER_PARAMETERS,
    POINT,
    default_draws,
    draws_with,
    parameters_identity,
    point_draw,
    posterior,
    shipped,
    to_normal,
    write_posterior,
)

NAMES = ("ms.kM", "ms.nuF", "als.alpha")
VALUES = np.random.default_rng(1).normal(1, 0.1, size=(12, 3))
PROVENANCE = {"label": "test-posterior", "date": "2026-01-02", "seed": 7}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A package with a posterior."""
    monkeypatch.setattr(shipped, "FOLDER", tmp_path)
    write_posterior(tmp_path, NAMES, VALUES, PROVENANCE)
    return tmp_path


def columns(draws):
    return draws.values[:, [draws.names.index(n) for n in NAMES]]


def test_draws_with_changes_some_columns_and_leaves_the_point_values():
    d, point = draws_with(NAMES, VALUES, "mine", {"date": "x"}), point_draw()
    assert (d.label, len(d), d.provenance) == ("mine", 12, {"date": "x"})
    np.testing.assert_array_equal(columns(d), VALUES)
    for k in (0, 11, 12):
        assert d[k] == point[0] | dict(zip(NAMES, VALUES[k % 12].tolist(), strict=True))


@pytest.mark.parametrize(
    ("names", "values", "words"),
    [
        (("ms.kMM",), [[1.0]], "did you mean 'ms.kM'"),
        (("ms.kM", "ms.kM"), [[1.0, 1.0]], "'ms.kM' has two columns"),
        (("ms.kM",), [[1.0, 2.0]], r"draws of shape \(1, 2\) do not fit 1 names"),
        (("ms.kM",), np.zeros((0, 1)), "do not fit"),
        (("ms.kM",), [[np.nan]], "'ms.kM' has a draw that is not finite"),
    ],
)
def test_draws_that_cannot_be_are_refused(names, values, words):
    with pytest.raises(InputError, match=words):
        draws_with(names, values)


def test_one_draw_is_a_table_with_an_identity_of_its_own():
    d = draws_with(NAMES, VALUES)
    assert d.one(3)[0] == d.one(15)[0] == d[3]
    assert d.one(3).identity == draws_with(NAMES, VALUES[3:4]).identity != d.one(4).identity


def test_what_is_written_is_read_to_seven_digits_in_another_order(folder):
    d = posterior()
    assert d.label == "test-posterior"
    assert {k: d.provenance[k] for k in PROVENANCE} == PROVENANCE
    kept = np.vectorize(lambda x: float(f"{x:.7g}"))(VALUES)
    assert sorted(map(tuple, columns(d))) == sorted(map(tuple, kept))
    assert not np.array_equal(columns(d), VALUES), "the first rows of a chain are no fair sample"
    assert write_posterior(folder, NAMES, VALUES, PROVENANCE).identity == d.identity, "the order is that of the seed"


def test_the_first_draws(folder):
    np.testing.assert_array_equal(posterior(5).values, posterior().values[:5])
    assert posterior(5).identity != posterior().identity
    assert len(posterior(12)) == 12
    for n in (0, 13):
        with pytest.raises(InputError, match=f"--draws {n}: test-posterior has 12 draws; use 1 to 12"):
            posterior(n)


def test_predictions_use_the_posterior_unless_asked_otherwise(folder):
    assert default_draws().identity == posterior().identity
    assert default_draws(3).identity == posterior(3).identity
    assert default_draws(point=True).identity == point_draw().identity
    with pytest.raises(InputError, match="--point and --draws 3 exclude each other"):
        default_draws(3, point=True)


def test_without_a_posterior_the_point_values(tmp_path, monkeypatch):
    monkeypatch.setattr(shipped, "FOLDER", tmp_path)
    assert default_draws().label == "point"
    with pytest.raises(InputError, match="no posterior comes with this package"):
        default_draws(2)


def test_labels(folder):
    assert point_draw().labels == [POINT]
    assert posterior().labels == posterior(1).labels == []
    write_posterior(folder, NAMES, VALUES, PROVENANCE | {"parameters": "0123456789abcdef"})
    assert default_draws().labels == default_draws(1).labels == [OTHER_PARAMETERS]


def test_a_parameter_that_is_no_more_is_left_out_and_labelled(folder):
    table, told = folder / shipped.TABLE, folder / shipped.PROVENANCE
    text = table.read_text().replace("ms.nuF", "ms.gone", 1)
    table.write_text(text)
    old = json.loads(told.read_text()) | {
        "parameters": "of before",
        "table": hashlib.sha256(text.encode()).hexdigest(),
    }
    told.write_text(json.dumps(old))
    shipped._read.cache_clear()
    d = posterior()
    assert d[0]["ms.nuF"] == point_draw()[0]["ms.nuF"]
    assert d.labels == [OTHER_PARAMETERS]


def test_a_table_that_its_provenance_does_not_describe_is_refused(folder):
    table = folder / shipped.TABLE
    table.write_text(table.read_text().replace("1.0", "1.1", 1))
    shipped._read.cache_clear()
    with pytest.raises(InputError, match=r"posterior.csv is not the table that posterior.json describes"):
        posterior()


def test_a_posterior_without_a_name_is_refused(tmp_path):
    with pytest.raises(InputError, match="without 'label'"):
        write_posterior(tmp_path, NAMES, VALUES, {})
    assert not list(tmp_path.iterdir())


def test_the_identity_of_the_parameters_is_of_values_and_priors(monkeypatch):
    from stemtrial.parameters import Parameter, register

    now = parameters_identity()
    known = dict(register.registry())
    p = known["ms.kM"]
    for change in ({"value": 0.07}, {"prior": {"dist": "normal", "sd": 0.02}}, {"source": "another"}):
        other = Parameter(**{**p.__dict__, **change})
        monkeypatch.setattr(register, "registry", lambda other=other: known | {"ms.kM": other})
        assert (parameters_identity() == now) == ("source" in change)


def test_the_posterior_of_the_package_says_where_it_comes_from():
    """Where one lies beside the code, it is whole, and its rows are of parameters that can be drawn."""
    root = Path(shipped.__file__).parent
    if not (root / shipped.TABLE).exists():
        pytest.skip("no posterior is shipped yet")
    d = shipped._read(root)
    assert {"label", "date", "seed", "parameters"} <= set(d.provenance)
    varied = [n for k, n in enumerate(d.names) if np.ptp(d.values[:, k]) > 0]
    assert len(d) > 20
    assert varied
    assert np.isfinite(to_normal(varied, d.values[:, [d.names.index(n) for n in varied]])).all()
