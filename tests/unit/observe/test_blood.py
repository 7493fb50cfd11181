"""Blood counts: norms, errors, what reads steady without a therapy, and one stream an instrument."""

from __future__ import annotations

import numpy as np
import pytest

from stemtrial.errors import InputError
from stemtrial.observe import View, instruments, measure
from stemtrial.observe.blood import BLOOD, STEADY, blood_count
from stemtrial.observe.parameters import declared

N = 4000
QUIET = {f"{k}.{name}": 0.0 for k in ("blood_person_sd_log", "blood_sd_log") for name in BLOOD}


def view(day=0, n=N, **observed):
    seen = {k: np.full(n, float(v)) for k, v in observed.items()}
    return View(
        5, np.arange(n, dtype=np.uint64), np.full(n, day), seen, {},
        {"edss": np.full(n, 3.0), "fs": np.zeros((n, 7), np.int8)},
    )  # fmt: skip


def test_every_count_is_registered_with_a_norm_and_errors():
    for name in BLOOD:
        row = instruments()[name]
        assert row.table == "visits"
        assert row.low == 0
        assert declared()[f"blood_norm.{name}"] > 0
        assert 0.15 <= declared()[f"blood_sd_log.{name}"] <= 0.3


@pytest.mark.parametrize("name", BLOOD)
def test_a_count_is_its_norm_times_the_cells(name):
    norm = declared()[f"blood_norm.{name}"]
    for cells in (0.0, 0.3, 1.0, 1.6):
        read = measure(view(**{BLOOD[name]: cells}), [name], QUIET)[name]
        np.testing.assert_allclose(read, norm * cells, rtol=1e-12)


@pytest.mark.parametrize("name", BLOOD)
def test_counts_read_their_norm_where_nothing_moves_the_cells(name):
    read = measure(view(), [name], QUIET)[name]
    np.testing.assert_allclose(read, declared()[f"blood_norm.{name}"] * STEADY.get(name, 1.0))


@pytest.mark.parametrize("name", BLOOD)
def test_the_error_is_the_persons_and_the_days(name):
    p = declared()
    first = np.log(measure(view(0, **{BLOOD[name]: 1.0}), [name])[name])
    again = np.log(measure(view(90, **{BLOOD[name]: 1.0}), [name], {f"missing_share.{name}": 0.0})[name])
    person, day = p[f"blood_person_sd_log.{name}"], p[f"blood_sd_log.{name}"]
    assert first.std() == pytest.approx(np.hypot(person, day), rel=0.06)
    assert (again - first).std() == pytest.approx(day * np.sqrt(2), rel=0.06)


def test_one_instrument_more_changes_no_other():
    seen = {BLOOD[n]: 0.5 for n in BLOOD}
    alone = measure(view(30, **seen), ["nk_per_ul"])["nk_per_ul"]
    beside = measure(view(30, **seen), [*BLOOD])["nk_per_ul"]
    np.testing.assert_array_equal(alone, beside)


def test_what_cannot_be_is_refused():
    with pytest.raises(InputError, match="naive_cd4 must be >= 0"):
        blood_count("cd4_naive_per_ul", [-0.1], [0.0])
    with pytest.raises(InputError, match="'nk_per_u' is not known; did you mean 'nk_per_ul'"):
        blood_count("nk_per_u", [1.0], [0.0])
