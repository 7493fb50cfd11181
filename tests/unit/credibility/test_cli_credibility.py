"""stemtrial credibility: a template, a report from a run, and mistakes in one line."""

from __future__ import annotations

import io
import json
from contextlib import redirect_stderr, redirect_stdout

import pytest
from fabricated_run import write
from test_credibility_context import EXAMPLE, GOOD

from stemtrial.cli import main


def call(*args):
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as left:
        main(args)
    return left.value.code, out.getvalue(), err.getvalue()


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    return tmp_path


@pytest.fixture
def run(here):
    write(here / "run")
    return here / "run"


def test_the_template_is_printed_without_a_protocol(here):
    code, out, _ = call("credibility", "--template")
    assert code == 0
    assert "influence:" in out
    assert not list(here.iterdir())


def test_a_report_of_a_finished_run(run):
    code, out, err = call("credibility", "burt2019_mist", "--run", "run", "--context", str(EXAMPLE), "-o", "page.html")
    assert code == 0, err
    assert "Does aHSCT with cyclophosphamide and ATG slow" in out
    titles = ["Answer of the model", "Adequacy", "What drives the answer", "Missing (", "Written"]
    places = [out.index(f"\n{t}") for t in titles]
    assert places == sorted(places)
    told = json.loads((run.parent / "page.json").read_text())
    assert told["risk"]["risk"] == "medium"
    assert told["reproduction"]["command"].startswith("stemtrial credibility burt2019_mist --context ")
    assert "</html>" in (run.parent / "page.html").read_text()


def test_json_stands_alone_and_the_page_lies_in_the_run(run):
    code, out, _ = call("credibility", "mist", "--run", "run", "--json")
    assert code == 0
    assert json.loads(out) == json.loads((run / "credibility.json").read_text())
    assert (run / "credibility.html").is_file()


@pytest.mark.parametrize(
    ("context", "message"),
    [
        (GOOD.replace("level: high", "level: huge"), "context.yaml:5:15: consequence.level: 'huge' is not known"),
        (GOOD + "endpoint: edss_chnge\n", "context.yaml:6:1: endpoint: mist does not estimate 'edss_chnge'; did you"),
        ("question: [", "context.yaml:"),
    ],
)
def test_a_bad_context_is_one_line(run, context, message):
    (run.parent / "context.yaml").write_text(context)
    code, out, err = call("credibility", "mist", "--run", "run", "--context", "context.yaml", "-o", "page.html")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("stemtrial: ")
    assert message in err
    assert not (run.parent / "page.html").exists()


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ((), "name a protocol or a study"),
        (("misst",), "protocol 'misst' is not known; did you mean 'mist'"),
        (("mist", "--run", "nowhere"), "--run nowhere holds no finished run"),
        (("mist", "--run", "run", "--context", "no.yaml"), "no.yaml: no such file"),
        (("mist", "--run", "run", "--scorecard", "no.json"), "--scorecard no.json: no such file"),
        (("mist", "--run", "run", "--scorecard", "run/run.json"), "is no scorecard"),
        (("mist", "--run", "run", "--fit", "run/run.json"), "is no report of a fit"),
        (("mist", "--run", "run", "-o", "page.pdf"), "'page.pdf' is no name of a page"),
    ],
)
def test_mistakes(run, args, message):
    code, out, err = call("credibility", *args)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert message in err


def test_a_run_is_made_where_none_is_given(here):
    small = ("--patients", "20", "--replicates", "4", "--point", "--threads", "1")
    code, out, err = call("credibility", "mist", *small, "--json")
    assert code == 0, err
    told = json.loads(out)
    assert told["reproduction"]["run_command"] == "stemtrial run mist --patients 20 --replicates 4 --point --seed 1"
    assert told["calibration"]["draws"] == 1
    (page,) = here.glob("runs/mist-*/credibility.html")
    assert (page.parent / "report.html").is_file()
