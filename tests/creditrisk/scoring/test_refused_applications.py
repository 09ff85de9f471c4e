"""What a contract does not allow is refused, in words; all that it allows is decided."""

import json

import numpy as np
import pandas as pd
import pytest
from germanmodels import (
    AGES,
    APPLICATION,
    CONTRACT,
    RAW,
    REFUSED,
    SAVINGS,
    USUAL,
    as_json_gives_it,
    fitted,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from creditrisk.data.applications.record_checks import InvalidRecords, record_problems
from creditrisk.scoring.fast_path import make_scorer


@pytest.fixture(scope="module")
def blend():
    return make_scorer(fitted("Soft-Voting Blend", few=True), CONTRACT, "blend", reference=USUAL)


@pytest.mark.parametrize(("field", "value", "words"), REFUSED)
def test_a_value_the_contract_does_not_allow_is_refused_in_words(field, value, words, blend):
    bad = json.loads(json.dumps(APPLICATION)[:-1] + f', "{field}": {value}}}')
    assert [" ".join(problem) for problem in record_problems(bad, CONTRACT)] == [words]
    with pytest.raises(InvalidRecords) as refused:
        blend.score([APPLICATION, bad])
    assert str(refused.value) == f"record 2: {words}"
    assert refused.value.problems[0][:2] == (2, field)
    assert "Secret" not in str(refused.value) and "4711" not in str(refused.value)


def test_all_that_is_wrong_is_said_at_once(blend):
    bad = dict(APPLICATION, Age=None, Sex="x", Jobb=2)
    del bad["Job"], bad["Saving accounts"]
    with pytest.raises(InvalidRecords) as refused:
        blend.score([bad, ["no object"], dict(APPLICATION, Age=1)])
    assert [problem[:2] for problem in refused.value.problems] == [
        (1, "Age"),
        (1, "Sex"),
        (1, "Job"),
        (1, "Saving accounts"),
        (1, "Jobb"),
        (2, ""),
        (3, "Age"),
    ]
    assert f"Saving accounts is missing; {SAVINGS}" in str(refused.value)
    assert "record 2: the application is no object of named values" in str(refused.value)
    names = {f"{number}" * 9000: number for number in range(20)}
    strange = record_problems(APPLICATION | names, CONTRACT)
    assert len(strange) == 11 and len(str(strange)) < 1500
    assert strange[-1].message == "10 more fields are no fields of an application"


def test_a_frame_is_refused_in_the_same_words(blend):
    frame = pd.concat([RAW.head(3), RAW.head(3)], ignore_index=True)
    for column, values, words in [
        ("Age", [35, 35, 35.5, 35, 35, 35], f"record 3: Age is not a whole number; {AGES}"),
        ("Age", [35, np.nan, 35, 35, 35, 35], f"record 2: Age is null; {AGES}"),
        ("Age", ["35", 35, 35, 35, 35, 35], f"record 1: Age is not a whole number; {AGES}"),
        ("Age", [35, 35, 35, 35, 35, 17], f"record 6: Age is out of range; {AGES}"),
        ("Job", [1, True, 1, 1, 1, 1], "record 2: Job is not a whole number; allowed 0, 1, 2, 3"),
        ("Sex", ["male"] * 5 + ["Male"], "record 6: Sex is not an allowed value; allowed female"),
        ("Sex", ["male", None] * 3, "record 2: Sex is null; allowed female, male"),
    ]:
        with pytest.raises(InvalidRecords) as refused:
            blend.probabilities(frame.assign(**{column: values}))
        assert str(refused.value).startswith(words)
    with pytest.raises(InvalidRecords, match="Income is not a field"):
        blend.probabilities(frame.assign(Income=1))
    with pytest.raises(InvalidRecords, match="Age is missing"):
        blend.probabilities(frame.drop(columns="Age"))
    with pytest.raises(InvalidRecords, match="Age stands in more than one column"):
        blend.probabilities(frame[[*frame, "Age"]])


def test_missing_values_of_every_kind_are_one(blend):
    rows = RAW.head(50)
    objects = rows.astype(object).where(rows.notna(), None)
    categories = rows.assign(Purpose=rows.Purpose.astype("category"), Age=rows.Age.astype("int32"))
    nothing = rows.assign(**{"Saving accounts": pd.NA, "Checking account": np.nan})
    for frame in (objects, objects.convert_dtypes(), categories):
        assert (blend.probabilities(frame) == blend.probabilities(rows)).all()
    none = [
        dict(r, **{"Saving accounts": None, "Checking account": None})
        for r in as_json_gives_it(rows)
    ]
    expected = blend.probabilities(nothing).tolist()
    assert [d.probability for d in blend.taking_blanks().score(none)] == expected
    assert [d.probability for d in blend.score(as_json_gives_it(nothing))] == expected
    for blanks in (none, nothing):
        with pytest.raises(InvalidRecords) as refused:
            blend.score(blanks)
        assert len(refused.value.problems) == 100


allowed_records = st.fixed_dictionaries(
    {
        field.name: st.integers(field.minimum, field.maximum)
        if field.levels is None
        else st.sampled_from(field.choices)
        for field in CONTRACT.fields
    }
)
any_value = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.lists(st.integers())
)


@settings(max_examples=100, deadline=None)  # 9 fields, the tables of each on their own
@given(allowed_records)
def test_any_allowed_application_is_decided(blend, record):
    decision = blend.score([record])[0]
    assert 0 <= decision.probability <= 1
    assert decision.prediction == (decision.probability >= blend.cutoff)
    assert decision.decision == ("approve" if decision.prediction else "decline")


@settings(max_examples=150, deadline=None)  # 11 names, 6 kinds of values, some of each at once
@given(st.dictionaries(st.sampled_from([*APPLICATION, "Risk"]) | st.text(), any_value))
def test_anything_else_is_refused_or_allowed_by_the_contract_never_a_crash(blend, values):
    record = APPLICATION | values
    try:
        blend.score([record])
    except InvalidRecords as refused:
        assert refused.problems
    else:
        assert set(record) == set(APPLICATION)
        for field in CONTRACT.fields:
            value = record[field.name]
            assert type(value) is (int if field.type == "integer" else str) or not field.required
