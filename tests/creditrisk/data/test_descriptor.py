"""What a descriptor may say, and what is answered to one that contradicts itself."""

import copy
import json

import pytest
from conftest import ROOT
from hypothesis import given
from hypothesis import strategies as st

from creditrisk.data.contract import ContractError, Costs, Mix, Split
from creditrisk.data.descriptor import parse_contract, read_contract
from creditrisk.data.fields import SpecialCode, TextFormat

GERMAN = json.loads((ROOT / "data/raw/datapackage.json").read_text("utf-8"))

#: A package that says everything that can be said of a table.
FULL = {
    "name": "loans 2024/q1",
    "title": "Loans of a lender",
    "resources": [
        {
            "name": "loans",
            "path": ["2024-01.csv.gz", "2024-02.csv.gz"],
            "encoding": "latin-1",
            "dialect": {"delimiter": ";", "quoteChar": "'", "skipInitialSpace": True},
            "costs": {"badAccepted": 8.5, "goodRejected": 1},
            "realBadRate": 0.03,
            "population": "applicants",
            "split": {"by": "date", "testFrom": "2024-02-01"},
            "target": {
                "field": "state",
                "good": ["Fully Paid"],
                "bad": ["Charged Off", "Default"],
                "exclude": ["Current"],
            },
            "schema": {
                "missingValues": ["", "n/a"],
                "primaryKey": "loan",
                "fields": [
                    {"name": "loan", "type": "string", "role": "id"},
                    {
                        "name": "issued",
                        "type": "date",
                        "format": "%d.%m.%Y",
                        "role": "date",
                        "constraints": {"required": True, "minimum": "2024-01-01"},
                    },
                    {
                        "name": "rate",
                        "type": "number",
                        "unit": "%",
                        "bareNumber": False,
                        "decimalChar": ",",
                        "groupChar": ".",
                        "expectedDirection": "riskier",
                        "example": 13.5,
                        "constraints": {"minimum": 0, "maximum": 99.9},
                        "specialCodes": [{"value": -999, "label": "never quoted"}],
                        "missingMeans": "level",
                        "missingLabel": "not quoted yet",
                        "missingValues": ["--"],
                    },
                    {
                        "name": "since",
                        "type": "yearmonth",
                        "format": "%b-%Y",
                        "example": "Feb-1999",
                        "immutable": True,
                    },
                    {
                        "name": "owner",
                        "type": "boolean",
                        "trueValues": ["Y"],
                        "falseValues": ["N"],
                        "missingMeans": "value",
                    },
                    {
                        "name": "job",
                        "type": "string",
                        "unlisted": "other",
                        "constraints": {"required": True, "enum": ["nurse", "teacher", "other"]},
                    },
                    {"name": "recoveries", "type": "number", "role": "afterOutcome"},
                    {"name": "weight", "type": "number", "role": "weight"},
                    {"name": "state", "type": "string"},
                ],
            },
        }
    ],
}


def test_everything_that_can_be_said_arrives_in_the_contract():
    contract = parse_contract(FULL)
    assert [field.name for field in contract.fields] == ["rate", "since", "owner", "job"]
    assert [field.name for field in contract.carried] == ["loan", "issued", "weight"]
    assert contract.good == ("Fully Paid",) and contract.bad == ("Charged Off", "Default")
    assert contract.excluded == ("Current",)
    assert contract.target.levels == ("Charged Off", "Default", "Fully Paid", "Current")
    assert contract.costs == Costs(8.5, 1) and contract.real_bad_rate == 0.03
    assert contract.split == Split("date", "2024-02-01")
    assert contract.model_name == "Credit_Risk_Model_loans_2024_q1"
    assert contract.paths == ("2024-01.csv.gz", "2024-02.csv.gz")
    assert (contract.delimiter, contract.quote_char, contract.encoding) == (";", "'", "latin-1")
    assert contract.skip_initial_space and contract.source == "not stated"
    rate, since, owner, job = contract.fields
    assert rate.written == TextFormat(decimal_char=",", group_char=".", bare=False)
    assert rate.special == (SpecialCode(-999, "never quoted"),) and rate.direction == "riskier"
    assert (rate.minimum, rate.maximum, rate.missing_values) == (0, 99.9, ("--",))
    assert since.example == 29 * 12 + 1 and since.immutable  # 29 years and a month after 1970
    assert owner.levels == (False, True) and owner.takes_blank
    assert job.unlisted == "other"
    # 54 years, of which 13 are leap years: 54 x 365 + 13 = 19723
    assert contract.of_role("date").minimum == 19723


def test_the_german_file_has_its_costs_its_rate_and_its_models_name():
    contract = parse_contract(GERMAN)
    assert contract.model_name == "Credit_Risk_Model" and contract.costs == Costs(5, 1)
    assert contract.real_bad_rate == 0.05 and contract.bad == ("bad",)
    assert [field.name for field in contract.fields if field.immutable] == ["Age", "Sex"]


def of_package(**more):
    return {**copy.deepcopy(FULL), **more}


def of_table(**more):
    package = copy.deepcopy(FULL)
    package["resources"][0] |= more
    return package


def of_field(name, drop=(), **more):
    """The package with other properties of one column; constraints are replaced as a whole."""
    package = copy.deepcopy(FULL)
    fields = package["resources"][0]["schema"]["fields"]
    entry = next(each for each in fields if each["name"] == name)
    for each in drop:
        del entry[each]
    entry |= more
    return package


def with_field(**entry):
    package = copy.deepcopy(FULL)
    package["resources"][0]["schema"]["fields"].insert(0, entry)
    return package


def with_target(**target):
    return of_table(target={"field": "state"} | target)


LEVELS = ["nurse", "teacher", "other"]
MIX = {"name": "m", "field": "job", "shares": {"nurse": 0.5, "other": 0.5}}


def with_mix(**more):
    return of_table(mixes=[MIX | more])


def test_mixes_follow_the_order_of_levels_and_groups():
    by_rate = {"name": "r", "field": "rate", "groupsUpTo": [5, 9.5], "shares": [0.2, 0, 0.8]}
    contract = parse_contract(of_table(mixes=[MIX, by_rate]))
    levels = contract["job"].all_levels
    shares = tuple(0.5 if level in ("nurse", "other") else 0.0 for level in levels)
    assert contract.mixes == (Mix("m", "job", shares), Mix("r", "rate", (0.2, 0.0, 0.8), (5, 9.5)))
    assert [mix.name for mix in contract.without(["job"]).mixes] == ["r"]


CONTRADICTIONS = [
    (of_package(resouces=[]), "property 'resouces' is unknown; did you mean 'resources'?"),
    (of_package(modelName="a/b"), "modelName is 'a/b'; allowed letters, digits"),
    (of_package(resources=FULL["resources"] * 2), "has 2 resources; allowed exactly one"),
    (of_table(rows="10"), "the table: rows is '10'; allowed a whole number"),
    (of_table(hash="md5:1"), "hash is 'md5:1'; allowed sha256:"),
    (of_table(encoding="latin-99"), "encoding 'latin-99' is unknown"),
    (of_table(dialect={"delimeter": ";"}), "'delimeter' is unknown; did you mean 'delimiter'?"),
    (of_table(dialect={"delimiter": ";;"}), "delimiter is ';;'; allowed a single character"),
    (of_table(dialect={"header": False}), "dialect: header is false; allowed true"),
    (of_table(dialect={"delimiter": "'", "quoteChar": "'"}), "are the same character"),
    (of_table(costs={"badAccepted": 0, "goodRejected": 1}), "badAccepted is 0; allowed a number"),
    (of_table(costs={"badAccepted": 5}), "costs has no 'goodRejected'"),
    (with_mix(field="jobs"), "mix 'm': field 'jobs' is no column of an application; did you mean"),
    (with_mix(field="loan"), "mix 'm': field 'loan' is no column of an application"),
    (with_mix(share={}), "mix 'm': property 'share' is unknown; did you mean 'shares'?"),
    (with_mix(shares={"nurse": 1, "clerk": 0}), "job: shares has 'clerk', which is no level"),
    (with_mix(shares={"nurse": 0.5, "other": 0.4}), "job: shares add up to 0.9; allowed 1"),
    (with_mix(shares={"nurse": -1, "other": 2}), "mix 'm': shares is {'nurse': -1"),
    (with_mix(shares=[0.5, 0.5]), "job: shares is [0.5, 0.5]; allowed a share for each level"),
    (with_mix(groupsUpTo=[1]), "job: groupsUpTo is for a quantity; remove it"),
    (with_mix(field="rate", shares=[1]), "rate: a quantity needs groupsUpTo"),
    (with_mix(field="rate", groupsUpTo=["9"], shares=[0, 1]), "rate: groupsUpTo is ['9']; allowed"),
    (with_mix(field="rate", groupsUpTo=[9, 9], shares=[1, 0, 0]), "rate: groupsUpTo does not rise"),
    (
        with_mix(field="rate", groupsUpTo=[9], shares=[1]),
        "rate: shares is [1]; allowed a list of",
    ),
    (of_table(mixes=[MIX, MIX]), "mixes has the name 'm' twice"),
    (of_table(realBadRate=1), "realBadRate is 1; allowed a number between 0 and 1"),
    (of_table(rowNumber="loan"), "loan: is also the rowNumber"),
    (of_table(split={"by": "time"}), "split: by is 'time'; allowed random, date, group"),
    (of_table(split={"by": "group"}), "needs a column with the role 'group'"),
    (of_table(split={"by": "date", "testFrom": "2024-02-30"}), "testFrom is '2024-02-30'"),
    (of_table(split={"testFrom": "2024-02-01"}), "testFrom needs by 'date'"),
    (of_field("issued", constraints={}), "issued: the split is by it, so set"),
    (with_target(good=["Fully Paid"]), "give positive, or good and bad"),
    (with_target(good=["a"], bad=["b", "a"]), "names 'a' twice among good, bad and exclude"),
    (with_target(good=[1], bad=["b"]), "names 1, which is no value of state of type string"),
    (with_target(positive="Fully Paid"), "positive class 'Fully Paid' is no level"),
    (with_target(field="status"), "field 'status' is no column; did you mean 'state'?"),
    (of_field("state", constraints={"enum": ["Default"]}), "is in one of the lists or in the enum"),
    (of_field("state", role="group"), "state: is the target, which has no role"),
    (of_field("state", protected=True), "state: protected is for a column that a model may use"),
    (with_field(name="rate", type="number"), "rate: is described 2 times"),
    (with_field(name="loan 2", type="string", role="id"), "one column at most has the role 'id'"),
    (with_field(name="purpose", type="string"), "purpose: a string needs an enum"),
    (with_field(name="x", type="time"), "x: type is 'time'; allowed integer, number, date"),
    (with_field(name="x", type="date", role="weight"), "role weight needs type integer or number"),
    (with_field(name="x", type="date", format="any"), "x: format 'any' is not supported"),
    (with_field(name="x", type="date", format="%d.%m."), "x: format is '%d.%m.'; allowed default"),
    (with_field(name="x", type="number", role="later"), "role is 'later'; allowed input, id"),
    (with_field(name="x", type="integer", constraints={"minimum": 0.5}), "minimum has 0.5; a val"),
    (with_field(name="x", type="integer", constraints={"enum": ["1"]}), "enum has '1'; a value of"),
    (with_field(name="x", type="integer", constraints={"enum": [1, 1]}), "x: enum has 1 twice"),
    (
        with_field(name="x", type="boolean", constraints={"enum": [True]}),
        "x: enum with type boolean",
    ),
    (
        with_field(name="x", type="integer", constraints={"pattern": "1"}),
        "pattern is not supported",
    ),
    (with_field(name="x", type="integer", unit=1), "x: unit is 1; allowed a text"),
    (with_field(name="x", type="number", scale="log"), "x: scale is 'log'; allowed linear, or log"),
    (with_field(name="x", type="number", protected=True), "a protected quantity needs groupsUpTo"),
    (
        with_field(name="x", type="number", protected=True, groupsUpTo=[3, 2]),
        "x: groupsUpTo does not rise",
    ),
    (of_field("rate", constraints={"minimum": 2, "maximum": 1}), "minimum 2 is above maximum 1"),
    (
        of_field("rate", specialCodes=[{"value": -1, "label": l} for l in "ab"]),
        "rate: specialCodes has -1 twice",
    ),
    (of_field("rate", decimalChar="."), "rate: decimalChar and groupChar are both '.'"),
    (of_field("rate", example=100), "rate: example 100 is not allowed: 0 to 99.9 %"),
    (of_field("rate", missingLabel=["x"]), "rate: missingLabel is ['x']; allowed a text"),
    (of_field("rate", missingMeans="level", missingLabel="--"), "says that nothing is given"),
    (of_field("owner", trueValues=["Y", "N"]), "owner: trueValues and falseValues both have 'N'"),
    (of_field("owner", decimalChar=","), "owner: decimalChar is for type number, not boolean"),
    (of_field("job", unlisted="none"), "job: unlisted is 'none', which is no level of the enum"),
    (of_field("job", expectedDirection="safer"), "for a quantity or an ordered category"),
    (of_field("rate", expectedDirection="up"), "expectedDirection is 'up'; allowed safer, riskier"),
    (of_field("job", specialCodes=[]), "job: specialCodes is for a quantity"),
    (of_field("job", missingMeans="refuse"), "job: is never missing; remove missingMeans"),
    (of_field("weight", immutable=True), "this one is of the role 'weight'; remove it"),
    (of_field("loan", drop=["role"]), "primaryKey is 'loan'; allowed the column with the role"),
]


@pytest.mark.parametrize(("package", "words"), CONTRADICTIONS, ids=[w for _, w in CONTRADICTIONS])
def test_a_contradiction_is_named_with_its_column_and_what_is_allowed(package, words):
    with pytest.raises(ContractError) as refusal:
        parse_contract(package, "loans.json")
    message = str(refusal.value)
    assert words in message and "loans.json" in message and "Remedy: mend" in message, message


def test_open_questions_are_asked_until_they_are_answered(tmp_path):
    package = of_field("rate", review=["Is it known when an application is made?"])
    package["resources"][0]["review"] = ["What does a bad loan cost?"]
    path = tmp_path / "datapackage.json"
    path.write_text(json.dumps(package), "utf-8")
    with pytest.raises(ContractError) as refusal:
        read_contract(path)
    assert refusal.value.problems == [
        "the table: What does a bad loan cost?",
        "rate: Is it known when an application is made?",
    ]
    assert "Remedy: set the property" in str(refusal.value)
    assert read_contract(path, open_questions=True).costs == Costs(8.5, 1)


def test_a_property_that_is_given_twice_is_refused(tmp_path):
    text = json.dumps(FULL).replace('"unit": "%"', '"unit": "%", "unit": "EUR"')
    (tmp_path / "datapackage.json").write_text(text, "utf-8")
    with pytest.raises(ContractError, match="names 'unit' twice"):
        read_contract(tmp_path / "datapackage.json")


def parts(value, path=()):
    """The path of each value inside a descriptor."""
    inside = value.items() if isinstance(value, dict) else enumerate(value)
    for key, each in inside:
        yield (*path, key)
        if isinstance(each, dict | list):
            yield from parts(each, (*path, key))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)


@given(st.sampled_from([FULL, GERMAN]), st.data())
def test_any_value_in_any_place_is_taken_or_refused_in_a_sentence(package, data):
    """Whatever stands in a part of a descriptor, nothing but a ContractError comes of it."""
    path = data.draw(st.sampled_from(list(parts(package))))
    damaged = copy.deepcopy(package)
    place = damaged
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = data.draw(JSON)
    try:
        parse_contract(damaged)
    except ContractError as error:
        assert error.problems and all(isinstance(problem, str) for problem in error.problems)
