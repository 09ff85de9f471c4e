"""How the model is saved in MLflow, and what answers when MLflow serves it.

The files are those of MLflow's scikit-learn flavor with the model's manifest beside them; only
the loader for ``mlflow models serve`` and ``mlflow.pyfunc`` is this module, so this package must
be installed where the model is served.

What MLflow 3.17 does to an application before a model sees it, and what follows:

- With an input schema it coerces (``"35"``, ``35.9`` and ``true`` become integers) and drops
  fields it does not know. Columns of type Any are not coerced, but unknown fields are dropped
  all the same. So the signature has outputs only; the inputs are described in the model's
  metadata, its input example and its manifest.
- Without one, ``inputs`` arrive value by value as sent. ``dataframe_records`` and
  ``dataframe_split`` go through pandas, where NaN counts as null, as does a field that some
  records have and others lack; all else is distinguished. ``instances`` are joined to one array a
  field, in which true is 1: refused.
- Parameters come beside the applications and are checked separately: ``{"inputs": [...],
  "params": {"reasons": true}}``. One that the signature does not name is dropped; one of another
  type is refused by MLflow itself, which quotes the request then, as it does if that is no JSON.
- The server puts the whole request before the message of an error that a model raises, and a
  stack trace after it unless it is an MlflowException: hence :class:`RefusedApplications`.
"""

import hashlib
import json
import os
from dataclasses import asdict
from pathlib import Path

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # nothing of a bank's requests leaves it

import mlflow.sklearn
import numpy as np
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.models import Model, ModelSignature
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE
from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema, TensorSpec
from sklearn.pipeline import Pipeline

from creditrisk.data.applications.record_checks import InvalidRecords
from creditrisk.data.contract import Contract, Json
from creditrisk.data.fields import Level
from creditrisk.scoring import scorer
from creditrisk.scoring.reason_finder import NoReasons
from creditrisk.scoring.sources import loading, mlflow_files, model_files, model_manifest
from creditrisk.scoring.worst_case import worst_fields


class RefusedApplications(MlflowException):
    """An answer of 400 whose message MLflow's server cannot change."""

    def __init__(self, text: str):
        super().__init__(text, INVALID_PARAMETER_VALUE)

    @property
    def message(self) -> str:
        """The text alone; MLflow's server tries to put the applicants' data before it."""
        return self.args[0] if self.args else ""

    @message.setter
    def message(self, other: str) -> None:
        pass


class ServedModel:
    """What MLflow calls: applications in, one row of prediction, decision and probability each.

    With the parameter ``reasons`` the row has the fields that lower the score as well; where the
    contract has blanks scored as the worst value, also what they were scored as.
    """

    def __init__(self, scorer: scorer.Scorer):
        self.scorer = scorer

    def predict(
        self, data: pd.DataFrame | list[Json] | Json, params: Json | None = None
    ) -> pd.DataFrame:
        """Decide on each application.

        Raises
        ------
        RefusedApplications
            If the contract does not allow one of them, or the model has no reasons.
        """
        reasons = bool(params and params.get("reasons"))
        try:
            decisions = self.scorer.score(_applications(data), reasons)
        except (InvalidRecords, NoReasons) as error:
            raise RefusedApplications(str(error)) from None
        index = data.index if isinstance(data, pd.DataFrame) else None
        rows = [(each.prediction, each.decision, each.probability) for each in decisions]
        answer = pd.DataFrame(rows, index, columns=["prediction", "decision", "probability"])
        if worst_fields(self.scorer.domain):
            answer["assumed"] = [[asdict(value) for value in each.assumed] for each in decisions]
        if reasons:
            answer["reasons"] = [
                [asdict(reason) for reason in each.reasons or ()] for each in decisions
            ]
        return answer


def signature() -> ModelSignature:
    """The answer to each application; there is no input schema, see the top of this file."""
    answer: list[ColSpec | TensorSpec] = [
        ColSpec(DataType.long, "prediction"),
        ColSpec(DataType.string, "decision"),
        ColSpec(DataType.double, "probability"),
    ]
    reasons = ParamSpec("reasons", DataType.boolean, default=False)
    return ModelSignature(outputs=Schema(answer), params=ParamSchema([reasons]))


def save_model(
    path: str,
    model: Pipeline,
    contract: Contract,
    libraries: dict[str, str],
    input_example: pd.DataFrame,
    reference: dict[str, Level | None] | None = None,
    ranges: dict[str, list[float]] | None = None,
    mlflow_model: Model | None = None,
    validate_serving_input: bool = True,
) -> None:
    """Save the pipeline with skops, which runs no code on loading, and its manifest beside it.

    Parameters
    ----------
    libraries
        Versions of the packages that the saved model needs, by name.
    reference
        The application that reasons compare with; without it the model gives no reasons.
    ranges
        Of the quantities in training; without it nothing is said of values outside.
    mlflow_model
        Filled in with what is saved; MLflow passes it.
    validate_serving_input
        Whether MLflow, when it logs the model, loads it and asks it about the example.
    """
    mlflow_model = mlflow_model or Model()
    mlflow.sklearn.save_model(
        model,
        path,
        mlflow_model=mlflow_model,
        signature=signature(),
        input_example=input_example,
        metadata={"columns": {field.name: field.accepted for field in contract.fields}},
        pip_requirements=[f"{package}=={version}" for package, version in libraries.items()],
        serialization_format=mlflow.sklearn.SERIALIZATION_FORMAT_SKOPS,
        skops_trusted_types=model_files.TRUSTED_TYPES,
    )
    mlflow_model.flavors["python_function"]["loader_module"] = __name__
    mlflow_model.save(str(Path(path, "MLmodel")))
    files = mlflow_files.files_in(Path(path))
    hashes = {name: hashlib.sha256(files[name]).hexdigest() for name in sorted(files)}
    manifest: Json = {"libraries": libraries, "contract": contract.package, "files": hashes}
    if reference is not None:
        manifest["reference"] = reference
    if ranges is not None:
        manifest["training_ranges"] = ranges
    text = json.dumps(model_manifest.sealed(manifest), ensure_ascii=False)
    Path(path, "manifest.json").write_text(text, "utf-8")


def _load_pyfunc(path: str) -> ServedModel:
    """What MLflow calls to load the model from its folder; nothing is opened before it is verified.

    The files are compared with the registry's hash, if they were downloaded from a registry that
    answers, and always with the hashes in their manifest, which has one of itself and may be
    signed.

    Raises
    ------
    ModelRefused
        If the files are not those that were saved.
    """
    files, version = mlflow_files.files_in(Path(path)), mlflow_files.version_in(Path(path))
    if version is not None:
        mlflow_files.check(version, files, path)
    return ServedModel(loading.scorer_of_artifact(files, path))


def _applications(data: object) -> pd.DataFrame | list[Json]:
    """The applications as sent; MLflow wraps each value of ``inputs`` in an array of size 1."""
    if isinstance(data, pd.DataFrame):
        return data
    if isinstance(data, dict) and any(getattr(value, "ndim", 0) for value in data.values()):
        raise RefusedApplications(
            "applications are taken from inputs, dataframe_records or dataframe_split: "
            "a list of objects, one value a field"
        )
    return [
        {
            name: value.tolist() if isinstance(value, np.ndarray) else value
            for name, value in record.items()
        }
        if isinstance(record, dict)
        else record
        for record in (data if isinstance(data, list) else [data])
    ]
