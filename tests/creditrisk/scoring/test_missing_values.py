"""A blank in an application is what the contract says: a state with a name, refused, or the worst.

The toy contract has one column of each kind. Its model is a logistic regression whose weights are
set by hand: a blank would help in all three.
"""

import copy
import json
from dataclasses import asdict, replace

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from creditrisk.data.applications.frame_codes import as_stated
from creditrisk.data.applications.record_checks import InvalidRecords
from creditrisk.data.contract import ContractError
from creditrisk.data.descriptor import parse_contract, read_contract
from creditrisk.data.encoding import encoder
from creditrisk.modelling import candidates
from creditrisk.registry.mlflow_flavor import RefusedApplications, ServedModel
from creditrisk.scoring.fast_path import make_scorer

GERMAN = json.loads((ROOT / "data/raw/datapackage.json").read_text("utf-8"))


def column(name: str, levels: list, **more) -> dict:
    rules = {"constraints": {"required": False, "enum": levels}}
    return {"name": name, "title": name, "type": "string"} | rules | more


def package(*columns: dict) -> dict:
    """A data package of these columns and the outcome."""
    made = copy.deepcopy(GERMAN)
    del made["resources"][0]["mixes"]  # which are of columns that are not among these
    outcome = made["resources"][0]["schema"]["fields"][-1]
    made["resources"][0]["schema"]["fields"] = [*columns, outcome]
    return made


AMOUNT = {
    "name": "Amount",
    "type": "integer",
    "constraints": {"required": True, "minimum": 1, "maximum": 9},
}
ACCOUNT = column("Account", ["low", "high"], missingMeans="level", missingLabel="no account")
EMPLOYER = column("Employer", ["private", "state"])  # nothing is said, so a blank is refused
SAVINGS = column("Savings", ["some", "many"], missingMeans="worst")
GUARANTOR = column("Guarantor", ["weak", "firm"], missingMeans="worst")
CONTRACT = parse_contract(package(AMOUNT, ACCOUNT, EMPLOYER, SAVINGS, GUARANTOR))

#: By encoded column, in the order of the matrix; the last of each field is its missing value.
WEIGHTS = [0.1, -1, 0.5, 2, -0.5, 0.5, 3, -1, 1, 4, -2, 0, -3]
PRIVATE = {
    "Amount": 5,
    "Account": "low",
    "Employer": "private",
    "Savings": "some",
    "Guarantor": "weak",
}


def good(record: dict) -> float:
    """The probability of an application in the coding of the data, by hand."""
    odds = 0.1 * record["Amount"]
    for at, field in ((1, "Account"), (4, "Employer"), (7, "Savings"), (10, "Guarantor")):
        levels = [*CONTRACT[field].levels, None]
        odds += WEIGHTS[at + levels.index(record[field])]
    return expit(odds)


@pytest.fixture(scope="module", params=["tables", "pipeline"])
def scorer(request):
    """Answers from tables, and from scikit-learn."""
    ready, model = encoder(CONTRACT), LogisticRegression()
    rows = [PRIVATE, PRIVATE | {"Savings": None, "Account": None, "Employer": None}]
    pipeline = candidates.decision_model(ready, model, 0.5)
    pipeline["decide"].fit(ready.transform(pd.DataFrame(rows)), [0, 1])
    fitted = pipeline["decide"].estimator_
    fitted.coef_, fitted.intercept_ = np.array([WEIGHTS], float), np.zeros(1)
    usual = {"Amount": 5, "Account": None, "Employer": None, "Savings": None, "Guarantor": "weak"}
    made = make_scorer(pipeline, CONTRACT, "toy", reference=usual)
    return made if request.param == "tables" else replace(made, tables=None)


def words(refused) -> list[str]:
    return [f"{p.field} {p.message}" for p in refused.value.problems]


def test_a_known_state_is_stated_by_its_name_and_never_by_a_blank(scorer):
    stated, blank = PRIVATE | {"Account": "no account"}, PRIVATE | {"Account": None}
    [decision] = scorer.score(stated)
    assert decision.probability == pytest.approx(good(blank)) and decision.assumed == ()
    assert scorer.probabilities(pd.DataFrame([blank]))[0] == pytest.approx(decision.probability)
    remedy = (
        "allowed low, high, no account; what the data record as missing is stated as "
        "'no account', never by a blank"
    )
    left_out = {name: value for name, value in PRIVATE.items() if name != "Account"}
    for record, fault in (
        (blank, "is null"),
        (PRIVATE | {"Account": ""}, "is empty"),
        (left_out, "is missing"),
    ):
        with pytest.raises(InvalidRecords) as refused:
            scorer.score(record)
        assert words(refused) == [f"Account {fault}; {remedy}"]
    with pytest.raises(InvalidRecords):
        scorer.score(pd.DataFrame([blank, PRIVATE]))
    assert scorer.score(as_stated(pd.DataFrame([blank]), CONTRACT)) == [decision]


def test_where_nothing_is_said_a_blank_is_refused(scorer):
    with pytest.raises(InvalidRecords) as refused:
        scorer.score(PRIVATE | {"Employer": None})
    assert words(refused) == ["Employer is null; allowed private, state"]
    files = scorer.taking_blanks("level")  # files in the coding of the data: names only what it is
    assert files.score(PRIVATE | {"Account": None})[0].probability > 0
    with pytest.raises(InvalidRecords):
        files.score(PRIVATE | {"Employer": None})


def test_a_blank_may_count_as_the_worst_value_and_the_answer_says_so(scorer):
    given = PRIVATE | {"Savings": "many", "Guarantor": "firm"}
    two = given | {"Savings": None, "Guarantor": None}
    # Of savings "some" weighs least, of the guarantor it is no guarantor at all, a missing value.
    decisions = scorer.score([given, given | {"Savings": None}, two])
    assert [each.probability for each in decisions] == pytest.approx(
        [good(given), good(given | {"Savings": "some"}), good(two | {"Savings": "some"})]
    )
    assert [[(a.field, a.value) for a in each.assumed] for each in decisions] == [
        [],
        [("Savings", "some")],
        [("Savings", "some"), ("Guarantor", None)],
    ]
    assert decisions[2].assumed[1].words == (
        "Guarantor is not given; it was scored as missing, which gives the lowest probability"
    )
    assert scorer.score(pd.DataFrame([two]))[0].assumed == decisions[2].assumed
    # To a model and to whoever validates it, a missing value is what it was in training.
    assert scorer.probabilities(pd.DataFrame([two]))[0] == pytest.approx(good(two))
    answers = ServedModel(scorer).predict([given, two])
    assert answers.assumed.tolist() == [[], [asdict(each) for each in decisions[2].assumed]]


any_application = st.fixed_dictionaries(
    {
        field.name: st.integers(1, 9)
        if field.levels is None
        else st.sampled_from([*field.choices, *([None] if field.takes_blank else [])])
        for field in CONTRACT.fields
    }
)


@settings(max_examples=30)  # of 9 amounts and 4, 2, 3, 3 levels and blanks
@given(any_application)
def test_no_reason_advises_a_blank_and_no_blank_beats_a_value(scorer, record):
    [decision] = scorer.score(record, reasons=True)
    for reason in decision.reasons:
        field, (is_so, better) = reason.field, reason.words.split("; ")
        assert reason.better is not None and better.startswith(f"{reason.better}, as is usual")
        assert reason.better in (CONTRACT[field].choices or [5]) and reason.value == record[field]
        assert ("not given" in is_so) == (record[field] is None) and "given" not in better
    for field in CONTRACT.fields[1:]:
        try:
            [blank] = scorer.score(record | {field.name: None})
        except InvalidRecords:
            assert not field.takes_blank
        else:
            values = [scorer.score(record | {field.name: v})[0] for v in field.levels]
            assert blank.probability <= min(each.probability for each in values)


def test_the_pyfunc_refuses_and_accepts_alike(scorer):
    served, blank = ServedModel(scorer), PRIVATE | {"Account": None}
    for sent in ([blank], pd.DataFrame([blank])):
        with pytest.raises(RefusedApplications, match="stated as 'no account', never by a blank"):
            served.predict(sent)
    stated = PRIVATE | {"Account": "no account"}
    for sent in ([stated], pd.DataFrame([stated])):
        assert served.predict(sent).probability[0] == pytest.approx(good(blank))


@pytest.mark.parametrize(
    ("columns", "problem"),
    [
        (
            [column("A", ["x"], missingMeans="none")],
            "A: missingMeans is 'none'; allowed level, refuse, worst",
        ),
        (
            [column("A", ["x"], missingMeans="level")],
            "A: missingMeans 'level' needs missingLabel, the name by which an applicant states",
        ),
        (
            [column("A", ["x"], missingMeans="level", missingLabel=" ")],
            "A: missingMeans 'level' needs missingLabel",
        ),
        (
            [column("A", ["x", "y"], missingMeans="level", missingLabel="y")],
            "A: missingLabel 'y' is a level already",
        ),
        (
            [column("A", [1, 2], type="integer", missingMeans="level", missingLabel="2")],
            "A: missingLabel '2' is a level already",
        ),
        (
            [column("A", ["x"], missingMeans="level", missingLabel="NA")],
            "A: missingLabel 'NA' says that nothing is given",
        ),
        (
            [column("A", ["x"], missingMeans="worst", missingLabel="none")],
            "A: missingLabel needs missingMeans 'level'",
        ),
        (
            [AMOUNT | {"missingMeans": "level", "missingLabel": "none"}],
            "Amount: is never missing; remove missingMeans and missingLabel",
        ),
        (
            [column(name, list("abcdefg"), missingMeans="worst") for name in "PQRST"],
            "blanks in P, Q, R, S, T may stand for 32768 combinations of values, and at most 4096",
        ),
    ],
)
def test_a_descriptor_that_contradicts_itself_is_refused(columns, problem):
    with pytest.raises(ContractError) as refused:
        parse_contract(package(*columns))
    assert len(refused.value.problems) == 1 and refused.value.problems[0].startswith(problem)


def test_the_german_files_blanks_are_states_with_names():
    contract = read_contract(ROOT / "data/raw/datapackage.json")
    found = {f.name: (f.missing_means, f.missing_label) for f in contract.fields if not f.required}
    assert found == {
        "Saving accounts": ("level", "1000 DM or more"),
        "Checking account": ("level", "200 DM or more or salary account"),
    }
