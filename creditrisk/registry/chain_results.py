"""What results of the chain rest on in MLflow's registry, and whether it is there still.

Every unchanged rerun asks, so nothing heavy is imported as long as the store is SQLite.
"""

import json
from pathlib import Path
from typing import Any

from creditrisk.registry.sqlite_status import chain_runs_in_use, what_is_gone

#: What MLflow and skops import only when they are used, as 04, 05 and 07 do.
LATE_IMPORTS = (
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


def read_registration(experiments: Path) -> dict[str, Any]:
    """The version that the chain has registered last, as 04 has recorded it."""
    return _read(experiments / "registration.json")


def what_registration_lacks(experiments: Path, store: Path) -> str:
    """Whether the version is still registered, and still the one put forward; empty if so."""
    return what_is_gone(read_registration(experiments), store, points_to_it="challenger")


def what_validation_lacks(experiments: Path, store: Path) -> str:
    """Whether a production that the gate has set is gone; moved by hand, it is left alone."""
    promoted = _read(experiments / "validation.json")["promoted"]
    alias = "production" if promoted else None
    return what_is_gone(read_registration(experiments), store, exists=alias)


def runs_of_models_in_use(experiments: Path, store: Path) -> list[str]:
    """The runs that production, the version before it and the challenger were registered by."""
    return chain_runs_in_use(read_registration(experiments)["model"], store)


def _read(path: Path) -> dict[str, Any]:
    recorded: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return recorded
