"""From fitted blocks to draws: what is joined, what is drawn from priors, what ships."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from fabricated import MEMBERS, fitted_block, fitted_blocks

from stemtrial.calibrate.blocks import blocks
from stemtrial.calibrate.fit import Settings
from stemtrial.calibrate.forward import SPREAD_OVER
from stemtrial.calibrate.posterior import assemble, chains, columns, from_priors, ship, widenings
from stemtrial.calibrate.widening import Widening
from stemtrial.errors import InputError
from stemtrial.parameters import draws_with, registry, to_normal
from stemtrial.therapy import FAMILIES


@pytest.fixture(scope="module")
def fitted():
    return fitted_blocks()


@pytest.fixture(scope="module")
def table(fitted):
    names, values = assemble(fitted, 200, seed=3)
    return names, values


def test_a_disease_ends_in_the_block_that_nothing_comes_after(fitted):
    assert [[f.block.title for f in c] for c in chains(fitted)] == [
        [blocks()[n].title for n in ("ms", "ahsct", "cells")], [blocks()["als"].title]
    ]  # fmt: skip


def test_a_block_without_the_one_before_is_refused(fitted):
    with pytest.raises(InputError, match="comes after 'ahsct'"):
        assemble({"cells": fitted["cells"]})
    other = dataclasses.replace(fitted["cells"], block=fitted["cells"].block.model_copy(update={"after": "ms"}))
    with pytest.raises(InputError, match="two blocks end the chain of ms"):
        assemble({**fitted, "other": other})
    with pytest.raises(InputError, match="no block"):
        assemble({})


def test_columns_are_all_free_parameters_the_sds_and_the_priors(fitted, table):
    found = columns(fitted)
    free = {n for b in blocks().values() for n in b.names}
    sds = {n for n in registry() if n.startswith("trial.effect_sd.")}
    assert set(found.fitted) == free | sds
    assert table[0] == found.names
    assert len(set(found.names)) == len(found.names)
    assert not set(found.fixed) & set(found.names)


def test_every_row_is_one_member_of_all_blocks_of_a_disease(fitted, table):
    names, values = table
    at = {n: k for k, n in enumerate(names)}
    last = fitted["cells"]
    for row in values[:20]:
        mine = [n for b in ("ms", "ahsct", "cells") for n in fitted[b].block.names]
        ensemble = last.ensemble.values[:, [last.ensemble.names.index(n) for n in mine]]
        assert (ensemble == row[[at[n] for n in mine]]).all(axis=1).sum() == 1
    sds = [at[n] for n in last.effects]
    factor = widenings(fitted, 3)["ms"].factor
    assert {tuple(r) for r in values[:, sds]} <= {tuple(factor * r) for r in last.sds.draws}


def test_effects_are_widened_and_nothing_else(fitted, table):
    names, values = table
    wide = {d: Widening(2.0, 10, 1.5, 1.0) for d in ("ms", "als")}
    got = assemble(fitted, 200, 3, wide)[1]
    plain = assemble(fitted, 200, 3, {d: dataclasses.replace(w, factor=1.0) for d, w in wide.items()})[1]
    is_sd = np.array([n.startswith("trial.effect_sd.") for n in names])
    assert np.array_equal(got[:, is_sd], 2.0 * plain[:, is_sd])
    assert np.array_equal(got[:, ~is_sd], values[:, ~is_sd])


def test_a_later_block_keeps_what_the_earlier_one_fitted(fitted):
    before, after = fitted["ms"].ensemble, fitted["cells"].ensemble
    at = [before.names.index(n) for n in fitted["ms"].block.names]
    assert np.array_equal(before.values[:, at], after.values[:, at])


def test_every_member_stands_once_before_any_twice(table):
    names, values = table
    one = values[:, names.index("ms.lam0")]
    for start in range(0, 180, MEMBERS):
        assert len(set(one[start : start + MEMBERS])) == MEMBERS
    other = values[:, names.index("als.a")]
    assert [list(one[:MEMBERS]).index(x) for x in sorted(one[:MEMBERS])] != [
        list(other[:MEMBERS]).index(x) for x in sorted(other[:MEMBERS])
    ]


def test_fewer_draws_are_the_first_of_more(fitted, table):
    names, values = assemble(fitted, 30, seed=3)
    assert names == table[0]
    assert np.array_equal(values, table[1][:30])
    assert not np.array_equal(assemble(fitted, 30, seed=4)[1], values)
    with pytest.raises(InputError, match="0 draws"):
        assemble(fitted, 0)


def test_what_was_not_fitted_of_a_therapy_follows_its_prior(fitted):
    names = [n for n in columns(fitted).at_prior if registry()[n].unit not in ("share", "probability")]
    z = to_normal(names, from_priors(names, 4000, 1))
    assert np.abs(z.mean(axis=0)).max() < 5 / np.sqrt(4000)
    assert np.abs(z.var(axis=0) - 1).max() < 0.15


def test_no_such_effect_stays_none_and_weights_and_the_disease_stay(fitted):
    found, known = columns(fitted), registry()
    assert "drugs.fingolimod.activation" in found.fixed
    assert known["drugs.fingolimod.activation"].value == 0
    assert "drugs.laquinimod.enhancement" in found.fixed
    weights = {w for f in FAMILIES.values() for w in f.hypothesis.values()} | {"msc.prior_weight"}
    assert not weights & set(found.names)
    owners = {n.partition(".")[0] for n in found.at_prior}
    assert not owners & {"ms", "als", "cohort", "instruments", "trial"}
    assert {"drugs", "ahsct", "nsc", "opc", "graft", "treg", "als_drugs"} <= owners


def test_shares_stay_shares_and_the_optimistic_hypothesis_the_greater(fitted):
    names = columns(fitted).at_prior
    values, known = from_priors(names, 4000, 2), registry()
    for k, name in enumerate(names):
        if known[name].unit in ("share", "probability") or known[name].prior["dist"] == "beta":
            assert ((values[:, k] >= 0) & (values[:, k] <= 1)).all(), name
    tops = [n for n in names if n.endswith(".optimistic") and n.replace("optimistic", "sceptical") in names]
    assert len(tops) >= 5
    for n in tops:
        low, high = (values[:, names.index(x)] for x in (n.replace("optimistic", "sceptical"), n))
        assert (low < high).mean() > 0.999, n


def test_a_stream_is_a_parameters_own(fitted):
    names = list(columns(fitted).at_prior)
    forth, back = from_priors(names, 5, 1), from_priors(names[::-1], 5, 1)
    assert np.array_equal(forth, back[:, ::-1])


def test_what_ships_tells_where_it_comes_from(fitted, tmp_path):
    draws = ship(fitted, tmp_path, Settings(seed=5, passes=1), 40, "2025-01-31")
    told = json.loads((tmp_path / "posterior.json").read_text())
    assert len(draws) == told["draws"] == 40
    assert told["label"].startswith("posterior-2025-01-31-")
    assert len(told["label"].rpartition("-")[2]) == 8
    assert told["blocks"]["ms"]["members"] == MEMBERS
    assert told["blocks"]["ms"]["passes"] == 1
    assert told["blocks"]["ahsct"]["after"] == "ms"
    assert told["blocks"]["cells"]["free"] == list(blocks()["cells"].names)
    assert set(told["effects_widened"]) == {"ms", "als"}
    assert set(told["software"]) == {"python", "stemtrial", "numpy", "scipy", "numba"}
    header = (tmp_path / "posterior.csv").read_text().partition("\n")[0]
    assert [*told["fitted"], *told["at_prior"]] == header.split(",")
    again = ship(fitted, tmp_path / "again", Settings(seed=5, passes=1), 40, "2025-01-31")
    assert again.identity == draws.identity
    assert again.label == draws.label
    changed = {**fitted, "als": fitted_block("als", members=50)}
    assert ship(changed, tmp_path / "other", Settings(seed=5, passes=1), 40, "2025-01-31").label != draws.label


@pytest.mark.parametrize("name", ["mist", "petrou-2020", "ipsc-opc-first-in-human", "allegro", "baloh-2022", "centaur"])
def test_drawn_rows_can_be_lived(name, table, everything, everything_als):
    """Whatever is drawn can be recruited under and conducted, without a patient that leaves the finite numbers."""
    from stemtrial.predict.run import scaled
    from stemtrial.trial.conduct import conduct
    from stemtrial.trial.protocol import load_protocol
    from stemtrial.trial.recruiting import recruit_for

    draws, protocol = draws_with(*table), scaled(load_protocol(name), 8)
    kernel = everything if protocol.disease == "ms" else everything_als
    for row in range(2):
        people = recruit_for(protocol, kernel, draws, row, over=SPREAD_OVER, keep=False)
        assert conduct(protocol, people, kernel, draws[row], 1, replicates=range(2)).failed == 0
