"""The chain, from the raw file to a validated model: what each notebook reads and writes."""

import json
import sys
from pathlib import Path
from typing import Any

from papermill_chain.chain.stages import External, Stage
from papermill_chain.cli import main
from papermill_chain.runs.manifest import Run, read_runs

ROOT = Path(__file__).resolve().parent
STORE = ROOT / "mlflow.db"  # unless MLFLOW_TRACKING_URI names another

RAW = {"raw_path": "data/raw/german_credit_data.csv"}
CONTRACT = {"datapackage_path": "data/raw/datapackage.json"}
TRAIN = {"X_train_path": "data/training/X_train.csv", "y_train_path": "data/training/y_train.csv"}
TEST = {"X_test_path": "data/training/X_test.csv", "y_test_path": "data/training/y_test.csv"}
COMPARISON = {
    "results_path": "experiments/results.csv",
    "pairs_path": "experiments/pairs.csv",
    "out_of_fold_path": "experiments/out_of_fold.csv",
    "champion_path": "experiments/champion.json",
}
OUT_OF_FOLD = {"out_of_fold_path": COMPARISON["out_of_fold_path"]}
MODEL = {"model_path": "models/credit_risk_model.pkl"}
BESIDE = {
    "model_columns_path": "models/model_columns.pkl",
    "model_skops_path": "models/credit_risk_model.skops",
    "manifest_path": "models/manifest.json",
}
REGISTRATION = {"registration_path": "experiments/registration.json"}

EXPLORATION = {"exploration_path": "experiments/exploration.json"}
PREPARATION = {"preparation_path": "experiments/preparation.json"}
VALIDATION = {"validation_path": "experiments/validation.json"}
CARD = {"model_card_path": "models/model_card.md", "model_card_html_path": "models/model_card.html"}
EXPLANATION = {"explanation_path": "experiments/explanation.json"}
SCORECARD = {"scorecard_path": "models/scorecard.csv", "scorecard_sql_path": "models/scorecard.sql"}
SCORES = {"test_scores_path": "experiments/test_scores.csv"}
MONITORING = {"monitoring_path": "experiments/monitoring.json"}
LAB = {"decision_lab_path": "experiments/decision_lab.html"}

#: Where servers and portfolios keep their decisions, unless they are given another folder.
LOG = "experiments/decisions"

#: Where `--refresh` puts the old data and matured outcomes together.
REFRESHED = "data/refreshed"

#: Months of the log that 07 then compares the others with: the joined file is mostly of approved.
DOOR_MONTHS = 6

#: Pages that are kept beside a run's reports, and that the reports link to.
PAGES = ["decision_lab_path", "model_card_html_path"]


# MLflow is imported when it is needed: `run_all.py --help` and an unchanged rerun need it not.
def open_registry() -> None:
    """Make MLflow's store, if it is not there yet, while the first notebooks run."""
    from creditrisk.registry import mlflow_store

    mlflow_store.connect(STORE)


def close_runs(chain_runs: list[str]) -> None:
    """End the MLflow runs that killed runs of the chain have left open."""
    from creditrisk.registry import mlflow_store

    mlflow_store.close_runs(mlflow_store.connect(STORE), chain_runs)


def what_registration_lacks() -> str:
    """Whether the version is still registered, and still the one put forward."""
    from creditrisk.registry.sqlite_status import what_is_gone

    return what_is_gone(_recorded(REGISTRATION), STORE, points_to_it="challenger")


def what_validation_lacks() -> str:
    """Whether production is as gone as it can be only by hand; moved by hand, it is left alone."""
    from creditrisk.registry.sqlite_status import what_is_gone

    promoted = "production" if _recorded(VALIDATION)["promoted"] else None
    return what_is_gone(_recorded(REGISTRATION), STORE, exists=promoted)


def what_monitoring_lacks() -> str:
    """Whether the log is still the one that was judged."""
    from creditrisk.records.log_state import state_of

    judged = _recorded(MONITORING)["log_state"]
    return "" if state_of(ROOT / LOG) == judged else "the decision log has grown"


def with_refreshed_data(arguments: list[str]) -> list[str]:
    """The arguments of a run; with ``--refresh`` on the old data and matured outcomes together.

    The latest fifth of the outcomes is the test set, on which the gate compares the new version
    with production. They are of approved applicants: there production approves everybody, so that
    a version which is not shown to save against that waits for a named person. Like any ``--set``
    it holds for this run only.
    """
    if "--refresh" not in arguments:
        return arguments
    from creditrisk.data.contract import ContractError
    from creditrisk.data.descriptor import read_contract
    from creditrisk.data.raw_files.reading import read_raw
    from creditrisk.monitoring.records import read_decisions
    from creditrisk.monitoring.refresh import write_refreshed
    from creditrisk.records.chain import LogError

    try:
        contract = read_contract(ROOT / CONTRACT["datapackage_path"])
        old = read_raw(ROOT / RAW["raw_path"], contract)
        decisions = read_decisions(ROOT / LOG, contract).frame
        made = write_refreshed(old, decisions, contract, ROOT / REFRESHED, share=0.2)
    except (ContractError, LogError) as refusal:
        sys.exit(_refused(str(refusal)))
    given = {"raw_path": made.raw, "datapackage_path": made.datapackage, "latest": made.latest}
    given |= {"require_savings": True, "door_months": DOOR_MONTHS}
    settings = [part for name, value in given.items() for part in ("--set", f"{name}={value}")]
    return [*(each for each in arguments if each != "--refresh"), *settings]


def _refused(why: str) -> int:
    print(f"{Path(sys.argv[0]).name}: {why}", file=sys.stderr)
    return 2


def attach_reports(run: Run) -> None:
    """Store reports, lab and card of a run with the model it has registered, if it has."""
    (path,) = REGISTRATION.values()
    if not (ROOT / path).exists() or (registered := _recorded(REGISTRATION))["chain_run"] != run.id:
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
    for earlier in read_runs(ROOT / "experiments"):
        is_before = earlier.status == "succeeded" and (earlier.began, earlier.id) < start
        if is_before and read_results(earlier).scores:
            compare_runs(earlier, run)
            return


def compare_runs(a: Run, b: Run) -> tuple[Path, list[str]]:
    """Write the page on what differs between two runs; its place, and what it comes to."""
    from creditrisk.reports.comparison.model_comparison import compare
    from creditrisk.reports.comparison.page import page_of, write_page
    from creditrisk.reports.comparison.run_results import read_results

    comparison = compare(read_results(a), read_results(b))
    page = write_page(comparison, page_of(comparison, ROOT / "experiments"))
    return page, comparison.summary


def _recorded(written: dict[str, str]) -> dict[str, Any]:
    (path,) = written.values()
    recorded: dict[str, Any] = json.loads((ROOT / path).read_text("utf-8"))
    return recorded


# What MLflow and skops import only when they are used; two notebooks and the reports use them.
MLFLOW = (
    "mlflow.pyfunc",
    "mlflow.sklearn",
    "mlflow.store.tracking.sqlalchemy_store",
    "mlflow.store.model_registry.sqlalchemy_store",
    "mlflow.tracing.processor.base_mlflow",
    "alembic.config",
    "git",
    "skops.io",
    "sqlalchemy.dialects.sqlite",
)

# The order follows from who reads what. The test set goes to nobody who could learn from it.
CHAIN = [
    Stage("01_eda", reads=RAW | CONTRACT, writes=EXPLORATION, kept=[*EXPLORATION]),
    Stage(
        "02_preparation",
        reads=RAW | CONTRACT,
        writes=TRAIN | TEST | PREPARATION,
        kept=[*PREPARATION],
    ),
    Stage(
        "03_comparison",
        reads=TRAIN | CONTRACT,
        writes=COMPARISON,
        kept=["results_path", "pairs_path", "champion_path"],
    ),
    Stage(
        "04_registration",
        reads=TRAIN | CONTRACT | COMPARISON,
        writes=MODEL | BESIDE | REGISTRATION,
        kept=[*REGISTRATION],
        imports=MLFLOW,
        external=External(prepare=open_registry, check=what_registration_lacks, release=close_runs),
    ),
    Stage(
        "05_validation",
        reads=TEST | TRAIN | OUT_OF_FOLD | CONTRACT | REGISTRATION | MODEL,
        writes=VALIDATION | CARD,
        kept=[*VALIDATION, "model_card_html_path"],
        imports=MLFLOW,
        external=External(check=what_validation_lacks),
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
        kept=[*MONITORING],
        only_with=LOG,
        imports=MLFLOW,
        external=External(check=what_monitoring_lacks),
    ),
]


if __name__ == "__main__":
    sys.exit(
        main(
            CHAIN,
            root=ROOT,
            title="Credit risk",
            after=follow_up,
            compare=compare_runs,
            argv=with_refreshed_data(sys.argv[1:]),
            shared=["MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"],
            refusals=["ContractError"],
            exit_codes={"07_monitoring": {"warning": 3, "stop": 4}},
            columns=["gate", "ROC-AUC, test", "cost per applicant, test", "champion"],
            next_steps=[
                "uv run mlflow ui --workers 1    # runs, reports and the registered model",
                "uv run jupyter lab notebooks    # change a notebook, then run the chain again",
            ],
        )
    )
