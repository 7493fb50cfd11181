"""Mistakes of a user: one line on stderr that says place, rule and fix, status 2, and nothing left behind."""

from __future__ import annotations

import errno
import os
import re
import sys
from pathlib import Path

import pytest

import stemtrial.trial.protocol

MIST = Path(stemtrial.trial.protocol.__file__).parent / "protocols" / "mist.yaml"
MIST_TEXT = MIST.read_text(encoding="utf-8")


def tree(folder: Path) -> set[str]:
    return {str(p.relative_to(folder)) for p in folder.rglob("*")}


def refused(said, *words: str, code: int = 2) -> str:
    """The one line that was said."""
    lines = said.err.splitlines()
    assert said.code == code, said.err
    assert said.out == ""
    waiting = ("stemtrial: recruiting", "stemtrial: compiling")  # slow machines and new ones tell more
    mine = [x for x in lines if not x.startswith(waiting)]
    assert len(mine) == 1, said.err
    assert mine[0].startswith("stemtrial: ")
    assert "Traceback" not in said.err
    for word in words:
        assert word in mine[0], mine[0]
    return mine[0]


# what replaces what in MIST, the place, the words of the message. fmt: off
BAD = {
    "unknown endpoint": ("{id: relapse_rate, ", "{id: relapse_rat, ", "did you mean 'relapse_rate'"),
    "impossible eligibility": ("18 <= age_years <= 55", "edss >= 8.0", "lets nobody in"),
    "negative dose": ("cells_1e6_per_kg: 5.0", "cells_1e6_per_kg: -5.0", "outside the range from 2 to 20"),
    "misspelled key": ("randomisation: {", "randomization: {", "did you mean 'randomisation'?"),
    "missing unit": ("cells_1e6_per_kg: 5.0", "cells: 5.0", "needs its unit in the name; use cells_1e6_per_kg"),
    "tag": ("protocol: mist", 'protocol: !!python/object/apply:os.system ["touch pwned"]', "are not allowed"),
    "bomb": ("protocol: mist", "a: &a [x, x]\nb: [*a, *a]\nprotocol: mist", "anchors and aliases"),
    "duplicate key": ("disease: ms", "disease: ms\ndisease: ms", "stands twice"),
    "wrong estimator": (
        "{id: relapse_rate, estimator: negative_binomial}",
        "{id: relapse_rate, estimator: cox}",
        "does not fit",
    ),
    "rule without event": ("when: confirmed_worsening.mist", "when: relapse_rate", "no event that a visit can show"),
    "switch": ("switch_on: relapse", "switch_on: edss_change", "no event that a visit can show"),
    "unknown outcome": ("burt2019_mist#9]", "burt2019_mist#99]", "has no outcome"),
    "other time": (
        "id: edss, estimator: mean, at_years: [1]",
        "id: edss, estimator: mean, at_years: [2]",
        "mend at_years",
    ),
    "other statistic": ("estimator: cox,", "estimator: logrank,", "is a hazard_ratio, logrank gives a p_value"),
    "unknown study": ("reproduces: burt2019_mist", "reproduces: burt2019_mis", "burt2019_mis"),
}
BAD_IN_ALS = {
    "variable of MS": ("niv == 0", "edss >= 2", "variable 'edss' is not of als"),
    "course of MS": ("course: als", "course: spms", "course 'spms' is not of als"),
    "care of MS": ("entry: riluzole", "entry: platform_drugs", "care 'platform_drugs' is not of als"),
    "era": ("  course: als", "  era: 1\n  course: als", "means nothing in als"),
    "visits at relapses": ("window_days: 3", "window_days: 3\n  at_relapse: true", "there are no relapses in als"),
    "rule on a relapse": (
        "{hazard: drop_out, per_year: 0.24}",
        "{when: relapse, action: withdraw}",
        "there are no relapses in als",
    ),
    "rule on an event of MS": (
        "{hazard: drop_out, per_year: 0.24}",
        "{when: confirmed_worsening.mist, action: withdraw}",
        "event 'confirmed_worsening.mist' is not of als",
    ),
    "endpoint of MS": ("id: alsfrs_r_run_in_slope", "id: edss_change", "endpoint 'edss_change' is not of als"),
    "instrument of MS": ("endpoints:", "instruments: [sdmt]\nendpoints:", "instrument 'sdmt' is not"),
    "therapy of MS": (
        "{hazard: drop_out, per_year: 0.24}",
        "{when: time_to_niv, action: add, to: natalizumab}",
        "'natalizumab' has no model in als",
    ),
    "product of another cell": ("bone-marrow-ntf-autologous", "foetal-allogeneic", "foetal-allogeneic"),
    "segments missing": (
        "{therapy: msc, product: bone-marrow-ntf-autologous, route: intrathecal",
        "{therapy: nsc, product: foetal-spinal-allogeneic, route: intraspinal",
        "needles go into a segment, none is said",
    ),
}
# fmt: on
NUROWN_TEXT = (MIST.parent / "nurown-phase3.yaml").read_text(encoding="utf-8")
PHASE_2_TEXT = (MIST.parent / "nurown-phase2.yaml").read_text(encoding="utf-8")
MISTAKES = {name: (MIST_TEXT, *bad) for name, bad in BAD.items()}
MISTAKES |= {name: (NUROWN_TEXT, *bad) for name, bad in BAD_IN_ALS.items()}


@pytest.mark.parametrize("command", ["run", "check", "cohort"])
@pytest.mark.parametrize("mistake", MISTAKES)
def test_bad_protocol(cli, tmp_path, mistake, command):
    text, old, new, words = MISTAKES[mistake]
    assert old in text, old
    (tmp_path / "trial.yaml").write_text(text.replace(old, new, 1))
    before = tree(tmp_path)
    line = refused(cli(command, "trial.yaml"), words)
    assert re.match(r"stemtrial: trial\.yaml:\d+:\d+: ", line), line
    at = int(line.split(":")[2])
    changed = [
        k
        for k, (a, b) in enumerate(
            zip(text.splitlines(), (tmp_path / "trial.yaml").read_text().splitlines(), strict=False), 1
        )
        if a != b
    ]
    assert mistake == "unknown study" or at in range(changed[0], changed[0] + 3)
    assert tree(tmp_path) == before


def test_empty_file(cli, tmp_path):
    (tmp_path / "empty.yaml").write_text("")
    refused(cli("run", "empty.yaml"), "empty.yaml:1:1: the file is empty")
    assert tree(tmp_path) == {"empty.yaml"}


@pytest.mark.parametrize(
    ("text", "old", "new"),
    [(MIST_TEXT, "relapses_last_12_months >= 2", "relapses_last_12_months >= 19"),
     (PHASE_2_TEXT, "18 <= age_years <= 75", "18 <= age_years <= 20")],
    ids=["ms", "als"],
)  # fmt: skip
def test_protocol_nobody_is_eligible_for(cli, tmp_path, text, old, new):
    (tmp_path / "t.yaml").write_text(text.replace(old, new, 1))
    at = next(i for i, line in enumerate(text.splitlines(), 1) if line == "  eligibility:")
    for command in ("run", "cohort"):
        line = refused(cli(command, "t.yaml"), "population.eligibility: nobody is eligible", "widen the rule")
        assert re.match(rf"stemtrial: t\.yaml:{at}:3: ", line)
    assert tree(tmp_path) == {"t.yaml"}


OPTIONS = [
    (("--threads", "0"), "--threads 0 is out of range; use 1 or more"),
    (("--replicates", "0"), "--replicates 0 is out of range; use 1 or more"),
    (("--replicates", "-3"), "use 1 or more"),
    (("--replicates", "100000000"), "use at most 1000000"),
    (("--replicates", "ten"), "'--replicates'"),
    (("--patients", "0"), "use 1 or more"),
    (("--patients", "1"), "too few for 2 arms; give at least 2"),
    (("--seed", "-1"), "--seed -1 is out of range; use 0 or more"),
    (("--seed", "99999999999999999999"), "--seed"),
    (("--draws", "2"), "no posterior comes with this package, only the point values; use --point"),
    (("--point", "--draws", "2"), "--point and --draws 2 exclude each other; leave one out"),
    (("--draws", "0"), "--draws 0 is out of range"),
    (("--keep", "some"), "--keep 'some' is not known; valid: all"),
    (("--out", ""), "--out names no folder"),
    (("--replicats", "3"), "--replicates"),
    (("extra",), "extra"),
]


@pytest.mark.parametrize("command", [("run", "mist"), ("compare", "burt2019_mist")], ids=lambda c: c[0])
@pytest.mark.parametrize(("options", "words"), OPTIONS, ids=lambda x: " ".join(x) if isinstance(x, tuple) else "")
def test_bad_option(cli, tmp_path, command, options, words):
    refused(cli(*command, *options), words)
    assert tree(tmp_path) == set()


COMMANDS = [
    (("rnu", "mist"), "Did you mean 'run'?"),
    (("run",), "PROTOCOL"),
    (("run", "misst"), "protocol 'misst' is not known; did you mean 'mist'?"),
    (("run", "./nope.yaml"), "./nope.yaml: no such file"),
    (("check", "."), "is a directory"),
    (("compare", "burt2019_mis"), "did you mean 'burt2019_mist'"),
    (("compare", "absinta2019_prl"), "no protocol reproduces 'absinta2019_prl' yet"),
    (("list",), "protocols|therapies"),
    (("list", "protocol"), "did you mean 'protocols'?"),
    (("explain", "natalizumb"), "did you mean 'natalizumab'?"),
    (("evidence", "neda33"), "did you mean"),
    (("evidence", "neda3", "--family", "hsc"), "did you mean 'hsct'?"),
    (("evidence", "neda3", "--statistic", "odds"), "statistic 'odds' is not known"),
    (("scorecard", "--disease", "m"), "--disease 'm' is not known; did you mean 'ms'?"),
    (("scorecard", "--disease", "als", "--family", "ahsct"), "--family 'ahsct' has no trials in ALS; use drugs, msc"),
    (("scorecard", "--disease", "als", "--family", "trg"), "--family 'trg' is not known; did you mean 'treg'?"),
    (("list", "claims", "--disease", "als"), "a list of claims is not by disease"),
    (("list", "therapies", "--disease", "al"), "disease 'al' is not known; did you mean 'als'?"),
    (("estimands", "mist"), "estimands are for als"),
    (("estimands", "riluzole-1994", "--endpoint", "kings_stage"), "is no plain change"),
    (("estimands", "riluzole-1994", "--at", "9"), "no visit of 'riluzole-1994' lies near 9 years"),
    (
        ("estimands", "riluzole-1994", "--change", "riluzole.los=1"),
        "parameter 'riluzole.los' is not known; did you mean",
    ),
    (("estimands", "riluzole-1994", "--change", "riluzole.loss"), "has no value; write NAME=VALUE"),
    (("estimands", "riluzole-1994", "--change", "riluzole.loss=x"), "'x' is no number"),
    (("estimands", "nsi-566-phase1"), "estimands compare the arms of a randomised trial"),
    (("scorecard", "--family", "drug"), "--family 'drug' is not known; did you mean 'drugs'"),
    (("scorecard", "--disease", "als", "--family", "cells"), "--family 'cells' has no trials in ALS"),
    (("scorecard", "--draws", "2"), "no posterior comes with this package"),
    (("readout", "mist", "--draws", "2"), "no posterior comes with this package"),
    (("estimands", "riluzole-1994", "--draws", "0"), "--draws 0 is out of range; use 1 or more"),
    (("estimands", "riluzole-1994", "--point", "--draws", "3"), "--point and --draws 3 exclude each other"),
    (("cohort", "mist", "--draws", "2"), "no posterior comes with this package"),
    (("cohort", "--disease", "ms", "--point", "--draws", "2"), "--point and --draws 2 exclude each other"),
    (("scorecard", "--family", "opc", "--blind"), "--blind predicts every sealed study; leave out --family"),
    (("scorecard", "--blind", "--point"), "--blind needs a posterior, not point values; leave --point out"),
    (("scorecard", "--replicates", "0"), "--replicates 0 is out of range"),
    (("cohort", "mist", "--threads", "0"), "--threads 0 is out of range"),
]


@pytest.mark.parametrize(("args", "words"), COMMANDS, ids=lambda x: " ".join(x) if isinstance(x, tuple) else "")
def test_bad_command(cli, tmp_path, args, words):
    refused(cli(*args), words)
    assert tree(tmp_path) == set()


def test_folder_that_cannot_be_used(cli, tmp_path):
    small = ("run", "mist", "--replicates", "2", "--patients", "4")
    (tmp_path / "file").write_text("mine")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.doc").write_text("mine")
    assert cli(*small, "-o", "other").code == 0
    before = tree(tmp_path)
    refused(cli(*small, "-o", "file"), "file is a file; name a folder")
    refused(cli(*small, "-o", "file/below"), "is a file; name another folder")
    refused(cli(*small, "-o", "full"), "is not empty and holds no run")
    refused(cli(*small, "-o", "other", "--seed", "5"), "other holds another run")
    if sys.platform == "linux":
        refused(cli(*small, "-o", "/proc/below"), "/proc/below cannot be written")
    assert tree(tmp_path) == before


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere")
def test_folder_without_permission(cli, tmp_path):
    (tmp_path / "locked").mkdir(mode=0o500)
    refused(cli("run", "mist", "--replicates", "2", "-o", "locked/run"), "cannot be written (Permission denied)")


def test_full_disk_is_one_line(cli, monkeypatch):
    def full(*args: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "part-00000.npz")

    monkeypatch.setattr("stemtrial.store.chunks.write_atomic", full)
    said = cli("run", "mist", "--replicates", "2", "--patients", "4")
    assert said.code == 1
    assert said.err.splitlines()[-1].startswith("stemtrial: part-00000.npz: No space left on device;")
    assert "Traceback" not in said.err


def test_lack_of_memory_is_one_line(cli, monkeypatch):
    def hungry(*args: object, **kwargs: object) -> None:
        raise MemoryError

    monkeypatch.setattr("stemtrial.predict.predict", hungry)
    said = cli("run", "mist", "--replicates", "2")
    assert (said.code, said.err) == (1, "stemtrial: not enough memory; use fewer patients or fewer threads\n")
