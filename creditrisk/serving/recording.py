"""What the server records: decisions before they are answered, and refused requests by reason.

A model in the shadow is scored here, on the same applications: it never decides, and whatever
befalls it, the answer goes out.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from creditrisk.data.contract import Json
from creditrisk.records.chain import LogError
from creditrisk.records.chained_log import ChainedLog, open_log
from creditrisk.records.entries import entry, now, reason, rejection
from creditrisk.records.log_files import rejections_of
from creditrisk.scoring.scorer import Scorer
from creditrisk.serving.model_reload import Served

log = logging.getLogger("creditrisk")

#: The members of an answer that the decision log records.
LOGGED = ("prediction", "decision", "probability", "cutoff", "assumed", "reasons")


@dataclass(frozen=True)
class Recorder:
    """The logs of a server, and the model in its shadow if there is one."""

    decisions: ChainedLog
    rejections: ChainedLog
    shadow: Served | None = None

    def decided(
        self, scorer: Scorer, records: list[Any], answers: list[Json], caller_id: str | None
    ) -> None:
        """Record decisions, which are answered only after that.

        Parameters
        ----------
        caller_id
            The caller's own id of the request; of several applications each has its number, too.

        Raises
        ------
        LogError
            If they cannot be written; then they have not been made.
        """
        time, model = now(), scorer.about
        shadows = self._shadows(records)
        callers = [_caller(answer, caller_id) for answer in answers]
        self.decisions.append(
            [
                entry(
                    answer["id"],
                    time,
                    model,
                    record,
                    {k: answer[k] for k in LOGGED if k in answer} | caller | shadow,
                )
                for record, answer, caller, shadow in zip(records, answers, callers, shadows)
            ]
        )

    def refused(self, request: str, reasons: Sequence[str]) -> None:
        """Record why a request was refused; if that fails, the refusal is answered all the same."""
        try:
            self.rejections.append([rejection(request, now(), reasons)])
        except LogError as error:
            log.error("rejection not recorded", extra={"id": request, "reason": str(error)})

    def close(self) -> None:
        """Give the logs up to another process."""
        self.decisions.close()
        self.rejections.close()

    def _shadows(self, records: list[Any]) -> list[Json]:
        """What the log records of the shadow for each application; nothing if there is none."""
        if self.shadow is None:
            return [{}] * len(records)
        scorer = self.shadow.scorer
        model = scorer.about
        try:
            found = scorer.score(records)
        # Whatever is wrong with the shadow, the decision stands.
        except Exception as error:  # noqa: BLE001  # its kind is in both logs
            kind = type(error).__name__
            log.error("shadow failed", extra={"version": scorer.version, "kind": kind})
            return [{"shadow": {"model": model, "error": kind}}] * len(records)
        return [
            {
                "shadow": {
                    "model": model,
                    "probability": each.probability,
                    "decision": each.decision,
                }
            }
            for each in found
        ]


def open_recorder(path: str | Path, shadow: Served | None = None) -> Recorder:
    """Open a decision log for writing, and beside it the log of refused requests.

    Raises
    ------
    LogError
        As :func:`creditrisk.records.chained_log.open_log`.
    """
    decisions = open_log(path)
    try:
        return Recorder(decisions, open_log(rejections_of(Path(path))), shadow)
    except LogError:
        decisions.close()
        raise


def reasons_of(status: int, problems: Sequence[Json], known: Sequence[str]) -> list[str]:
    """Why a request was refused: column and kind of each problem, or else the answer's status."""
    found = [reason(each["field"], each["message"], known) for each in problems]
    return found or [f"answered with status {status}"]


def _caller(answer: Json, caller_id: str | None) -> Json:
    """The caller's id of one decision, which ends like ours if the request holds several."""
    if caller_id is None:
        return {}
    return {"caller_id": caller_id + answer["id"].removeprefix(answer["request_id"])}
