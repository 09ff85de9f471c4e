"""Data sets side by side: where the results of each go, and that none takes another's place."""

import json
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from conftest import ROOT
from published import CONTRACT, RAW_FILE, put, trained

import run_all
from creditrisk import cli, data_sets
from creditrisk.data.contract import ContractError
from creditrisk.data.descriptor import parse_contract
from creditrisk.data.raw_files.reading import read_raw
from creditrisk.modelling import candidates
from creditrisk.scoring.sources.production import Home, in_use

#: The twenty-column file.
OTHER = "data/german_credit_20"


@pytest.fixture
def clone(tmp_path) -> Path:
    """What a clone has of data, with the chain's program; nothing was run."""
    root = tmp_path / "clone"
    for folder in ("data/raw", OTHER):
        shutil.copytree(ROOT / folder, root / folder)
    return root


def describe(folder: Path, **changes) -> Path:
    """A folder with the twenty-column file and its descriptor, some properties changed."""
    shutil.copytree(ROOT / OTHER, folder)
    path = folder / "datapackage.json"
    package = json.loads(path.read_text("utf-8"))
    table = {name: changes.pop(name) for name in ("path", "review") if name in changes}
    package["resources"][0] |= table
    path.write_text(json.dumps(package | changes), "utf-8")
    return folder


def test_each_data_set_has_folders_of_its_own_and_the_default_one_those_of_always(clone, tmp_path):
    default = data_sets.data_set(clone, clone / "data/raw")
    outputs = default.training, default.experiments, default.models
    assert outputs == ("data/training", "experiments", "models")
    other = data_sets.data_set(clone, clone / OTHER)
    assert (other.folder, other.model) == (OTHER, "Credit_Risk_Model_german_credit_20")
    name = "german_credit_20"
    outputs = other.training, other.experiments, other.models
    assert outputs == (f"data/training/{name}", f"experiments/{name}", f"models/{name}")
    assert other.files(clone) == [f"{OTHER}/german_credit_20.csv"]
    # a folder anywhere is read where it is; its results go to the clone all the same
    away = describe(tmp_path / "away", name="Loans 2024 / Q1", path="german_*.csv")
    found = data_sets.data_set(clone, away)
    assert (found.folder, found.experiments) == (away.as_posix(), "experiments/loans_2024_q1")
    assert found.files(clone) == [f"{away.as_posix()}/german_credit_20.csv"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": "runs"}, "'runs', cannot be that of a folder"),
        ({"name": "x" * 81}, "cannot be that of a folder"),
        ({"review": ["Which outcome is bad?"]}, "Which outcome is bad?"),
        ({"path": ["german_credit_20.csv", "more.csv"]}, "names more.csv, which is not there"),
        ({"path": "loans-*.csv"}, "no file has such a name"),
    ],
)
def test_a_folder_that_cannot_be_run_is_refused_with_a_remedy(clone, tmp_path, changes, said):
    folder = describe(tmp_path / "loans", **changes)
    with pytest.raises(ContractError, match="Remedy: ") as refused:
        data_sets.data_set(clone, folder).files(clone)
    assert said in str(refused.value)


def test_a_draft_says_that_its_name_is_taken(clone, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(clone)
    data_sets.record(data_sets.data_set(clone, describe(tmp_path / "one", name="loans")), clone)
    for folder, said in (("one", False), ("two", True)):
        path = tmp_path / folder / "loans.csv"
        path.parent.mkdir(exist_ok=True)
        path.write_text("size,bad\n" + "1,0\n2,1\n3,0\n" * 9, "utf-8")
        assert cli.main(["contract", "draft", str(path), "--target", "bad", "--force"]) == 0
        names = f"Results under the name 'loans' are those of {tmp_path / 'one'}: "
        assert (names in capsys.readouterr().out) is said


@pytest.mark.parametrize("inside", [True, False])
def test_data_sets_that_would_be_taken_for_one_another_are_refused(clone, tmp_path, inside):
    other = data_sets.data_set(clone, clone / OTHER)
    data_sets.refuse_confusion(other, clone)
    data_sets.record(other, clone)
    data_sets.refuse_confusion(other, clone)  # itself
    folder = (clone / "data" if inside else tmp_path) / "loans"

    def refusal(**changes) -> str:
        """Of a data set with a column less than the one that is known."""
        shutil.rmtree(folder, ignore_errors=True)
        path = describe(folder, **changes) / "datapackage.json"
        package = json.loads(path.read_text("utf-8"))
        package["resources"][0]["schema"]["fields"].pop(0)
        path.write_text(json.dumps(package), "utf-8")
        try:
            data_sets.refuse_confusion(data_sets.data_set(clone, folder), clone)
        except ContractError as error:
            return str(error)
        return ""

    assert refusal(name="loans", modelName="Loans") == ""
    same_name = refusal(modelName="Loans")
    assert "results would go to experiments/german_credit_20/" in same_name
    assert f"{OTHER}/datapackage.json" in same_name and 'another "name"' in same_name
    same_model = refusal(name="loans")
    assert "named Credit_Risk_Model_german_credit_20" in same_model
    assert f"{OTHER}/datapackage.json" in same_model and 'another "modelName"' in same_model
    # the default data set was not run either, and its model's name is its own all the same
    taken = refusal(name="loans", modelName="Credit_Risk_Model")
    assert "data/raw/datapackage.json" in taken and 'another "modelName"' in taken


def test_the_same_columns_in_another_folder_are_the_same_data_set(clone, tmp_path):
    data_sets.record(data_sets.data_set(clone, clone / OTHER), clone)
    later = describe(tmp_path / "later", title="The same bank a year later")
    data_sets.refuse_confusion(data_sets.data_set(clone, later), clone)


def test_an_empty_name_does_not_mean_the_default():
    with pytest.raises(ValueError, match="--data is empty; give a folder, or leave it out"):
        run_all.of_data_set("")


def test_the_chain_refuses_a_wrong_folder_before_anything_is_written(tmp_path):
    asked = describe(tmp_path / "loans", review=["Which outcome is bad?"])
    empty = tmp_path / "empty"
    empty.mkdir()
    before = sorted((ROOT / "experiments").iterdir())
    for folder, said in ((asked, "Which outcome is bad?"), (empty, "has no datapackage.json")):
        done = subprocess.run(
            [sys.executable, "run_all.py", "--data", str(folder)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith(f"run_all.py: nothing was run: {folder}")
        assert said in done.stderr and "Remedy: " in done.stderr and "Traceback" not in done.stderr
    assert sorted((ROOT / "experiments").iterdir()) == before and not list(empty.iterdir())


# --- two data sets in one registry ------------------------------------------------------------


@pytest.fixture(scope="module")
def registry(tmp_path_factory, empty_store):
    """A project whose registry has version 1 of two models; the other's files are in models/x."""
    import mlflow

    from creditrisk.registry import mlflow_store, promotion

    folder, before = tmp_path_factory.mktemp("project"), mlflow.get_tracking_uri()
    (folder / "models").mkdir()
    example, pipeline = (
        read_raw(RAW_FILE, CONTRACT).head(3),
        trained(candidates.estimator("Logistic Regression", CONTRACT, 1)),
    )
    with warnings.catch_warnings(), pytest.MonkeyPatch.context() as environment:
        warnings.simplefilter("ignore")
        environment.setenv("MLFLOW_TRACKING_URI", "")  # MLflow sets it; at the end it is as before
        shutil.copy(empty_store, folder / "mlflow.db")
        client = mlflow_store.connect(folder / "mlflow.db")
        for name, place in (("Credit_Risk_Model", "models"), ("X", "models/x")):
            package = CONTRACT.package | {"modelName": name}
            put(folder / place, pipeline, 1, model=name, contract=package)
            manifest = json.loads((folder / place / "manifest.json").read_text("utf-8"))
            tags = {key: manifest[key] for key in ("model_sha256", "manifest_sha256")}
            tags["gate_result"] = "passed"
            contract = parse_contract(package)
            experiment = mlflow_store.experiment_of(contract)
            mlflow_store.connect(folder / "mlflow.db", experiment)
            with mlflow.start_run() as run:
                version = mlflow_store.register(client, pipeline, contract, example, "", tags)
            kept_in = client.get_experiment(client.get_run(run.info.run_id).info.experiment_id)
            assert (version.name, int(version.version), kept_in.name) == (name, 1, experiment)
        promotion.promote(client, "Credit_Risk_Model", 1, "for the test")
        yield folder
        mlflow.set_tracking_uri(before)


def production(client) -> dict[str, dict[str, int]]:
    return {model.name: model.aliases for model in client.search_registered_models()}


def test_commands_act_on_the_data_set_that_they_name(registry, monkeypatch, capsys):
    from creditrisk.registry import mlflow_store

    monkeypatch.chdir(registry)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)  # which MLflow itself has set
    client = mlflow_store.connect(registry / "mlflow.db")
    first = {"challenger": 1, "production": 1}
    assert production(client) == {"Credit_Risk_Model": first, "X": {"challenger": 1}}
    x = Home("X", "models/x", "run the chain first")
    with pytest.raises(Exception, match="nothing is in production. models/x/ holds version 1"):
        in_use(None, x)

    assert cli.main(["promote", "1", "--reason", "the best there is", "--data", "models/x"]) == 0
    assert production(client) == {"Credit_Risk_Model": first, "X": first}
    capsys.readouterr()
    for options, reason in ((["--data", "models/x"], "the best there is"), ([], "for the test")):
        assert cli.main(["history", *options]) == 0
        assert capsys.readouterr().out.endswith(f": {reason}\n")
    (line,) = (registry / "experiments/x/promotions.jsonl").read_text("utf-8").splitlines()
    assert json.loads(line)["model"] == "X" and not Path("experiments/promotions.jsonl").exists()

    found = {home: in_use(None, home) for home in (None, x)}
    assert [use.source for use in found.values()] == ["models", "models/x"]
    assert [use.load().name for use in found.values()] == ["Credit_Risk_Model", "X"]
    assert in_use("models/x").in_production  # the registry is beside models/, not in it
    assert cli.main(["rollback", "--reason", "worse", "--data", "models/x"]) == 1
    assert "no version of X has the alias previous" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        cli.main(["history", "--data", "data/nowhere"])
    assert "data/nowhere: 1 problem" in capsys.readouterr().err
