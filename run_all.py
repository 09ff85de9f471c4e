"""The chain, from the raw file to a validated model: what each notebook reads and writes."""

import json
import sys
from pathlib import Path

from papermill_chain import Run, Stage, main

ROOT = Path(__file__).resolve().parent

RAW = {"raw": "data/raw/german_credit_data.csv"}
CONTRACT = {"datapackage": "data/raw/datapackage.json"}
TRAIN = {"X_train": "data/training/X_train.csv", "y_train": "data/training/y_train.csv"}
TEST = {"X_test": "data/training/X_test.csv", "y_test": "data/training/y_test.csv"}
COMPARISON = {
    "results": "experiments/results.csv",
    "pairs": "experiments/pairs.csv",
    "out_of_fold": "experiments/out_of_fold.csv",
    "champion": "experiments/champion.json",
}
OUT_OF_FOLD = {"out_of_fold": COMPARISON["out_of_fold"]}
MODEL = {"model": "models/credit_risk_model.pkl"}
BESIDE = {"model_columns": "models/model_columns.pkl", "manifest": "models/manifest.json"}
REGISTRATION = {"registration": "experiments/registration.json"}

# The order follows from who reads what. The test set goes to nobody who could learn from it.
CHAIN = [
    Stage("01_eda", reads=RAW | CONTRACT),
    Stage("02_preparation", reads=RAW | CONTRACT, writes=TRAIN | TEST),
    Stage("03_comparison", reads=TRAIN | CONTRACT, writes=COMPARISON),
    Stage(
        "04_registration",
        reads=TRAIN | CONTRACT | COMPARISON,
        writes=MODEL | BESIDE | REGISTRATION,
    ),
    Stage(
        "05_validation",
        reads=TEST | TRAIN | OUT_OF_FOLD | CONTRACT | REGISTRATION | MODEL,
        writes={
            "validation": "experiments/validation.json",
            "model_card": "models/model_card.md",
            "model_card_html": "models/model_card.html",
        },
    ),
    Stage(
        "06_explanation",
        reads=TEST | TRAIN | CONTRACT | REGISTRATION | MODEL,
        writes={
            "explanation": "experiments/explanation.json",
            "scorecard": "models/scorecard.csv",
            "scorecard_sql": "models/scorecard.sql",
        },
    ),
]


def open_registry(run: Run) -> None:
    """Get MLflow ready while the first notebooks run, if this run will register a model."""
    if "04_registration" in [stage.name for stage in run.stages]:
        from creditrisk import (
            registry,  # imports MLflow, which `run_all.py --help` need not wait for
        )

        registry.connect(ROOT / "mlflow.db")


def attach_reports(run: Run) -> None:
    """Store the reports of a run beside the model it has registered, if it has registered one."""
    registered = json.loads((ROOT / REGISTRATION["registration"]).read_text("utf-8"))
    if registered["chain_run"] != run.id:
        return
    from creditrisk import registry

    registry.attach_reports(registry.connect(ROOT / "mlflow.db"), registered["run_id"], run.reports)


if __name__ == "__main__":
    sys.exit(
        main(
            CHAIN,
            root=ROOT,
            title="Credit risk",
            prepare=open_registry,
            after=attach_reports,
            next_steps=[
                "uv run mlflow ui --workers 1    # runs, reports and the registered model",
                "uv run jupyter lab notebooks    # change a notebook, then run the chain again",
            ],
        )
    )
