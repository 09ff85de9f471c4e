"""The chain, from the raw file to a validated model: what each notebook reads and writes."""

import argparse
import json
import sys
from functools import partial
from pathlib import Path
from typing import Any

from creditrisk.registry.chain_results import (
    LATE_IMPORTS,
    read_registration,
    runs_of_models_in_use,
    what_registration_lacks,
    what_validation_lacks,
)
from creditrisk.registry.sqlite_status import make_paths_absolute
from papermill_chain.chain.stages import External, Stage
from papermill_chain.cli import main
from papermill_chain.refusal import refuse_request
from papermill_chain.runs.lookup import read_runs
from papermill_chain.runs.manifest import Run
from papermill_chain.started import tool

ROOT = Path(__file__).resolve().parent
STORE = ROOT / "mlflow.db"  # unless MLFLOW_TRACKING_URI names another

#: Months of the log that 07 compares the others with after ``--refresh``: the joined file is mostly
#: of approved applicants.
REFERENCE_MONTHS = 6

#: Pages that are kept beside a run's reports, and that the reports link to.
PAGES = ["decision_lab_path", "model_card_html_path"]


def chain_of(
    raw: str = "data/raw/german_credit_data.csv",
    contract: str = "data/raw/datapackage.json",
    training: str = "data/training",
    experiments: str = "experiments",
    models: str = "models",
    files: tuple[str, ...] = (),
) -> list[Stage]:
    """The stages for one data set: its raw file and contract, and the folders it has to itself.

    The order follows from who reads what. The test set goes to nobody who could learn from it.
    """
    RAW = {"raw_path": raw}
    CONTRACT = {"datapackage_path": contract}
    TRAIN = {"X_train_path": f"{training}/X_train.csv", "y_train_path": f"{training}/y_train.csv"}
    TEST = {"X_test_path": f"{training}/X_test.csv", "y_test_path": f"{training}/y_test.csv"}
    EXPLORATION = {"exploration_path": f"{experiments}/exploration.json"}
    PREPARATION = {"preparation_path": f"{experiments}/preparation.json"}
    OUT_OF_FOLD = {"out_of_fold_path": f"{experiments}/out_of_fold.csv"}
    WON = {
        "results_path": f"{experiments}/results.csv",
        "champion_path": f"{experiments}/champion.json",
    }
    COMPARISON = OUT_OF_FOLD | WON | {"pairs_path": f"{experiments}/pairs.csv"}
    UNFINISHED = {"unfinished_path": f"{experiments}/unfinished"}
    MODEL = {"model_path": f"{models}/credit_risk_model.pkl"}
    BESIDE = {
        "model_columns_path": f"{models}/model_columns.pkl",
        "model_skops_path": f"{models}/credit_risk_model.skops",
        "manifest_path": f"{models}/manifest.json",
    }
    REGISTRATION = {"registration_path": f"{experiments}/registration.json"}
    VALIDATION = {"validation_path": f"{experiments}/validation.json"}
    CARD = {
        "model_card_path": f"{models}/model_card.md",
        "model_card_html_path": f"{models}/model_card.html",
    }
    HISTORY = {
        "promotions_path": f"{experiments}/promotions.jsonl",
        "looks_path": f"{experiments}/test_looks.jsonl",
    }
    EXPLANATION = {"explanation_path": f"{experiments}/explanation.json"}
    EVIDENCE = OUT_OF_FOLD | WON | REGISTRATION | VALIDATION | MODEL
    REVIEW = {"review_path": f"{experiments}/review.json"}
    SCORECARD = {
        "scorecard_path": f"{models}/scorecard.csv",
        "scorecard_sql_path": f"{models}/scorecard.sql",
    }
    SCORES = {"test_scores_path": f"{experiments}/test_scores.csv"}
    LAB = {"decision_lab_path": f"{experiments}/decision_lab.html"}
    LOG = {"log_path": f"{experiments}/decisions"}  # where servers and portfolios keep decisions
    MONITORING = {"monitoring_path": f"{experiments}/monitoring.json"}

    kept = ROOT / experiments
    registered = External(
        prepare=open_registry,
        check=partial(what_registration_lacks, kept, STORE),
        release=close_runs,
    )
    validated = External(check=partial(what_validation_lacks, kept, STORE))
    judged = External(check=partial(what_monitoring_lacks, kept))

    return [
        Stage("01_eda", reads=RAW | CONTRACT, files=files, writes=EXPLORATION, kept=[*EXPLORATION]),
        Stage(
            "02_preparation",
            reads=RAW | CONTRACT,
            files=files,
            writes=TRAIN | TEST | PREPARATION,
            kept=[*PREPARATION],
        ),
        Stage(
            "03_comparison",
            reads=TRAIN | CONTRACT,
            writes=COMPARISON,
            in_place=UNFINISHED,
            scratch=[*UNFINISHED],
            kept=["results_path", "pairs_path", "champion_path"],
        ),
        Stage(
            "04_registration",
            reads=TRAIN | CONTRACT | COMPARISON,
            writes=MODEL | BESIDE | REGISTRATION,
            kept=[*REGISTRATION],
            imports=LATE_IMPORTS,
            external=registered,
        ),
        Stage(
            "05_validation",
            reads=TEST | TRAIN | OUT_OF_FOLD | CONTRACT | REGISTRATION | MODEL,
            writes=VALIDATION | CARD,
            in_place=HISTORY,
            kept=[*VALIDATION, "model_card_html_path"],
            imports=LATE_IMPORTS,
            external=validated,
        ),
        Stage(
            "06_explanation",
            reads=TEST | TRAIN | CONTRACT | REGISTRATION | MODEL,
            writes=EXPLANATION | SCORECARD | SCORES | LAB,
            kept=[*EXPLANATION, *SCORES, *LAB],
        ),
        Stage(
            "07_monitoring",
            reads=TRAIN | OUT_OF_FOLD | CONTRACT | REGISTRATION | VALIDATION | MODEL,
            writes=MONITORING,
            in_place=LOG,
            kept=[*MONITORING],
            only_with=LOG["log_path"],
            imports=LATE_IMPORTS,
            external=judged,
        ),
        Stage(
            "08_review",
            reads=RAW | CONTRACT | TRAIN | TEST | EVIDENCE,
            files=files,
            writes=REVIEW,
            kept=[*REVIEW],
        ),
    ]


# MLflow is imported when it is needed: `run_all.py --help` and an unchanged rerun need it not.
def open_registry() -> None:
    """Make MLflow's store, if it is not there yet, while the first notebooks run."""
    from creditrisk.registry import mlflow_store

    mlflow_store.connect(STORE)


def close_runs(chain_runs: list[str]) -> None:
    """End the MLflow runs that killed runs of the chain have left open."""
    from creditrisk.registry import mlflow_store

    mlflow_store.close_runs(mlflow_store.connect(STORE), chain_runs)


def what_monitoring_lacks(experiments: Path) -> str:
    """Whether the log is still the one that was judged."""
    from creditrisk.records.log_files import what_has_changed

    judged = json.loads((experiments / "monitoring.json").read_text("utf-8"))["log_state"]
    return what_has_changed(experiments / "decisions", judged)


def refreshed(folder: str | None) -> list[str]:
    """The settings of a run on the old data and matured outcomes together, which are joined first.

    The latest fifth of the outcomes is the test set, on which the gate compares the new version
    with production. They are of approved applicants: there production approves everybody, so that
    a version which is not shown to save against that waits for a named person. Like any ``--set``
    it holds for this run only.

    Raises
    ------
    ValueError
        If a file is refused, or no log can be read.
    """
    from creditrisk import data_sets
    from creditrisk.monitoring.refresh import refresh

    data = data_sets.data_set(ROOT, folder or ROOT / data_sets.DEFAULT)
    made = refresh(
        ROOT / data.descriptor, data.contract, ROOT / data.decisions, ROOT / data.refreshed
    )
    files = {"raw_path": str(made.raw), "datapackage_path": str(made.datapackage)}
    given = files | {
        "latest": made.latest,
        "require_savings": True,
        "reference_months": REFERENCE_MONTHS,
    }
    return ["--params-yaml", json.dumps(given)]


def attach_reports(run: Run) -> None:
    """Store reports, lab and card of a run with the model it has registered, if it has."""
    experiments = _experiments(run)
    if not (experiments / "registration.json").exists():
        return
    registered = read_registration(experiments)
    if registered["chain_run"] != run.id:
        return
    from creditrisk.registry import mlflow_store

    made = [stage.kept for stage in run.stages if stage.run == run.id]
    pages = [run.folder / kept[name] for kept in made for name in PAGES if name in kept]
    client = mlflow_store.connect(STORE)
    mlflow_store.attach_reports(client, registered["run_id"], [*run.reports, *pages])


def follow_up(run: Run) -> None:
    """After a good run: its reports go to its registered model, and what changed on a page."""
    attach_reports(run)
    if any("test_scores_path" in stage.kept and stage.run == run.id for stage in run.stages):
        compare_with_the_last(run)


def compare_with_the_last(run: Run) -> None:
    """Compare a run with the last good one before it that has kept its test scores, if any."""
    from creditrisk.reports.comparison.run_results import read_results

    start = run.began, run.id
    for earlier in read_runs(_experiments(run)):
        is_before = earlier.status == "succeeded" and (earlier.began, earlier.id) < start
        if is_before and read_results(earlier).scores:
            compare_runs(earlier, run)
            return


def compare_runs(a: Run, b: Run, experiments: Path | None = None) -> tuple[Path, list[str]]:
    """Write the page on what differs between two runs; its place, and what it comes to.

    Parameters
    ----------
    experiments : where its page goes; by default to the runs of which `b` is one.
    """
    from creditrisk.reports.comparison.page import write_comparison

    return write_comparison(a, b, experiments or _experiments(b))


def _experiments(run: Run) -> Path:
    """The folder that keeps a run and others of its data set."""
    return run.folder.parent.parent


#: The default data set's chain.
CHAIN = chain_of()


def of_data_set(folder: str | None) -> dict[str, Any]:
    """What `main` is given for the data set in a folder; by default for that of `data/raw`.

    Raises
    ------
    ContractError
        If the folder holds no data set, or one that would take the place of another.
    ValueError
        If its name is empty, as that of a variable that is not set: the default is not meant.
    """
    if folder == "":
        raise ValueError("--data is empty; give a folder, or leave it out")
    default = {"chain": CHAIN, "experiments": "experiments", "title": "Credit risk"}
    if not folder and not any(ROOT.glob("experiments/*/data_set.json")):
        return default  # there is nothing to confuse it with
    from creditrisk import data_sets

    data = data_sets.data_set(ROOT, folder) if folder else data_sets.default_data_set(ROOT)
    if data:
        data_sets.refuse_confusion(data, ROOT)
    if not (folder and data and data.name):
        return default
    raw, others = data.read_first(ROOT)
    typed = data.folder if Path.cwd() == ROOT else str(Path(folder).absolute())
    return {
        "chain": chain_of(
            raw, data.descriptor, data.training, data.experiments, data.models, others
        ),
        "experiments": data.experiments,
        "title": f"Credit risk: {data.contract.title}",
        "before": partial(data_sets.record, data, ROOT),
        "repeated": ["--data", typed],
    }


def own_options() -> argparse.ArgumentParser:
    """The options of this program beside those of every chain."""
    own = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    own.add_argument(
        "--data",
        metavar="FOLDER",
        help="another data set: a folder with a file and its datapackage.json. Its results go to "
        "experiments/NAME, its model to models/NAME; NAME is that of the descriptor",
    )
    own.add_argument(
        "--refresh",
        action="store_true",
        help="for this run, learn from the data and matured outcomes of decisions together",
    )
    return own


def run_all(arguments: list[str]) -> int:
    """Run the chain as the command line asks, for the data set that it names; the exit code."""
    make_paths_absolute()
    own = own_options()
    given = own.parse_known_args(arguments)[0]
    try:
        asked = of_data_set(given.data)
        joined = given.refresh and "--ui" not in arguments  # else each run from the page does so
        arguments = [*arguments, *(refreshed(given.data) if joined else [])]
    except ValueError as refused:  # a ContractError too, whose module not every run imports
        experiments = ROOT / "experiments"
        return refuse_request(str(refused), CHAIN, experiments, "Credit risk", arguments, own)
    return main(
        **asked,
        root=ROOT,
        after=follow_up,
        compare=partial(compare_runs, experiments=ROOT / asked["experiments"]),
        shared=["MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"],
        refusals=["ContractError"],
        protected=partial(runs_of_models_in_use, ROOT / asked["experiments"], STORE),
        exit_codes={"07_monitoring": {"warning": 3, "stop": 4}},
        columns=["gate", "ROC-AUC, test", "cost per applicant, test", "champion"],
        next_steps=[
            tool("mlflow", "ui", "--workers", "1") + "    # runs, reports and the registered model",
            tool("jupyter", "lab", "notebooks")
            + "    # change a notebook, then run the chain again",
        ],
        argv=arguments,
        own_options=own,
    )


if __name__ == "__main__":
    sys.exit(run_all(sys.argv[1:]))
