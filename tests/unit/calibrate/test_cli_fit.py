"""The command that fits: the cost first, the question, what is written, Ctrl-C; with a fit made of arrays."""

from __future__ import annotations

import io
import json
from contextlib import redirect_stderr, redirect_stdout

import pytest
from fabricated import fitted_blocks

from stemtrial.calibrate import fit as room
from stemtrial.calibrate.fit import Cost
from stemtrial.cli.fitting import blocks_asked, duration
from stemtrial.errors import InputError


@pytest.fixture
def cli(tmp_path, monkeypatch):
    """Run a command in an empty folder, its simulations replaced; what was fitted stands in ``cli.fitted``."""
    from stemtrial.cli import main

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    calls, measured = [], []

    def fit(folder, names, settings, told):
        calls.append((folder, tuple(names), settings))
        told("the disease and its drugs: run 1", 0.0)
        told("the disease and its drugs: run 1", 1.0)
        return fitted_blocks(names)

    def cost(name, settings):
        measured.append(name)
        return Cost(1, 1, 50, 180, 12.0, 1)

    monkeypatch.setattr(room, "fit", fit)
    monkeypatch.setattr(room, "cost", cost)

    def run(*args):
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as left:
            main(args)
        return left.value.code, out.getvalue(), err.getvalue()

    run.calls, run.measured = calls, measured
    return run


def test_the_cost_is_told_before_it_starts(cli):
    code, out, err = cli("fit", "--block", "ms", "--threads", "2")
    assert code == 2
    assert not cli.calls
    assert out == ""
    assert "400 members x 3 runs x 12.0 s: about 2 h on 2 processes" in err
    assert "say --yes to start it" in err


def test_a_fit_writes_what_was_learned_and_the_posterior(cli, tmp_path):
    code, out, err = cli("fit", "--threads", "1", "--yes", "--ship", "here", "--passes", "1", "--seed", "4")
    assert code == 0, err
    [(_, names, settings)] = cli.calls
    assert names == ("ms", "ahsct", "cells", "als")
    assert (settings.seed, settings.workers, settings.members, settings.passes) == (4, 1, None, 1)
    told = json.loads((tmp_path / "runs/fit/calibration.json").read_text())
    assert told["label"] == json.loads((tmp_path / "here/posterior.json").read_text())["label"]
    assert told["blocks"][0]["cost"]["core_hours"] == pytest.approx(400 * 2 * 12 / 3600)
    assert (tmp_path / "runs/fit/calibration.html").stat().st_size > 1e5
    assert "the disease and its drugs: run 1 of 2, 0 %" in err
    assert "outside their 90 % interval" in out
    assert "posterior.csv" in out


def test_costs_are_measured_once(cli):
    cli("fit", "--block", "als", "--yes")
    cli("fit", "--block", "als", "--yes", "--members", "200")
    assert cli.measured == ["als"]


def test_json_is_the_report_and_nothing_else(cli, tmp_path):
    code, out, _ = cli("fit", "--block", "als", "--yes", "--json", "-o", "there")
    assert code == 0
    assert json.loads(out) == json.loads((tmp_path / "there/calibration.json").read_text())
    assert not (tmp_path / "posterior.json").exists()


def test_ctrl_c_says_how_to_go_on(cli, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(room, "fit", stop)
    code, _, err = cli("fit", "--block", "als", "--yes")
    assert code == 130
    assert "the same command goes on: stemtrial fit --block als --yes" in err


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("--block", "mss"), "there is no block 'mss'; did you mean 'ms'"),
        (("--members", "3"), "--members 3 is out of range; use 10 to"),
        (("--members", "100"), "too few for the 40 parameters of block 'ms'; use 160 or more"),
        (("--passes", "0"), "--passes 0 is out of range"),
        (("--out", "file"), "--out file is a file"),
        (("--ship", "file"), "--ship file is a file"),
        (("--ship", ""), "--ship names no folder"),
    ],
)
def test_mistakes_are_told_in_one_line_before_anything_is_measured(cli, tmp_path, args, words):
    (tmp_path / "file").write_text("")
    code, out, err = cli("fit", *args, "--yes")
    assert (code, out) == (2, "")
    assert words in err
    assert err.count("\n") == 1
    assert not cli.measured


def test_blocks_before_are_fitted_too():
    assert blocks_asked(["cells"]) == ("ms", "ahsct", "cells")
    assert blocks_asked(["als"]) == ("als",)
    with pytest.raises(InputError):
        blocks_asked(["none"])


def test_durations():
    assert [duration(h) for h in (4 / 3, 0.2, 0.001, 26.4, 2.0)] == ["1 h 20 min", "12 min", "1 min", "26 h", "2 h"]
