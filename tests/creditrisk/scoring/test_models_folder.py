"""A folder with a model is loaded only if it is what its manifest says."""

import copy
import json
import sys
import types
from importlib.metadata import version

import pytest
from germanmodels import APPLICATION, CONTRACT, fitted

from creditrisk.data.encoding import encoder
from creditrisk.scoring.scorer import ModelRefused
from creditrisk.scoring.sources.loading import load_scorer
from creditrisk.scoring.sources.model_files import save_pickle, save_skops
from creditrisk.scoring.sources.model_manifest import sealed


@pytest.fixture
def folder(tmp_path):
    """A models folder as 04_registration leaves it, and what rewrites parts of its manifest."""

    logistic = fitted("Logistic Regression")

    def write(pipeline=logistic, **changes):
        columns = list(encoder(CONTRACT).get_feature_names_out())
        manifest = {
            "model": "Credit_Risk_Model",
            "version": 3,
            "cutoff": 0.72,
            "model_sha256": save_pickle(pipeline, tmp_path / "credit_risk_model.pkl"),
            "model_columns_sha256": save_pickle(columns, tmp_path / "model_columns.pkl"),
            "model_skops_sha256": save_skops(pipeline, tmp_path / "credit_risk_model.skops"),
            "libraries": {"scikit-learn": version("scikit-learn")},
            "contract": CONTRACT.package,
        }
        (tmp_path / "manifest.json").write_text(json.dumps(sealed(manifest | changes)))
        return tmp_path

    return write


def test_a_folder_is_loaded_only_if_it_is_what_its_manifest_says(folder, tmp_path):
    scorer = load_scorer(folder())
    assert (scorer.name, scorer.version, scorer.alias) == ("Credit_Risk_Model", 3, None)
    assert scorer.fast and scorer.cutoff == 0.72 and scorer.contract == CONTRACT
    for pickled in ("credit_risk_model.pkl", "model_columns.pkl"):
        (tmp_path / pickled).unlink()  # they are for people
    assert load_scorer(tmp_path).score(APPLICATION) == scorer.score(APPLICATION)
    with pytest.raises(ModelRefused, match=r"no sha256 of its own: it was made by an earlier"):
        (tmp_path / "manifest.json").write_text(json.dumps({"model": "Credit_Risk_Model"}))
        load_scorer(tmp_path)


def test_a_model_of_types_that_moved_is_refused_in_one_sentence(folder, monkeypatch):
    earlier = types.ModuleType("creditrisk.models")
    earlier.Blend = type("Blend", (), {"__module__": earlier.__name__, "__qualname__": "Blend"})
    monkeypatch.setitem(sys.modules, earlier.__name__, earlier)
    models = folder(earlier.Blend())
    monkeypatch.delitem(sys.modules, earlier.__name__)
    with pytest.raises(ModelRefused, match="made by an earlier layout of this project; run the"):
        load_scorer(models)


def test_a_model_for_another_world_is_refused(folder, tmp_path):
    other = json.loads(json.dumps(CONTRACT.package))
    del other["resources"][0]["mixes"]
    other["resources"][0]["schema"]["fields"][8]["constraints"]["enum"].pop()
    imputing = copy.deepcopy(fitted("Logistic Regression"))
    number = [field.name for field in CONTRACT.categories].index("Saving accounts")
    part = imputing["encode"].named_transformers_[f"category {number}"]
    part["nan"].statistics_[:] = "little"
    for changes, words in [
        ({"libraries": {"scikit-learn": "1.2.2"}}, "made with scikit-learn 1.2.2, installed is"),
        ({"libraries": {}}, "is no manifest of a model"),
        ({"contract": {}}, "is no manifest of a model"),
        ({"contract": other}, "columns"),
        ({"cutoff": 0.5}, "cut-off"),
        ({"pipeline": fitted("Logistic Regression")[-1]}, "no encoder followed by a decision"),
        ({"pipeline": imputing}, "reads applications otherwise than its contract"),
        ({"pipeline": {"no": "model"}}, "no encoder followed by a decision"),
        ({"pipeline": fitted("Logistic Regression")[:1]}, "no encoder followed by a decision"),
    ]:
        with pytest.raises(ModelRefused, match=words):
            load_scorer(folder(**changes))
    with pytest.raises(ModelRefused, match="cannot be read"):
        load_scorer(tmp_path / "nowhere")
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(ModelRefused, match="is no manifest"):
        load_scorer(tmp_path)
