"""What stands between an altered model and whoever opens it: hashes, signature, registry."""

import hashlib
import hmac
import json
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT
from published import ONE, publish

from creditrisk.scoring.scorer import ModelRefused
from creditrisk.scoring.sources.loading import load_scorer
from creditrisk.scoring.sources.model_manifest import KEY, sealed

SECRET, OTHER = "only training and servers have it", "somebody else's idea of a key"


@pytest.fixture(autouse=True)
def no_registry_no_key(monkeypatch):
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI", KEY):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def published(tmp_path_factory) -> Path:
    return publish(tmp_path_factory.mktemp("published") / "models", "Logistic Regression", 3)


@pytest.fixture
def models(published, tmp_path) -> Path:
    return shutil.copytree(published, tmp_path / "models")


def test_of_35_altered_models_none_is_scored_none_runs_code_and_none_crashes(tmp_path, empty_store):
    options = ["--models", "35", "--store", str(empty_store)]
    command = [sys.executable, "tests/alteredmodels.py", str(tmp_path), *options]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    # 35 alterations: 14 of a folder, opened eight ways, and 21 of a registry, nine ways
    opened = 8 * 14 + 9 * 21
    assert ran.stdout.splitlines()[-1] == f"35 altered models, {opened} openings, 0 not refused"


def rewrite(models: Path, **changes) -> None:
    content = json.loads((models / "manifest.json").read_text("utf-8")) | changes
    (models / "manifest.json").write_text(json.dumps(content), "utf-8")


def test_every_field_of_the_manifest_counts_and_its_layout_does_not(models):
    file = models / "manifest.json"
    whole = json.loads(file.read_text("utf-8"))
    plain = {name: value for name, value in whole.items() if name != "manifest_sha256"}
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"))
    assert whole["manifest_sha256"] == hashlib.sha256(text.encode()).hexdigest()
    file.write_text(json.dumps(dict(reversed(whole.items())), indent=7), "utf-8")
    assert load_scorer(models).version == 3
    for name, other in {"version": 4, "model": "Other", "reference": ONE, "new": 1}.items():
        file.write_text(json.dumps(whole | {name: other}), "utf-8")
        with pytest.raises(ModelRefused, match="was changed after it was written"):
            load_scorer(models)
    file.write_text(json.dumps(sealed(whole | {"reference": None})), "utf-8")
    assert load_scorer(models).reference is None, "its cut-off approves no good applicant"
    file.write_text(json.dumps(sealed(whole | {"reference": []})), "utf-8")
    with pytest.raises(ModelRefused, match="is no manifest of a model"):
        load_scorer(models)
    for broken in ("[]", "{", "[" * 100_000, '{"manifest_sha256": "", "cutoff": NaN}'):
        file.write_text(broken)
        with pytest.raises(ModelRefused, match="is no manifest of a model"):
            load_scorer(models)


def test_where_there_is_a_key_only_what_was_signed_with_it_is_opened(models, monkeypatch):
    manifest = json.loads((models / "manifest.json").read_text("utf-8"))
    monkeypatch.setenv(KEY, SECRET)
    with pytest.raises(ModelRefused, match="is not signed, and CREDITRISK_MANIFEST_KEY is set"):
        load_scorer(models)
    signed = sealed(manifest)
    text = json.dumps(
        {name: value for name, value in manifest.items() if name != "manifest_sha256"},
        sort_keys=True,
        separators=(",", ":"),
    )
    by_hand = hmac.new(SECRET.encode(), text.encode(), hashlib.sha256).hexdigest()
    assert signed["manifest_hmac"] == by_hand
    (models / "manifest.json").write_text(json.dumps(signed))
    assert load_scorer(models).score(ONE)
    monkeypatch.setenv(KEY, OTHER)
    with pytest.raises(ModelRefused, match="signed with another key than CREDITRISK_MANIFEST_KEY"):
        load_scorer(models)
    for short in ("", "secret"):
        monkeypatch.setenv(KEY, short)
        with pytest.raises(ModelRefused, match="is set but has fewer than 16 characters"):
            load_scorer(models)
    monkeypatch.delenv(KEY)
    assert load_scorer(models).score(ONE), "without a key the seal is enough"
    rewrite(models, manifest_hmac="0" * 64)
    with pytest.raises(ModelRefused, match="was changed after it was written"):
        load_scorer(models)


@pytest.mark.parametrize("named", [True, False])
def test_a_folder_is_compared_with_the_registry_beside_it(models, tmp_path, monkeypatch, named):
    manifest = json.loads((models / "manifest.json").read_text("utf-8"))
    store = tmp_path / ("another.db" if named else "mlflow.db")
    if named:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{store}")
    with sqlite3.connect(store) as database:
        database.execute("create table model_version_tags (name, version, key, value)")
        for key in ("model_sha256", "manifest_sha256"):
            row = ("Credit_Risk_Model", "3", key, manifest[key])
            database.execute("insert into model_version_tags values (?, ?, ?, ?)", row)
    database.close()
    assert load_scorer(models).version == 3
    rewrite(models, **sealed(manifest | {"reference": ONE}))
    with pytest.raises(ModelRefused, match=r"does not hold version 3 .*manifest_sha256 differs"):
        load_scorer(models)
    rewrite(models, **sealed(manifest | {"version": 4}))
    assert load_scorer(models).version == 4, "the registry has no version 4 to compare with"
    store.write_bytes(b"no database")
    rewrite(models, **sealed(manifest | {"reference": ONE}))
    assert load_scorer(models).version == 3
