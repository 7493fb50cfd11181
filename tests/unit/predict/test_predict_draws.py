"""Predictions over draws: each replicate has its draw, alone and among many; the spread says what is in it."""

from __future__ import annotations

import functools
import json

import numpy as np
import pytest

from stemtrial.parameters import (
    OTHER_PARAMETERS,
    draws_with,
    from_normal,
    point_draw,
    posterior,
    shipped,
    write_posterior,
)
from stemtrial.predict.run import Settings, predict, run_id_of
from stemtrial.trial.protocol import load_protocol

NAMES = ("ms.kM", "ms.sig_u", "cohort.m_sd")
SIZE = {"replicates": 12, "patients": 30, "seed": 5}


@pytest.fixture(scope="module")
def plan():
    return load_protocol("mist")


@pytest.fixture(scope="module")
def draws():
    values = from_normal(NAMES, np.random.default_rng(4).normal(size=(3, len(NAMES))))
    return draws_with(NAMES, values, "three", {"date": "2026-01-01"})


@pytest.fixture(scope="module")
def many(plan, draws, tmp_path_factory, everything):
    return predict(plan, Settings(**SIZE), draws, folder=tmp_path_factory.mktemp("many") / "r")


def _among(look, draws, k, protocol, kernel, alone, draw, **options):
    assert (len(alone), draw) == (1, 0)
    return look(protocol, kernel, draws, k, **options | {"over": len(draws), "keep": False})


def values_of(p):
    t = p.tables["estimates"]
    return t["value"].reshape(-1, p.run["replicates"])


@pytest.mark.parametrize("options", [{"threads": 3}, {"chunk": 1}, {"chunk": 2, "threads": 4}], ids=str)
def test_the_digest_does_not_depend_on_threads_and_chunks(plan, draws, many, tmp_path, options):
    other = predict(plan, Settings(**SIZE, **options), draws, folder=tmp_path / "r")
    assert other.run["digest"] == many.run["digest"]
    assert json.dumps(other.estimates) == json.dumps(many.estimates)
    counted = ("distinct_recruits", "screened", "recruit_warning")
    assert {k: other.run[k] for k in counted} == {k: many.run[k] for k in counted}


def test_replicate_k_has_draw_k_mod_n_alone_and_among_many(plan, draws, many, tmp_path, monkeypatch):
    """Each draw by itself, with the recruits that it had beside the others, gives its own replicates."""
    from stemtrial.predict import run as room

    look = room.recruit_for
    for k in range(3):
        among = functools.partial(_among, look, draws, k)
        monkeypatch.setattr(room, "recruit_for", among)
        alone = values_of(predict(plan, Settings(**SIZE), draws.one(k), folder=tmp_path / str(k)))
        np.testing.assert_array_equal(alone[:, k::3], values_of(many)[:, k::3])
        assert not np.array_equal(alone[:, (k + 1) % 3 :: 3], values_of(many)[:, (k + 1) % 3 :: 3])


def test_a_run_says_what_it_went_over(many, draws):
    run = many.run
    assert (run["draws"], run["draws_label"]) == (3, "three")
    assert run["interval"].endswith("+parameters")
    assert run["provenance"]["draws"] == draws.identity
    assert run["provenance"]["posterior date"] == "2026-01-01"
    assert "point_parameters" not in run["labels"]
    for row in many.estimates:
        assert row["n_draws"] == 3
        assert row["sd"] is None or set(row["sd"]) == {"sampling", "trial_effects", "parameters"}
    told = [r["sd"] for r in many.estimates if r["sd"]]
    assert len(told) > 10
    assert all(s["parameters"] is not None and s["sampling"] >= 0 for s in told)


def test_one_value_of_each_parameter_is_labelled(plan, tmp_path):
    run = predict(plan, Settings(replicates=4, patients=20, point=True), folder=tmp_path / "r")
    assert "point_parameters" in run.run["labels"]
    assert all(r["sd"]["parameters"] is None for r in run.estimates if r["sd"])


def test_the_posterior_is_the_default_and_an_old_one_is_labelled(plan, draws, tmp_path, monkeypatch):
    monkeypatch.setattr(shipped, "FOLDER", tmp_path)
    s = Settings(replicates=8, patients=20)
    without = run_id_of(plan, s)
    columns = [draws.names.index(n) for n in NAMES]
    write_posterior(tmp_path, NAMES, draws.values[:, columns], {"label": "p", "date": "d", "parameters": "old"})
    assert run_id_of(plan, s) == run_id_of(plan, s, posterior(2)) != without
    assert run_id_of(plan, Settings(replicates=8, patients=20, draws=3)) == run_id_of(plan, s, posterior())
    assert (
        run_id_of(plan, Settings(replicates=8, patients=20, point=True)) == without == run_id_of(plan, s, point_draw())
    )
    p = predict(plan, s, folder=tmp_path / "r")
    assert p.run["draws"] == 2
    assert p.run["provenance"]["posterior label"] == "p"
    assert OTHER_PARAMETERS in p.run["labels"]
    assert all(OTHER_PARAMETERS in r["labels"] for r in p.estimates)


def test_recruits_of_a_draw_are_let_go_after_its_last_chunk(plan, draws, tmp_path, monkeypatch):
    from stemtrial.predict import recruited

    held = []

    class Watched(recruited.Recruiting):
        def done(self, draw):
            super().done(draw)
            held.append(len(self._held))

    monkeypatch.setattr("stemtrial.predict.run.Recruiting", Watched)
    predict(plan, Settings(**SIZE, chunk=2), draws, folder=tmp_path / "r")
    assert len(held) == 6
    assert max(held) <= 1
    assert held[-1] == 0


def test_a_run_over_draws_that_was_stopped_goes_on(plan, draws, many, tmp_path, monkeypatch):
    from stemtrial.predict import run as room

    conduct, done = room.conduct, []

    def stopped(*args, **options):
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(1)
        return conduct(*args, **options)

    monkeypatch.setattr(room, "conduct", stopped)
    with pytest.raises(KeyboardInterrupt):
        predict(plan, Settings(**SIZE), draws, folder=tmp_path / "r")
    assert len(list((tmp_path / "r" / "chunks").glob("*.npz"))) == 2
    monkeypatch.setattr(room, "conduct", conduct)
    again = predict(plan, Settings(**SIZE), draws, folder=tmp_path / "r")
    assert again.run["digest"] == many.run["digest"]
    assert again.run["distinct_recruits"] == many.run["distinct_recruits"]
