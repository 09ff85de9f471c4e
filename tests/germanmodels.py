"""Models of the German file's candidates, applications for them, and what is refused of these."""

from functools import cache

import pandas as pd
from conftest import ROOT
from sklearn.pipeline import Pipeline

from creditrisk.data.applications.frame_codes import as_stated
from creditrisk.data.descriptor import read_contract
from creditrisk.data.encoding import encoder, target
from creditrisk.data.raw_files.reading import read_raw
from creditrisk.modelling import candidates

CONTRACT = read_contract(ROOT / "data/raw/datapackage.json")
TABLE = read_raw(ROOT / "data/raw/german_credit_data.csv", CONTRACT)
RAW = TABLE[[field.name for field in CONTRACT.fields]]
GOOD = target(TABLE, CONTRACT)
APPLICATION = {
    "Age": 35,
    "Sex": "male",
    "Job": 2,
    "Housing": "own",
    "Saving accounts": "1000 DM or more",
    "Checking account": "little",
    "Credit amount": 3000,
    "Duration": 24,
    "Purpose": "car",
}
USUAL = APPLICATION | {"Saving accounts": "little", "Checking account": None, "Duration": 12}
AGES, SAVINGS = (
    "allowed 18 to 120 years",
    "allowed little, moderate, quite rich, rich, 1000 DM or more",
)
UNSAID = (
    f"{SAVINGS}; what the data record as missing is stated as '1000 DM or more', never by a blank"
)
REFUSED = [  # field, value as JSON, words
    ("Age", '"35"', f"Age is not a whole number; {AGES}"),
    ("Age", "35.5", f"Age is not a whole number; {AGES}"),
    ("Age", "35.0", f"Age is not a whole number; {AGES}"),
    ("Age", "true", f"Age is not a whole number; {AGES}"),
    ("Age", "[35]", f"Age is not a whole number; {AGES}"),
    ("Age", '{"a": 35}', f"Age is not a whole number; {AGES}"),
    ("Age", "null", f"Age is null; {AGES}"),
    ("Age", "NaN", f"Age is not a finite number; {AGES}"),
    ("Age", "-Infinity", f"Age is not a finite number; {AGES}"),
    ("Age", "1e309", f"Age is not a finite number; {AGES}"),
    ("Age", "17", f"Age is out of range; {AGES}"),
    ("Age", "121", f"Age is out of range; {AGES}"),
    ("Age", "1" + 30 * "0", f"Age is out of range; {AGES}"),
    ("Credit amount", "-4711", "Credit amount is out of range; allowed 100 to 50,000 DM"),
    ("Job", "true", "Job is not a whole number; allowed 0, 1, 2, 3"),
    ("Job", "4", "Job is not an allowed value; allowed 0, 1, 2, 3"),
    ("Sex", "0", "Sex is not text; allowed female, male"),
    ("Sex", '"Secret"', "Sex is not an allowed value; allowed female, male"),
    ("Sex", '" male"', "Sex is not an allowed value; allowed female, male"),
    ("Housing", "null", "Housing is null; allowed free, rent, own"),
    ("Saving accounts", '"missing"', f"Saving accounts is not an allowed value; {SAVINGS}"),
    ("Saving accounts", '"NA"', f"Saving accounts is not an allowed value; {SAVINGS}"),
    ("Saving accounts", "null", f"Saving accounts is null; {UNSAID}"),
    ("Saving accounts", '""', f"Saving accounts is empty; {UNSAID}"),
    ("Saving accounts", "false", f"Saving accounts is not text; {SAVINGS}"),
    ("Saving accounts", "NaN", f"Saving accounts is not a finite number; {SAVINGS}"),
    (
        "Savings accounts",
        '"rich"',
        "Savings accounts is not a field of an application; did you mean 'Saving accounts'?",
    ),
    ("Risk", '"good"', "Risk is not a field of an application"),
]


@cache
def fitted(name: str, few: bool = False) -> Pipeline:
    """The fitted pipeline of a candidate with the cut-off .72; no test may change it.

    ``few`` leaves a tuned forest, also that of a blend, 20 trees: for what does not depend on how
    many there are.
    """
    ready = encoder(CONTRACT)
    chosen = {"Tuned Random Forest": {"n_estimators": 20}} if few else None
    estimator = candidates.estimator(name, CONTRACT, 7, chosen=chosen)
    pipeline = candidates.decision_model(ready, estimator, 0.72)
    pipeline["decide"].fit(ready.transform(RAW), GOOD)
    return pipeline


def as_json_gives_it(frame):
    """Applications in the coding of the data, as their applicants state them."""
    frame = as_stated(frame, CONTRACT)
    columns = {name: [None if pd.isna(v) else v for v in frame[name].tolist()] for name in frame}
    return [dict(zip(columns, row)) for row in zip(*columns.values())]
