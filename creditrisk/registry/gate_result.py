"""What the validation found, recorded with a registered version and the run that made it."""

from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Metric, RunTag
from mlflow.entities.model_registry import ModelVersion

from creditrisk.data.contract import Json
from creditrisk.scoring.sources import production

#: Tags of a version: the decision in words, and the decision as one of the names below.
GATE, RESULT = "gate", production.RESULT

#: The tag that holds a run's description, and what a verdict begins with there.
NOTE, VERDICT = "mlflow.note.content", "\n\n**Gate**: "

#: Results of the gate that keep a version out of production until a named person approves it.
HELD = (production.STOPPED, production.WAITS)


def record_validation(
    client: MlflowClient,
    registered: Json,
    validation: Json,
    files: list[str],
) -> None:
    """Add verdict and figures of the test set to a version and to the run that trained it.

    Both descriptions end with the verdict; a second validation replaces it.

    Parameters
    ----------
    registered, validation
        As in ``experiments/registration.json`` and ``experiments/validation.json``. Figures of the
        test set that are numbers become metrics of the run.
    files
        The model card, first of all; all become artifacts of the run.
    """
    run, model = registered["run_id"], registered["model"]
    now = client.get_run(run).info.end_time or 0
    metrics = [
        Metric(f"test_{name}", float(value), now, 0)
        for name, value in validation["test"].items()
        if isinstance(value, int | float)
    ]
    client.log_batch(run, metrics=metrics, tags=[RunTag("validation", validation["verdict"])])
    for file in files:
        client.log_artifact(run, str(file), "card")
    card = f"runs:/{run}/card/{Path(files[0]).name}"
    tags = {GATE: validation["verdict"], RESULT: validation["result"], "model_card": card}
    for tag, value in tags.items():
        client.set_model_version_tag(model, str(registered["version"]), tag, value)
    number, verdict = str(registered["version"]), validation["verdict"]
    described = client.get_model_version(model, number).description
    client.update_model_version(model, number, _with_verdict(described, verdict))
    described = client.get_run(run).data.tags.get(NOTE)
    client.set_tag(run, NOTE, _with_verdict(described, verdict))


def _with_verdict(described: str | None, verdict: str) -> str:
    """A description with its verdict, in the place of an earlier one."""
    return (described or "").partition(VERDICT)[0] + VERDICT + verdict


def result_of(version: ModelVersion) -> str | None:
    """The gate's result on a version, None if it was never validated."""
    result: str | None = version.tags.get(RESULT)
    return result


def why_held(version: ModelVersion) -> str:
    """Why a version needs somebody's approval, in one sentence; empty if it needs none."""
    if result_of(version) not in HELD:
        return ""
    name = f"{version.name} version {version.version}"
    return f"the gate does not let {name} into production ({version.tags.get(GATE)})"
