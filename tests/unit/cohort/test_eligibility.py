"""The eligibility grammar against a naive oracle, its errors, and the search for impossible rules."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stemtrial.cohort.eligibility import VARIABLES, Eligibility, parse_rule
from stemtrial.errors import InputError

N = 400


def screening_table(seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    columns = {}
    for v in VARIABLES.values():
        if v.choices:
            columns[v.name] = rng.choice(v.choices, N)
        elif v.step:
            columns[v.name] = rng.integers(v.lowest / v.step, min(v.highest, 60) / v.step + 1, N) * v.step
        else:
            columns[v.name] = rng.uniform(v.lowest, v.highest, N)
    return columns


TABLE = screening_table()


def test_mist_rules_against_numpy():
    rules = ["18 <= age_years <= 55", "2.0 <= edss <= 6.0", "relapses_last_12_months >= 2", "course == rrms"]
    age, edss, relapses = TABLE["age_years"], TABLE["edss"], TABLE["relapses_last_12_months"]
    alone = [(age >= 18) & (age <= 55), (edss >= 2) & (edss <= 6), relapses >= 2, TABLE["course"] == "rrms"]
    eligibility = Eligibility(rules)
    np.testing.assert_array_equal(eligibility.mask(TABLE), np.logical_and.reduce(alone))
    left = np.cumprod(alone, axis=0).sum(axis=1)
    assert eligibility.funnel(TABLE) == [(t, int(a.sum()), int(k)) for t, a, k in zip(rules, alone, left, strict=True)]
    assert 0 < left[-1] < N
    assert eligibility.variables == {"age_years", "edss", "relapses_last_12_months", "course"}


def test_and_binds_tighter_than_or_and_not_tighter_than_and():
    a, b, c = TABLE["female"] == 1, TABLE["edss"] >= 4, TABLE["age_years"] > 50
    for text, expected in [
        ("female == 1 or edss >= 4 and age_years > 50", a | (b & c)),
        ("(female == 1 or edss >= 4) and age_years > 50", (a | b) & c),
        ("not female == 1 and edss >= 4", ~a & b),
        ("not (female == 1 and not edss >= 4)", ~(a & ~b)),
        ("not 2 < edss <= 4", ~((TABLE["edss"] > 2) & (TABLE["edss"] <= 4))),
        ("4 > edss", TABLE["edss"] < 4),
        ("6 >= edss > 2", (TABLE["edss"] <= 6) & (TABLE["edss"] > 2)),
    ]:
        np.testing.assert_array_equal(parse_rule(text).evaluate(TABLE), expected, err_msg=text)


def _numbers(name: str) -> st.SearchStrategy[str]:
    v = VARIABLES[name]
    return (
        st.floats(v.lowest, v.highest, allow_nan=False)
        .map(lambda x: f"{round(x, 1) + 0.0:g}")
        .filter(lambda s: v.lowest <= float(s) <= v.highest)
    )


@st.composite
def comparisons(draw: st.DrawFn, names: tuple[str, ...] = tuple(VARIABLES)) -> str:
    name = draw(st.sampled_from(names))
    if VARIABLES[name].choices:
        return f"{name} {draw(st.sampled_from(['==', '!=']))} {draw(st.sampled_from(VARIABLES[name].choices))}"
    form = draw(st.integers(0, 2))
    if form == 2:
        low, high = draw(st.sampled_from([("<", "<="), ("<=", "<="), (">", ">="), (">=", ">")]))
        return f"{draw(_numbers(name))} {low} {name} {high} {draw(_numbers(name))}"
    op = draw(st.sampled_from(["<", "<=", ">", ">=", "==", "!="]))
    number = draw(_numbers(name))
    return f"{name} {op} {number}" if form else f"{number} {op} {name}"


RULES = st.recursive(
    comparisons(),
    lambda inner: st.one_of(
        inner.map(lambda r: f"not ({r})"),
        st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(lambda t: f"({t[0]}) {t[1]} {t[2]}"),
    ),
    max_leaves=6,
).filter(lambda text: len(text) <= 300)


def oracle(text: str, row: dict[str, object]) -> bool:
    """Python's own reading of the same text; the grammar is meant to be a subset of it."""
    words = {choice: choice for v in VARIABLES.values() for choice in v.choices}
    return bool(eval(text, {"__builtins__": {}}, {**row, **words}))


@given(RULES)
@settings(max_examples=150, deadline=None)
def test_evaluate_equals_pythons_reading_row_by_row(text):
    mask = parse_rule(text).evaluate(TABLE)
    rows = [{name: column[i].item() for name, column in TABLE.items()} for i in range(0, N, 8)]
    assert mask[::8].tolist() == [oracle(text, row) for row in rows]


@given(st.lists(RULES, max_size=4))
@settings(max_examples=150, deadline=None)
def test_a_patient_who_passes_proves_that_the_rules_are_possible(texts):
    rules = [parse_rule(t) for t in texts]
    masks = [r.evaluate(TABLE) for r in rules]
    if np.logical_and.reduce(masks, axis=0).any():
        Eligibility(rules)  # must not refuse


@given(st.lists(comparisons(("edss",)), min_size=1, max_size=5))
@settings(max_examples=200, deadline=None)
def test_possible_over_edss_equals_enumeration(texts):
    column = {"edss": np.arange(20) / 2}
    some = np.logical_and.reduce([parse_rule(t).evaluate(column) for t in texts]).any()
    if some:
        assert Eligibility(texts).mask(column).any()
    else:
        with pytest.raises(InputError, match="nobody"):
            Eligibility(texts)


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        (
            ["age_years >= 60", "edss >= 2", "age_years <= 55"],
            "eligibility lets nobody in: 'age_years >= 60' and 'age_years <= 55' cannot hold together; "
            "widen one of them",
        ),
        (
            ["2.1 <= edss <= 2.4"],
            "eligibility lets nobody in: no patient can pass '2.1 <= edss <= 2.4'; widen it",
        ),
        (
            ["edss >= 2 or age_years >= 60", "edss <= 1.5", "female == 1", "age_years < 40"],
            "eligibility lets nobody in: 'edss >= 2 or age_years >= 60' and 'edss <= 1.5' and 'age_years < 40' "
            "cannot hold together; widen one of them",
        ),
        (
            ["relapses_last_12_months > 1", "relapses_last_12_months < 2"],
            "eligibility lets nobody in: 'relapses_last_12_months > 1' and 'relapses_last_12_months < 2' "
            "cannot hold together; widen one of them",
        ),
        (
            ["course == spms", "not course == spms"],
            "eligibility lets nobody in: 'course == spms' and 'not course == spms' cannot hold together; "
            "widen one of them",
        ),
        (["age_years == 30"] * 51, "eligibility has 51 rules, at most 50; join some with 'and'"),
    ],
)
def test_impossible_eligibility_names_the_rules(rules, message):
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        Eligibility(rules)


def test_touching_bounds_are_possible():
    Eligibility(["age_years >= 55", "age_years <= 55", "2.1 <= edss <= 2.6", "t2_volume_ml > 3", "t2_volume_ml < 3.1"])


def test_a_check_that_would_be_too_large_refuses_nothing_and_ends():
    names = [n for n, v in VARIABLES.items() if not v.choices]
    joined = " or ".join(f"{n} == {VARIABLES[n].highest:g}" for n in names)
    Eligibility([joined[:300].rsplit(" or ", 1)[0], *(f"{n} < {VARIABLES[n].highest:g}" for n in names)])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "rule '': is empty; write e.g. '18 <= age_years <= 55'"),
        ("edss = 4", "rule 'edss = 4': '= 4' is not understood; write '=='"),
        ("edss ≥ 4", "rule 'edss ≥ 4': '≥ 4' is not understood; write '>='"),
        (
            "edss >= 20",
            "rule 'edss >= 20': 20 lies outside the range of 'edss', 0 to 9.5 (EDSS); use a value inside it",
        ),
        ("edds >= 2", "rule 'edds >= 2': variable 'edds' is not known; did you mean 'edss'?"),
        ("edss", "rule 'edss': 'edss' is compared with nothing; write e.g. 'edss >= 0'"),
        ("4", "rule '4': '4' is compared with nothing; write e.g. 'edss >= 4'"),
        ("edss >=", "rule 'edss >=': a variable or a value must stand before the end of the rule; add it"),
        ("(edss >= 4", "rule '(edss >= 4': ')' is missing before the end of the rule; close the bracket"),
        (
            "edss >= 4 female == 1",
            "rule 'edss >= 4 female == 1': 'female' is too much; join comparisons with 'and' or 'or'",
        ),
        (
            "4 <= edss >= 2",
            "rule '4 <= edss >= 2': '<=' and '>=' do not make a range; write e.g. '2.0 <= edss <= 6.0'",
        ),
        (
            "edss >= age_years",
            "rule 'edss >= age_years': compare one variable with one value, or 'low <= variable <= high'",
        ),
        ("edss >= rrms", "rule 'edss >= rrms': 'edss' is a number, 'rrms' is not; write e.g. 'edss >= 0'"),
        (
            "course >= rrms",
            "rule 'course >= rrms': 'course >= rrms' compares a category; write 'course == rrms' "
            "(rrms, cis, spms, ppms, paediatric, als)",
        ),
        ("__import__('os')", "rule '__import__('os')': ''os')' is not understood; see the grammar"),
        ("(" * 30 + "edss > 1" + ")" * 30, None),
        ("edss > 1 or " * 40 + "edss > 1", None),
    ],
)
def test_what_is_not_a_rule_is_refused_in_one_line(text, message):
    with pytest.raises(InputError, match=f"^{re.escape(message)}$" if message else "^rule .*; split it into rules$"):
        parse_rule(text)


_PIECES = [
    "edss",
    "age_years",
    "course",
    "rrms",
    "<=",
    "<",
    "==",
    "!=",
    "and",
    "or",
    "not",
    "(",
    ")",
    "2",
    "1e400",
    ".",
]


@given(st.one_of(st.text(max_size=60), st.lists(st.sampled_from(_PIECES), max_size=25).map(" ".join)))
@settings(max_examples=400, deadline=None)
def test_any_text_gives_a_rule_or_an_input_error(text):
    try:
        rule = parse_rule(text)
    except InputError:
        pass
    else:
        assert rule.evaluate(TABLE).shape == (N,)


@pytest.mark.parametrize(
    "text", ["edss >= 2", "edss < 2", "edss != 2", "not edss == 2", "not edss >= 2", "not (edss > 1 and edss < 3)"]
)
def test_a_missing_value_passes_nothing(text):
    assert not parse_rule(text).evaluate({"edss": np.array([np.nan])})[0]


def test_a_missing_column_is_named():
    with pytest.raises(InputError, match=r"^rule 'gd_lesions >= 1' needs the column 'gd_lesions'; add it to the"):
        Eligibility(["gd_lesions >= 1"]).mask({"edss": np.zeros(3)})


def test_no_rules_let_everybody_in():
    assert Eligibility([]).mask(TABLE).all()
    assert Eligibility([]).variables == frozenset()


def test_ranges_lie_on_the_steps():
    for v in VARIABLES.values():
        if v.step:
            assert (v.lowest / v.step).is_integer()
            assert (v.highest / v.step).is_integer()
