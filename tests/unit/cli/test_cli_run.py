"""``run`` and ``compare``: what they print, what they write, and that the numbers do not depend on how."""

from __future__ import annotations

import json
import re
import signal
import time
from pathlib import Path

import pytest

from stemtrial.predict import compare as compare_
from stemtrial.predict.run import Prediction

SMALL = ("run", "mist", "--replicates", "3", "--patients", "20")


@pytest.fixture(params=["mist", "nurown-phase3"])
def small(request):
    """A small run of each disease."""
    return ("run", request.param, *SMALL[2:])


def test_json_is_all_of_stdout(process, tmp_path, small):
    running = process(*small, "--json")
    out, err = running.communicate()
    assert running.returncode == 0, err
    told = json.loads(out)
    assert set(told) == {"run", "estimates", "baseline", "adverse_events", "claims", "beside"}
    assert "simulating" in err
    folder = tmp_path / told["run"]["folder"]
    assert json.loads((folder / "run.json").read_text())["digest"] == told["run"]["digest"]
    assert json.loads((folder / "estimates.json").read_text()) == told["estimates"]
    assert (folder / "report.html").read_text().startswith("<!doctype html>")
    assert {p.stem for p in (folder / "tables").iterdir()} >= {"patients", "visits", "estimates"}
    assert not list(folder.rglob(".tmp-*"))


def test_default_folder_is_named_after_protocol_and_id(cli, tmp_path, small):
    run = json.loads(cli(*small, "--json").out)["run"]
    assert Path(run["folder"]) == Path("runs") / f"{small[1]}-{run['id'][:12]}"
    assert sum(run["patients_per_arm"].values()) == 20
    assert [p.name for p in tmp_path.iterdir()] == ["runs"]


def test_numbers_depend_on_the_seed_only(cli, small):
    def digest(*more: str) -> str:
        return str(json.loads(cli(*small, "--json", *more).out)["run"]["digest"])

    first = digest("-o", "a")
    assert digest("-o", "a") == first  # the same command again
    assert digest("-o", "b", "--threads", "3") == first
    assert digest("-o", "c", "--point", "--seed", "1") == first
    assert digest("-o", "d", "--seed", "2") != first


def test_keep_all_keeps_the_patients_of_every_replicate(cli, tmp_path, small):
    import duckdb

    cli(*small, "-o", "one")
    cli(*small, "-o", "all", "--keep", "all")
    for folder, patients in (("one", {0: 20}), ("all", {0: 20, 1: 20, 2: 20})):
        path = tmp_path / folder / "tables" / "patients.parquet"
        rows = duckdb.sql(f"select replicate, count(*) from '{path}' group by replicate").fetchall()
        assert dict(rows) == patients


def test_a_run_of_another_size_is_not_scored(cli):
    said = cli(*SMALL)
    told = json.loads(cli(*SMALL, "--json").out)
    assert {e["agrees"] for e in told["estimates"]} == {None}
    assert "Not scored (27): the trial has not the published size" in said.out
    assert "3 replicates are few" in said.out


@pytest.fixture(scope="module")
def mist(call, tmp_path_factory):
    """A run of the published size, printed and as JSON."""
    args = ("compare", "burt2019_mist", "--replicates", "40", "-o", "mist")
    with pytest.MonkeyPatch.context() as m:
        m.chdir(tmp_path_factory.mktemp("mist"))
        m.setenv("COLUMNS", "120")
        said = call(*args)
        return said, json.loads(call(*args, "--json").out)


def test_result_shows_misses_first_and_every_estimate_once(mist):
    said, told = mist
    order = ["Misses: ", "Agreements: ", "Not scored", "Predictions without", "Why the misses", "Of the 27", "Mind"]
    places = [said.out.index(f"\n{title}") for title in order]
    assert places == sorted(places)
    sections = dict(zip(order, (said.out[a:b] for a, b in zip(places, [*places[1:], None], strict=True)), strict=True))
    by_verdict = {False: "Misses: ", True: "Agreements: ", None: "Not scored"}
    seen = 0
    for e in told["estimates"]:
        if not e["outcome_id"]:
            continue
        number = "#" + e["outcome_id"].partition("#")[2]
        line = re.search(rf"^{number} .*$", sections[by_verdict[e["agrees"]]], re.M)
        assert line, (number, e["agrees"])
        assert e["published"]["verification"] in line[0]
        seen += 1
    assert seen == 27
    assert "27 predicted" in sections["Of the 27"]
    misses = [e for e in told["estimates"] if e["agrees"] is False]
    assert sections["Why the misses"].count("\n#") == len(misses)
    assert all("Published" in p for p in sections["Why the misses"].split("\n#")[1:])
    assert "mist/report.html" in said.out


def test_result_shows_the_numbers_of_the_primary_outcome(mist):
    said, told = mist
    e = next(e for e in told["estimates"] if e["outcome_id"] == "burt2019_mist#1")
    line = next(x for x in said.out.splitlines() if x.startswith("#1 "))
    assert "aHSCT vs drugs" in line
    assert "0.07 (0.02 to 0.24)" in line
    assert "primary" in line
    assert f"{e['median']:.2f}" in line or "not estimable" in line


def test_comparison_puts_each_row_in_one_group(mist):
    _, told = mist
    page = {"not_predicted": [{"outcome_id": "burt2019_mist#99", "reason": "none"}]}
    c = compare_(Prediction(told["run"], told["estimates"], page, {}))
    groups = [*c.misses, *c.agreements, *c.unscored, *c.unpublished]
    assert len(groups) == len(told["estimates"])
    assert {id(e) for e in groups} == {id(e) for e in told["estimates"]}
    assert c.predicted == 27
    assert c.published == 28


@pytest.mark.parametrize("width", [80, 120])
def test_result_fits_the_terminal(cli, monkeypatch, width, small):
    monkeypatch.setenv("COLUMNS", str(width))
    out = cli(*small).out
    assert max(len(line) for line in out.splitlines() if "runs/" not in line) <= width


def test_warnings_are_printed(cli, monkeypatch):
    from stemtrial.predict import run as module

    def crippled(*args, **kwargs):
        p = real(*args, **kwargs)
        p.run.update(failed_patients=1234, events_overflowed=7, recruit_warning="only 3 distinct virtual people")
        return p

    real = module.predict
    monkeypatch.setattr("stemtrial.predict.predict", crippled)
    out = cli(*SMALL).out
    assert "only 3 distinct virtual people" in out
    assert "1,234 virtual patients failed numerically" in out
    assert "7 events did not fit" in out


def test_first_compile_is_announced(cli, monkeypatch, tmp_path):
    # the text alone: the compile itself takes a quarter of a minute
    from stemtrial.cli import waiting
    from stemtrial.therapy import compose
    from stemtrial.trial.entry import families_of
    from stemtrial.trial.protocol import load_protocol

    kernel = compose("ms", families_of(load_protocol("mist")))
    cli(*SMALL)
    assert not waiting._will_compile(kernel)
    monkeypatch.setenv("STEMTRIAL_CACHE", str(tmp_path / "empty"))
    assert waiting._will_compile(kernel)


def test_interrupted_run_resumes_to_the_same_digest(process, tmp_path):
    args = ("run", "mist", "--replicates", "250", "--patients", "20", "--threads", "1", "--json")
    running = process(*args, "-o", "broken")
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("broken/chunks/part-00000.json")):
        assert time.monotonic() < deadline
        assert running.poll() is None, running.communicate()
        time.sleep(0.01)
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=60)
    assert running.returncode == 130
    assert out == ""
    assert "Traceback" not in err
    assert "the same command goes on: stemtrial run mist --replicates 250" in err.splitlines()[-1]
    kept = {p.name: p.stat().st_mtime_ns for p in tmp_path.glob("broken/chunks/part-*.npz")}
    assert 1 <= len(kept) < 5
    assert not (tmp_path / "broken" / "run.json").exists()

    digests = []
    for folder in ("broken", "whole"):
        again = process(*args, "-o", folder)
        out, err = again.communicate()
        assert again.returncode == 0, err
        digests.append(json.loads(out)["run"]["digest"])
    assert digests[0] == digests[1]
    assert kept.items() <= {p.name: p.stat().st_mtime_ns for p in tmp_path.glob("broken/chunks/part-*.npz")}.items()


def test_closed_pipe_is_silent(process, tmp_path):
    running = process("list", "parameters", "--json")
    assert running.stdout is not None
    assert running.stderr is not None
    running.stdout.close()
    assert running.stderr.read() == ""
    assert running.wait() == 1
