"""The decisions on a portfolio in a decision log, once all of it is scored.

They are read from the files that were written, beside the applications that they are about. A run
that is stopped while it records goes on where it ended: no decision is recorded twice.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from creditrisk.data.contract import Json
from creditrisk.data.missing_values import LEVEL
from creditrisk.portfolio.decisions import ROWS, decision_ids
from creditrisk.portfolio.job import Job, Part, Refused
from creditrisk.portfolio.output import Store
from creditrisk.portfolio.reader.table import Batch, open_table
from creditrisk.portfolio.reader.values import complaints, numbered_values
from creditrisk.portfolio.storage import storage_of
from creditrisk.records.chained_log import ChainedLog, open_log
from creditrisk.records.entries import applications, entry, now, reason, rejection
from creditrisk.records.log_files import rejections_of
from creditrisk.records.reading import read_entries
from creditrisk.scoring.scorer import Scorer

#: The log's name in its folder.
LOG = "portfolio.jsonl"

#: Of the decisions, the columns that are recorded.
_READ = ("decision_id", "id", "probability", "prediction", "decision", "reasons", "assumed")


def record(
    store: Store, job: Job, parts: list[Part], scorer: Scorer, folder: str, resumed: bool
) -> int:
    """Record the decisions on all parts in ``portfolio.jsonl``; how many are new there.

    Rows that were rejected are counted by reason in ``portfolio.rejected.jsonl``.

    Parameters
    ----------
    folder
        Of decision logs, see :mod:`creditrisk.records.log_files`.
    resumed
        Whether some of the run's decisions may be there already.

    Raises
    ------
    LogError
        If a log is damaged, held by another process or cannot be written.
    Refused
        If a file of the portfolio has other rows than were scored.
    """
    path = Path(folder, LOG)
    with (
        closing(open_log(path)) as decisions,
        closing(open_log(rejections_of(path))) as rejections,
    ):
        logs = _Logs(decisions, rejections)
        if resumed:  # another run has decisions of its own
            logs.known.update(each["id"] for each in read_entries(path))
            logs.counted.update(each["request"] for each in read_entries(rejections_of(path)))
        allowed = scorer.taking_blanks(LEVEL) if job.blank_is_level else scorer
        parts = sorted(parts, key=lambda part: part.name)
        return sum(_record_part(store, job, part, allowed, logs) for part in parts)


@dataclass(frozen=True)
class _Logs:
    """The logs that are written, and what they hold already of the run."""

    decisions: ChainedLog
    rejections: ChainedLog
    known: set[str] = field(default_factory=set)
    counted: set[str] = field(default_factory=set)


def _record_part(store: Store, job: Job, part: Part, scorer: Scorer, logs: _Logs) -> int:
    time, new, why = now(), 0, Counter[str]()
    storage, _ = storage_of(job.source)
    with (
        storage.open(part.path) as content,
        store.storage.open(f"{store.path}/{part.name}") as made,
    ):
        decisions = _rows(pq.ParquetFile(made))
        name = PurePath(part.path).name
        table = open_table(content, part.path, scorer.contract, id=job.id, name=name, size=ROWS)
        for batch in table.batches:
            codes, faults = numbered_values(batch, scorer.domain)
            good = ~((faults > 0).any(axis=1) | batch.no_id)
            why.update(_reasons(faults, batch, scorer, table.id))
            ids = decision_ids(job, part, batch.first + np.flatnonzero(good)).to_pylist()
            stated = applications(scorer.domain.frame(codes[good]), scorer.contract)
            answers = [_answer(next(decisions, {}), id, scorer, part) for id in ids]
            entries = [
                entry(id, time, scorer.about, application, answer)
                for id, application, answer in zip(ids, stated, answers)
            ]
            entries = [each for each in entries if each["id"] not in logs.known]
            logs.decisions.append(entries)
            new += len(entries)
    [request] = decision_ids(job, part, np.array([0])).to_pylist()
    if why and request not in logs.counted:
        counts = sorted(why.items())
        logs.rejections.append([rejection(request, time, [each], n) for each, n in counts])
    return new


def _answer(row: dict[str, Any], id: str, scorer: Scorer, part: Part) -> Json:
    """What was decided on an application.

    Raises
    ------
    Refused
        If the row of decisions is another application's.
    """
    if row.get("decision_id") != id:
        raise Refused(f"{part.path} has changed since it was scored; score it with --overwrite")
    answer = {name: value for name, value in row.items() if name not in ("decision_id", "id")}
    return {"caller_id": str(row["id"]), "cutoff": scorer.cutoff} | answer


def _rows(file: pq.ParquetFile) -> Iterator[dict[str, Any]]:
    """The decisions of a part one by one, without what they do not have."""
    columns = [name for name in _READ if name in file.schema_arrow.names]
    for batch in file.iter_batches(ROWS, columns=columns):
        for row in batch.to_pylist():
            yield {name: value for name, value in row.items() if value is not None and value != []}


def _reasons(faults: np.ndarray, batch: Batch, scorer: Scorer, id: str | None) -> Counter[str]:
    """How often each column was at fault in which way."""
    words, fields = complaints(scorer.contract), scorer.contract.fields
    names = [field.name for field in fields]
    found: Counter[str] = Counter()
    for number, name in enumerate(names):
        kinds, counts = np.unique(faults[:, number], return_counts=True)
        for kind, count in zip(kinds.tolist(), counts.tolist()):
            if kind:
                found[reason(name, words[number][kind], names)] += count
    if batch.no_id.any():
        found[f"{id} is null"] += int(batch.no_id.sum())
    return found
