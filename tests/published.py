"""A small trained model in a folder, for whatever serves or scores with one."""

import hashlib
import json
import pickle
from pathlib import Path

import sklearn
from conftest import ROOT

from creditrisk.data.contract import read_contract
from creditrisk.data.encoding import encoder, target
from creditrisk.data.examples import applications
from creditrisk.data.raw import read_raw
from creditrisk.modelling import candidates

RAW_FILE = ROOT / "data/raw/german_credit_data.csv"
CONTRACT = read_contract(ROOT / "data/raw/datapackage.json")
ONE, TWO, THREE = applications(CONTRACT)


def publish(folder: Path, name: str, version: int) -> Path:
    """Put a small trained model into a folder, as the registration notebook does."""
    folder.mkdir(exist_ok=True)
    table, ready = read_raw(RAW_FILE, CONTRACT), encoder(CONTRACT)
    X, y = ready.transform(table), target(table, CONTRACT)
    pipeline = candidates.decision_model(ready, candidates.estimator(name, CONTRACT, 7), 0.7)
    pipeline.named_steps["decide"].fit(X, y)
    content = {
        "credit_risk_model.pkl": pickle.dumps(pipeline),
        "model_columns.pkl": pickle.dumps(list(X.columns)),
    }
    hashes = [hashlib.sha256(each).hexdigest() for each in content.values()]
    content["manifest.json"] = json.dumps(
        {
            "model": "Credit_Risk_Model",
            "version": version,
            "cutoff": 0.7,
            "model_sha256": hashes[0],
            "model_columns_sha256": hashes[1],
            "libraries": {"scikit-learn": sklearn.__version__},
            "contract": CONTRACT.package,
            "reference": TWO,
        }
    ).encode()
    for file, what in content.items():
        (folder / file).write_bytes(what)
    return folder
