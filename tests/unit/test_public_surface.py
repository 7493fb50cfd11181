"""``import stemtrial as st``: exactly these names, whatever was imported before."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

import stemtrial as st

CHAIN = ("load_protocol", "recruit", "conduct", "derive", "estimate", "predict", "compare", "report")
STEPS = ("compose", "families_of", "point_draw", "care_of", "rows_of")
TYPES = {
    "Analysed", "Care", "Comparison", "Counts", "Draws", "Events", "InputError", "Kernel", "Prediction", "Protocol",
    "Recruits", "ReportData", "Settings", "Study", "Trial", "Values",
}  # fmt: skip
REGISTRIES = ("diseases", "therapies", "instruments", "endpoints", "protocols", "studies")


def test_the_list_is_exactly_this():
    assert set(st.__all__) == {*CHAIN, *STEPS, *TYPES, *REGISTRIES}
    assert len(st.__all__) == len(set(st.__all__))
    assert set(st.__all__) <= set(dir(st))


@pytest.mark.parametrize("name", st.__all__)
def test_every_name_is_there_and_documented(name):
    found = getattr(st, name)
    assert callable(found)
    assert inspect.getdoc(found)
    assert inspect.isclass(found) == (name in TYPES)


def test_registries_hold_what_a_run_needs():
    for name in REGISTRIES:
        assert len(getattr(st, name)()) > 0
    assert "ms" in st.diseases()
    assert "mist" in st.protocols()
    assert "burt2019_mist" in st.studies()


def test_unknown_name():
    with pytest.raises(AttributeError, match="no attribute 'predcit'"):
        _ = st.predcit  # type: ignore[attr-defined]


@pytest.mark.parametrize("first", ["import stemtrial", "import stemtrial.predict", "import stemtrial.report.words"])
def test_functions_and_rooms_of_the_same_name_do_not_hide_each_other(first):
    code = f"""
{first}
import inspect
import stemtrial as st
assert "protocol" in inspect.signature(st.predict).parameters
assert "path" in inspect.signature(st.report).parameters
import stemtrial.predict.run as run
from stemtrial.predict import Settings, predict
from stemtrial import report
import stemtrial.report.words as words
assert st.Settings is Settings is run.Settings
assert inspect.isfunction(predict)
try:
    st.predict(st.load_protocol("mist"), Settings(replicates=0))
except st.InputError as e:
    assert "not positive" in str(e)
else:
    raise AssertionError("predict did not run")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_chain_runs_step_by_step(tmp_path):
    protocol = st.load_protocol("mist")
    kernel, draws = st.compose("ms", st.families_of(protocol)), st.point_draw()
    recruits = st.recruit(kernel, draws, 0, st.care_of(protocol), protocol.population.criteria, 100)
    trial = st.conduct(protocol, recruits, kernel, draws[0], seed=1, replicates=[0, 1])
    events = st.derive("relapse_free", trial.tables)
    assert len(events.event) == 220
    rows = st.rows_of(protocol, st.studies()[protocol.reproduces])
    values = st.estimate(rows, st.Analysed(trial.tables, protocol))
    assert values.shape == (len(rows), 2)
    prediction = st.predict(protocol, st.Settings(replicates=2), folder=tmp_path / "run")
    assert st.compare(prediction).published == 27
    st.report(prediction.page, tmp_path / "report.html")
    assert (tmp_path / "report.html").stat().st_size > 0
