"""Simulated decisions as the records that servers and portfolios write, marked as simulated."""

import os
import shutil
import uuid
from pathlib import Path
from typing import Any

import pandas as pd

from creditrisk.data.contract import Contract, Json
from creditrisk.monitoring.population import Population
from creditrisk.monitoring.records import inputs
from creditrisk.records.chained_log import open_log
from creditrisk.records.entries import applications, entry
from creditrisk.records.outcomes import add_outcomes

LOG, OUTCOMES = "simulated.jsonl", "outcomes.csv"

#: Decisions that are written at once.
ROWS = 10_000


class NotWritten(Exception):
    """Why a simulation is not written, in one sentence."""


def write_simulation(
    frame: pd.DataFrame, population: Population, contract: Contract, out: str | Path
) -> None:
    """Write simulated decisions as a folder of records, which appears whole or not at all.

    It holds a hash-chained decision log, ``simulated.jsonl``, and ``outcomes.csv``, whose outcomes
    are recorded already in the way of ``creditrisk outcomes add``.

    Parameters
    ----------
    frame
        Of :func:`creditrisk.monitoring.simulation.simulate`.
    contract
        Of the data that were drawn from.

    Raises
    ------
    NotWritten
        If something is in the place of the folder, so that made-up decisions never get among real
        ones.
    LogError, OSError
        If the files cannot be written.
    """
    out = Path(out)
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise NotWritten(f"{out} is there already; name a folder that does not exist")
    aside = out.with_name(f".{out.name}.{uuid.uuid4().hex}.tmp")
    aside.mkdir(parents=True)
    try:
        _write_log(frame, population, contract, aside / LOG)
        known = frame[frame["outcome"].notna()]
        outcomes = pd.DataFrame(
            {
                "id": known["id"],
                "outcome": known["outcome"].astype(int),
                "date": known["outcome_time"].dt.strftime("%Y-%m-%d"),
            }
        )
        outcomes.to_csv(aside / OUTCOMES, index=False, lineterminator="\n")
        add_outcomes(aside / OUTCOMES, aside, contract)
        os.replace(aside, out)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _write_log(frame: pd.DataFrame, population: Population, contract: Contract, path: Path) -> None:
    model = population.scorer.about
    shadow = population.shadow.about if population.shadow else None
    log = open_log(path)
    try:
        for start in range(0, len(frame), ROWS):
            rows = frame.iloc[start : start + ROWS]
            stated = applications(inputs(rows, contract.fields), contract)
            times = rows["time"].dt.strftime("%Y-%m-%dT%H:%M:%S+00:00")
            answers = zip(rows["probability"], rows["cutoff"], rows["shadow_probability"])
            decisions = [_decision(*answer, shadow) for answer in answers]
            log.append(
                [
                    entry(id, time, model, given, decision)
                    for id, time, given, decision in zip(rows["id"], times, stated, decisions)
                ]
            )
    finally:
        log.close()


def _decision(probability: float, cutoff: float, other: float, shadow: Json | None) -> Json:
    good = probability >= cutoff
    found: dict[str, Any] = {
        "prediction": int(good),
        "decision": "approve" if good else "decline",
        "probability": probability,
        "cutoff": cutoff,
        "simulated": True,
    }
    return found if shadow is None else found | {"shadow": {"model": shadow, "probability": other}}
