"""A small trained model in a folder, for whatever serves or scores with one."""

import json
from pathlib import Path

import sklearn
from conftest import ROOT
from sklearn.base import BaseEstimator
from sklearn.pipeline import Pipeline

from creditrisk.data.applications.examples import applications
from creditrisk.data.descriptor import read_contract
from creditrisk.data.encoding import encoder, target
from creditrisk.data.raw_files.reading import read_raw
from creditrisk.modelling import candidates
from creditrisk.scoring.sources.model_files import save_pickle, save_skops
from creditrisk.scoring.sources.model_manifest import sealed

RAW_FILE = ROOT / "data/raw/german_credit_data.csv"
CONTRACT = read_contract(ROOT / "data/raw/datapackage.json")
ONE, TWO, THREE = applications(CONTRACT)


def publish(folder: Path, name: str, version: int) -> Path:
    """Train a model, forests of few trees, and put it into a folder, as the registration does."""
    return put(folder, trained(few_trees(candidates.estimator(name, CONTRACT, 7))), version)


def trained(estimator: BaseEstimator) -> Pipeline:
    """A model that has learned from the whole raw file."""
    table, ready = read_raw(RAW_FILE, CONTRACT), encoder(CONTRACT)
    X, y = ready.transform(table), target(table, CONTRACT)
    pipeline = candidates.decision_model(ready, estimator, 0.7)
    pipeline.named_steps["decide"].fit(X, y)
    return pipeline


def few_trees(estimator: BaseEstimator) -> BaseEstimator:
    """The same with forests of 20 trees, for what does not depend on how many there are."""
    names = [name for name in estimator.get_params() if name.endswith("n_estimators")]
    return estimator.set_params(**dict.fromkeys(names, 20))


def put(folder: Path, pipeline: Pipeline, version: int, **changes) -> Path:
    """Put a trained model into a folder, as the registration notebook does.

    ``changes`` are to its manifest: another contract, another reference.
    """
    folder.mkdir(exist_ok=True)
    columns = list(pipeline.named_steps["encode"].get_feature_names_out())
    manifest = {
        "model": "Credit_Risk_Model",
        "version": version,
        "cutoff": 0.7,
        "model_sha256": save_pickle(pipeline, folder / "credit_risk_model.pkl"),
        "model_columns_sha256": save_pickle(columns, folder / "model_columns.pkl"),
        "model_skops_sha256": save_skops(pipeline, folder / "credit_risk_model.skops"),
        "libraries": {"scikit-learn": sklearn.__version__},
        "contract": CONTRACT.package,
        "reference": TWO,
    } | changes
    (folder / "manifest.json").write_text(json.dumps(sealed(manifest)), "utf-8")
    return folder
