"""``readout``: what it prints and writes, and its mistakes."""

from __future__ import annotations

import json

import pytest

SIZE = ("readout", "mist", "--patients", "24", "--replicates", "2", "--threads", "2")


@pytest.fixture(scope="module")
def done(call, tmp_path_factory):
    """One readout: its folder, and what was said in 80 columns."""
    folder = tmp_path_factory.mktemp("cli") / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", "80")
        said = call(*SIZE, "-o", str(folder))
    assert said.code == 0, said.err
    return folder, said


def test_every_row_is_printed_within_80_columns(done):
    folder, said = done
    data = json.loads((folder / "readout.json").read_text())
    body = said.out[: said.out.index("\nWritten")]
    assert max(map(len, body.splitlines())) <= 80
    lines = body.splitlines()
    for r in (*data["observed"], *data["truth"]):
        assert r["endpoint"] in lines
    arms = [line for line in lines if line.startswith(("  hsct ", "  dmt "))]
    blocks = [len({r["endpoint"] for r in data[standing]}) for standing in ("observed", "truth")]
    assert len(arms) == 2 * sum(blocks)


def test_truth_comes_last_and_says_so(done):
    _, said = done
    assert said.out.index("Observed: what the trial would tell") < said.out.index("Truth: what no trial sees")
    assert "sens" not in said.out[: said.out.index("Truth")]


def test_folder_and_json(done, cli):
    folder, _ = done
    data = json.loads((folder / "readout.json").read_text())
    assert data["run"]["command"] == "stemtrial readout mist --patients 24 --replicates 2 --seed 1"
    assert data["run"]["patients_per_arm"] == {"hsct": 12, "dmt": 12}
    assert "Truth: what no trial sees" in (folder / "report.html").read_text()
    printed = cli(*SIZE, "-o", str(folder), "--json")
    assert json.loads(printed.out) == data, "finished chunks are read back"


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("mst",), "did you mean 'mist'"),
        (("mist", "--reference", "neda33"), "did you mean 'neda3'"),
        (("mist", "--reference", "edss_change"), "is a change; the reference is a time to an event"),
        (("oratorio", "--reference", "spms_conversion"), "everybody is progressive at entry"),
        (("mist", "--replicates", "0"), "--replicates 0 is out of range"),
        (("mist", "--patients", "1"), "too few for 2 arms"),
        (("mist", "-o", ""), "--out names no folder"),
    ],
)
def test_mistakes(cli, tmp_path, args, says):
    said = cli("readout", *args)
    assert said.code == 2
    assert says in said.err
    assert said.err.count("\n") == 1
    assert said.out == ""
    assert not list(tmp_path.iterdir())


def test_a_folder_that_holds_something_else(cli, tmp_path):
    (tmp_path / "file").write_text("x")
    assert "is a file" in cli(*SIZE, "-o", "file").err
    assert "is a file" in cli(*SIZE, "-o", "file/below").err
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.json").write_text("{}")
    assert "holds a run" in cli(*SIZE, "-o", "run").err
