"""A run: one digest however computed, killed and resumed; one run a folder; files that say what they hold."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import numpy as np
import pytest

from stemtrial.errors import InputError
from stemtrial.evidence import study
from stemtrial.parameters import Draws, point_draw
from stemtrial.predict.rows import rows_of
from stemtrial.predict.run import Settings, as_json, predict
from stemtrial.trial.protocol import load_protocol

BASE = {"replicates": 9, "patients": 30, "seed": 5}
ALS = """
protocol: small-als
title: Cells, needles and a drug against their sham in ALS
disease: als
population: {course: als, care_before_entry: riluzole, eligibility: [symptom_months <= 36, svc_pct >= 50],
             resemble: {alsfrs_r: {mean: 37.0}}}
accrual: {start: 2014-01, end: 2015-12, closure: 2018-12}
randomisation: {ratio: {cells: 1, needles: 1, support: 1, calm: 1, drug: 1, sham: 1}, block_sizes: [6, 12]}
blinding: {patient: open, rater: open}
arms:
  cells: {n: 10, regimen: [{therapy: msc, product: bone-marrow-autologous, route: intrathecal, dose_1e6: 60}]}
  needles: {n: 10, regimen: [{therapy: nsc, product: foetal-spinal-allogeneic, route: intraspinal, dose_1e6: 8,
                              segments: cervical, immunosuppression: tacrolimus}]}
  support: {n: 10, regimen: [{therapy: astrocytes, dose_1e6: 100}]}
  calm: {n: 10, regimen: [{therapy: treg, dose_1e6_per_kg: 1, courses: 4, every_days: 28}]}
  drug: {n: 10, regimen: [{therapy: edaravone}]}
  sham: {n: 10, regimen: [{therapy: msc, product: bone-marrow-autologous, route: intrathecal, dose_1e6: 0}]}
visits: {weeks: [0, 4, 12, 24, 36, 52], window_days: 5}
rules:
  - {hazard: drop_out, per_year: 0.15}
  - {when: tracheostomy_free_survival, action: withdraw, share: 0.5}
  - {when: time_to_niv, arm: drug, action: switch, to: masitinib}
  - {when: gastrostomy, arm: sham, action: add, to: amx0035}
endpoints:
  primary: {id: alsfrs_r_slope, estimator: random_slope_difference}
  secondary:
    - {id: alsfrs_r_slope, estimator: joint_slope_difference}
    - {id: alsfrs_r_change, estimator: ancova_difference, at_years: [1]}
    - {id: svc_change, estimator: mean, at_years: [1]}
    - {id: cafs, estimator: cafs_probability}
    - {id: cafs, estimator: cafs_mean}
    - {id: responder.nurown, estimator: proportion, at_years: [0.46]}
    - {id: tracheostomy_free_survival, estimator: cox}
    - {id: kings_progression, estimator: kaplan_meier, at_years: [1]}
    - {id: tracheostomy_free_survival, estimator: kaplan_meier, at_years: [1]}
    - {id: time_to_niv, estimator: median_time}
    - {id: headache, estimator: proportion}
"""


@pytest.fixture(scope="module", params=["ms", "als"])
def name(request, tmp_path_factory):
    """A protocol of each disease; that of ALS gives all its families, for which other tests compile a kernel too."""
    if request.param == "ms":
        return "mist"
    path = tmp_path_factory.mktemp("plan") / "small-als.yaml"
    path.write_text(ALS)
    return str(path)


@pytest.fixture(scope="module")
def plan(name):
    return load_protocol(name)


@pytest.fixture(scope="module")
def reference(plan, tmp_path_factory, everything):
    return predict(plan, Settings(**BASE, chunk=4), folder=tmp_path_factory.mktemp("run") / "r")


@pytest.fixture(scope="module")
def run(plan):
    def once(folder, **options):
        return predict(plan, Settings(**(BASE | options)), folder=folder)

    return once


def same_estimates(a, b):
    assert json.dumps(a.estimates) == json.dumps(b.estimates)


@pytest.mark.parametrize(
    "options",
    [
        {"chunk": 4},
        {"threads": 3, "chunk": 4},
        pytest.param({"chunk": 4, "width": 16}, marks=pytest.mark.slow),
        *({"chunk": c} for c in (None, 1, 2, 100)),
    ],
    ids=str,
)
def test_the_digest_does_not_depend_on_how_it_was_computed(run, reference, tmp_path, options):
    other = run(tmp_path / "r", **options)
    assert other.run["digest"] == reference.run["digest"]
    assert other.run["id"] == reference.run["id"]
    same_estimates(other, reference)


@pytest.mark.parametrize("options", [{"seed": 6}, {"replicates": 8}, {"patients": 32}], ids=str)
def test_other_settings_are_another_run(run, reference, tmp_path, options):
    other = run(tmp_path / "r", **options)
    assert other.run["digest"] != reference.run["digest"]
    assert other.run["id"] != reference.run["id"]


def test_more_replicates_keep_the_first_ones(run, reference, tmp_path):
    more = run(tmp_path / "r", replicates=12).tables["estimates"]
    first = more["replicate"] < 9
    for k, v in reference.tables["estimates"].items():
        np.testing.assert_array_equal(more[k][first], v)


def test_keeping_all_tables_changes_no_estimate(run, reference, tmp_path):
    whole = run(tmp_path / "r", keep_all=True, chunk=4)
    same_estimates(whole, reference)
    for name, table in reference.tables.items():
        kept = whole.tables[name]
        keep = slice(None) if name == "estimates" else kept["replicate"] == 0
        for k, v in table.items():
            np.testing.assert_array_equal(kept[k][keep], v)
    assert set(np.unique(whole.tables["patients"]["replicate"])) == set(range(9))
    assert set(np.unique(reference.tables["patients"]["replicate"])) == {0}


def test_a_finished_run_is_read_not_computed(run, reference, tmp_path, monkeypatch):
    folder = tmp_path / "r"
    run(folder, chunk=4)
    monkeypatch.setattr("stemtrial.predict.run.conduct", lambda *a, **k: pytest.fail("computed again"))
    assert run(folder, chunk=4).run["digest"] == reference.run["digest"]


def test_lost_and_damaged_chunks_are_computed_again(run, reference, tmp_path):
    folder = tmp_path / "r"
    run(folder, chunk=4)
    parts = sorted((folder / "chunks").glob("*.npz"))
    assert len(parts) == 3
    parts[0].unlink()
    content = bytearray(parts[1].read_bytes())
    content[len(content) // 2] ^= 16
    parts[1].write_bytes(content)
    parts[2].write_bytes(parts[2].read_bytes()[:-7])
    (folder / "run.json").unlink()
    (folder / "estimates.json").unlink()
    shutil.rmtree(folder / "tables")
    (folder / "chunks" / ".tmp-left").write_bytes(b"x")
    assert run(folder, chunk=4).run["digest"] == reference.run["digest"]


@pytest.mark.parametrize("written", [["tables"], ["tables", "estimates.json"]])
def test_a_run_killed_while_it_writes_resumes(run, reference, tmp_path, written):
    folder = tmp_path / "r"
    run(folder, chunk=4)
    for path in folder.iterdir():
        if path.name not in ("chunks", *written):
            path.unlink() if path.is_file() else shutil.rmtree(path)
    assert run(folder, chunk=4).run["digest"] == reference.run["digest"]


CHILD = """
import sys
from pathlib import Path
from stemtrial.predict.run import Settings, predict
from stemtrial.trial.protocol import load_protocol
predict(load_protocol(sys.argv[2]), Settings(replicates=9, patients=30, seed=5, chunk=1), folder=Path(sys.argv[1]))
"""


def test_a_run_killed_at_any_moment_resumes_to_the_same_digest(run, name, reference, tmp_path):
    folder, rng = tmp_path / "r", np.random.default_rng(8)
    killed_at = []
    for goal in (1, 4):
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
        child = subprocess.Popen([sys.executable, "-c", CHILD, str(folder), name], env=environment)
        until = time.monotonic() + 60
        while len(list(folder.glob("chunks/*.npz"))) < goal and child.poll() is None and time.monotonic() < until:
            time.sleep(0.0005)
        time.sleep(rng.uniform(0, 0.02))
        child.send_signal(signal.SIGKILL)
        child.wait()
        killed_at.append(len(list(folder.glob("chunks/*.json"))))
    unbroken = run(tmp_path / "unbroken", chunk=1)
    assert run(folder, chunk=1).run["digest"] == unbroken.run["digest"]
    assert killed_at[0] < 9, "the first child was killed midway"


# -- the folder -------------------------------------------------------------------------------------------------
def test_a_folder_of_another_run_is_refused_and_left_alone(run, tmp_path, reference):
    folder = tmp_path / "r"
    run(folder)
    before = (folder / "run.json").read_bytes()
    with pytest.raises(InputError, match="holds another run; name another folder, or remove it"):
        run(folder, seed=77)
    assert (folder / "run.json").read_bytes() == before


def test_a_folder_of_something_else_is_refused(run, tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(InputError, match="is not empty and holds no run"):
        run(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]
    with pytest.raises(InputError, match="is a file; name a folder"):
        run(tmp_path / "thesis.tex")


def test_no_replicates_are_refused_and_nothing_is_written(run, tmp_path):
    with pytest.raises(InputError, match="--replicates 0 is not positive"):
        run(tmp_path / "r", replicates=0)
    assert not (tmp_path / "r").exists()


def test_the_folder_holds_what_the_prediction_holds(reference):
    folder = Path(reference.run["folder"])
    assert not list(folder.rglob(".tmp*"))
    told = json.loads((folder / "run.json").read_text())
    assert told["digest"] == reference.run["digest"]
    assert "created" in told
    assert told["failed_patients"] == told["events_overflowed"] == 0
    assert json.loads((folder / "estimates.json").read_text()) == reference.estimates
    for name, table in reference.tables.items():
        frame = duckdb.sql(f"select * from '{folder}/tables/{name}.parquet'").df()
        assert list(frame.columns) == list(table)
        for k, v in table.items():
            np.testing.assert_array_equal(frame[k].to_numpy(), v)
    assert json.loads(json.dumps(as_json(reference), allow_nan=False)).keys() == {
        "run", "estimates", "baseline", "adverse_events", "claims", "beside",
    }  # fmt: skip


def test_the_estimates_summarise_the_table_of_estimates(plan, reference):
    t = reference.tables["estimates"]
    keys = [row.key for row in rows_of(plan, study(plan.reproduces) if plan.reproduces else None)]
    assert len(set(keys)) == len(reference.estimates)
    for key, row in zip(keys, reference.estimates, strict=True):
        assert key.startswith(f"{row['endpoint']}|")
        x = t["value"][t["estimate"] == key]
        assert len(x) == 9
        at_zero = (x == 0).sum() if row["statistic"].endswith("_ratio") else 0  # no event in the treated arm
        assert row["n_not_estimable"] == (~np.isfinite(x)).sum() + at_zero
        if row["n_not_estimable"] == 0:
            assert row["median"] == pytest.approx(np.median(x))


# -- draws ------------------------------------------------------------------------------------------------------
def test_replicates_go_over_the_draws(tmp_path, plan):
    one = point_draw()
    other = np.array(one.values[0])
    changed, factor, measure = {
        "ms": ("ms.lam0", 0.4, "new_t2_lesions|mean|"),
        "als": ("als.h0", 8.0, "tracheostomy_free_survival|km_probability|"),
    }[plan.disease]
    other[one.names.index(changed)] *= factor
    two = Draws("two", one.names, np.stack([one.values[0], other]))
    got = predict(plan, Settings(**BASE, chunk=3), two, folder=tmp_path / "r")
    assert (got.run["draws"], got.run["interval"].split("+")[-1]) == (2, "parameters")
    same = Draws("same", one.names, np.repeat(one.values, 2, axis=0))
    a, b = got.tables["estimates"], predict(plan, Settings(**BASE), same, folder=tmp_path / "q").tables["estimates"]
    even = a["replicate"] % 2 == 0
    np.testing.assert_array_equal(a["value"][even], b["value"][even])  # the first draw is the same
    seen = np.char.startswith(a["estimate"], measure) & ~even
    ratio = np.nanmean(a["value"][seen]) / np.nanmean(b["value"][seen])
    assert ratio < 0.85 if factor < 1 else ratio > 1.2
    again = predict(plan, Settings(**BASE, chunk=3, threads=2), two, folder=tmp_path / "s")
    assert again.run["digest"] == got.run["digest"]
