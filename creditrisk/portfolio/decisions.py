"""One file of a portfolio: read in batches of columns, scored, and written as decisions."""

import errno
import hashlib
from collections import Counter
from dataclasses import asdict
from pathlib import PurePath

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from creditrisk.data.contract import Contract, Json
from creditrisk.data.missing_values import LEVEL
from creditrisk.portfolio.job import (
    PARTS,
    REJECTED,
    RUN,
    FailedPart,
    Job,
    Part,
    ScoredPart,
    Unreadable,
)
from creditrisk.portfolio.output import Files, Store
from creditrisk.portfolio.reader.table import Batch, open_table
from creditrisk.portfolio.reader.values import complaints, numbered_values
from creditrisk.portfolio.storage import storage_of
from creditrisk.scoring.scorer import ModelRefused, Scorer
from creditrisk.scoring.sources.loading import load_scorer
from creditrisk.scoring.training_range import outside
from creditrisk.scoring.worst_case import assumed, worst_fields

#: Rows that are read, scored and written at once, without and with reasons.
ROWS, REASONED = 65_536, 4_096

REASONS = pa.list_(
    pa.struct([("field", pa.string()), ("effect", pa.float64()), ("words", pa.string())])
)
#: What blanks were scored as, where the contract has them scored as the worst value.
ASSUMED = pa.list_(pa.struct([("field", pa.string()), ("words", pa.string())]))
#: Of the decisions, the columns in which values return; they are written as numbers of a list.
REPEATED = (
    "prediction",
    "decision",
    "model_version",
    "model_sha256",
    "outside_training",
    "reasons.list.element.field",
    "reasons.list.element.words",
    "assumed.list.element.field",
    "assumed.list.element.words",
)
REJECTION = pa.schema(
    [
        ("id", pa.string()),
        ("file", pa.string()),
        ("row", pa.int64()),
        ("column", pa.string()),
        ("reason", pa.string()),
    ]
)


Rejection = tuple[str | None, int, str, str]  # id, row, columns, reason


def score_part(job: Job, part: Part) -> ScoredPart | FailedPart:
    """Score one file and enter it in the run's books; done twice, it gives the same files."""
    store = Store.at(job.out)
    # Object stores have errors of their own.
    faults = (pa.ArrowException, OSError, UnicodeDecodeError) if job.on_disk else Exception
    try:
        scorer = _scorer(job.model, job.sha256)
        if job.blank_is_level:
            scorer = scorer.taking_blanks(LEVEL)
        with store.writing() as files:
            counts = _scored(job, part, scorer, files)
            hashes = files.finished()
            if store.read_json(RUN).get("run") != job.run:
                return FailedPart(
                    part.name, part.file, "another run has taken the folder over", fatal=True
                )
            files.move()
        done = ScoredPart(part.name, part.size, part.state, sha256=hashes, **counts)
        store.write_json(f"{PARTS}/{part.name}.json", asdict(done))
        return done
    except ModelRefused as error:
        return FailedPart(part.name, part.file, str(error), fatal=True)
    except Unreadable as error:
        return FailedPart(part.name, part.file, str(error))
    except faults as error:
        full = getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT)
        full = full or "No space left" in str(error)  # if Arrow has made a text of it
        words = "no space left" if full else f"cannot be read or written ({_one_line(error)})"
        return FailedPart(part.name, part.file, words, fatal=full)


def _scored(job: Job, part: Part, scorer: Scorer, files: Files) -> Json:
    """Write a part's decisions and rejections; its counts."""
    rows = scored = approved = 0
    why: Counter[str] = Counter()
    rejections = None
    storage, _ = storage_of(job.source)
    with storage.open(part.path) as content:
        table = open_table(
            content,
            part.path,
            scorer.contract,
            id=job.id,
            name=PurePath(part.path).name,
            size=REASONED if job.reasons else ROWS,
        )
        schema = _decision_schema(table.id_type, job, bool(worst_fields(scorer.domain)))
        decisions = files.parquet(part.name, schema, REPEATED)
        for batch in table.batches:
            codes, faults = numbered_values(batch, scorer.domain)
            good = ~((faults > 0).any(axis=1) | batch.no_id)
            scored_as, blank = scorer.worst_case(codes[good])
            probabilities = scorer.from_codes(scored_as)
            ids = [batch.ids.filter(pa.array(good))]
            if job.recorded:
                ids.append(decision_ids(job, part, batch.first + np.flatnonzero(good)))
            columns = _decisions(scorer, job, ids, scored_as, blank, probabilities)
            decisions.write_batch(pa.record_batch(columns, schema=decisions.schema))
            if not good.all():
                refused = _rejections(batch, good, faults, scorer.contract, table.id)
                if rejections is None:
                    name = f"{REJECTED}/{part.name}"
                    rejections = files.parquet(name, REJECTION, ("file", "column", "reason"))
                rejections.write_batch(_rejection_batch(refused, part))
                why.update(each[-1] for each in refused)
            rows += len(good)
            scored += len(probabilities)
            approved += int((probabilities >= scorer.cutoff).sum())
    return {
        "rows": rows,
        "scored": scored,
        "rejected": rows - scored,
        "approved": approved,
        "why": dict(why),
        "unused": table.unused,
    }


def decision_ids(job: Job, part: Part, rows: np.ndarray) -> pa.Array:
    """The ids of decisions by row of the part, from 1; a run that is resumed gives the same."""
    begin = hashlib.sha256(f"{job.run}/{part.name}".encode()).hexdigest()[:24]
    return pc.binary_join_element_wise(begin, pa.array(rows).cast(pa.string()), "-")


def _decision_schema(id_type: pa.DataType, job: Job, assumed: bool) -> pa.Schema:
    words = pa.dictionary(pa.int8(), pa.string())
    return pa.schema(
        [
            ("id", id_type),
            *([("decision_id", pa.string())] if job.recorded else []),
            ("probability", pa.float64()),
            ("prediction", pa.int8()),
            ("decision", words),
            ("model_version", pa.int32()),
            ("model_sha256", words),
            ("outside_training", pa.string()),
            *([("reasons", REASONS)] if job.reasons else []),
            *([("assumed", ASSUMED)] if assumed else []),
        ]
    )


def _decisions(
    scorer: Scorer,
    job: Job,
    ids: list[pa.Array],
    codes: np.ndarray,
    blank: np.ndarray,
    probabilities: np.ndarray,
) -> list[pa.Array]:
    good = probabilities >= scorer.cutoff
    none = np.zeros(len(good), np.int8)
    columns = [
        *ids,
        pa.array(probabilities),
        pa.array(good.astype(np.int8)),
        pa.DictionaryArray.from_arrays(good.astype(np.int8), pa.array(["decline", "approve"])),
        pa.array(
            np.full(len(good), scorer.version or 0, np.int32),
            mask=np.full(len(good), scorer.version is None),
        ),
        pa.DictionaryArray.from_arrays(none, pa.array([scorer.sha256])),
        _outside(codes, scorer),
    ]
    if job.reasons:
        reasons = scorer.reasons(codes, blank)
        columns.append(
            pa.array(
                [
                    [{"field": r.field, "effect": r.effect, "words": r.words} for r in why]
                    for why in reasons
                ],
                REASONS,
            )
        )
    if worst_fields(scorer.domain):
        columns.append(_assumed(codes, blank, scorer))
    return columns


def _assumed(codes: np.ndarray, blank: np.ndarray, scorer: Scorer) -> pa.Array:
    """What the blanks of each row were scored as."""
    words: list[list[dict[str, str]]] = [[]] * len(codes)
    for row in np.flatnonzero(blank.any(axis=1)).tolist():  # few as a rule
        found = assumed(codes[row], blank[row], scorer.domain)
        words[row] = [{"field": each.field, "words": each.words} for each in found]
    return pa.array(words, ASSUMED)


def _outside(codes: np.ndarray, scorer: Scorer) -> pa.Array:
    """The names of the quantities beyond what the model has learned from, joined by ``;``."""
    ranges = scorer.training_ranges
    beyond = outside(codes, ranges)
    rows = np.flatnonzero(beyond.any(axis=1))  # few as a rule
    if not len(rows):
        return pa.repeat("", len(beyond))
    bits = np.packbits(beyond[rows], axis=1)
    kinds = bits.view(f"S{bits.shape[1]}").ravel()  # as texts they are compared at once
    _, example, kind_of_row = np.unique(kinds, return_index=True, return_inverse=True)
    names = [
        ";".join(ranges[place].name for place in np.flatnonzero(beyond[row]))
        for row in rows[example]
    ]
    number = np.zeros(len(beyond), np.int64)
    number[rows] = 1 + kind_of_row
    return pa.array(["", *names]).take(pa.array(number))


def _rejections(
    batch: Batch, good: np.ndarray, faults: np.ndarray, contract: Contract, id: str | None
) -> list[Rejection]:
    """Id, row, columns and reason of each row that is not scored."""
    words = complaints(contract)
    found: list[Rejection] = []
    bad = np.flatnonzero(~good)
    for name, number in zip(batch.ids.take(pa.array(bad)).to_pylist(), bad.tolist()):
        at = np.flatnonzero(faults[number]).tolist()
        columns = [contract.fields[each].name for each in at]
        reasons = [
            f"{contract.fields[each].name} {words[each][int(faults[number, each])]}" for each in at
        ]
        if name is None:
            columns, reasons = [str(id), *columns], [f"{id} is null, and names the row", *reasons]
        found.append(
            (
                None if name is None else str(name),
                batch.first + number,
                ", ".join(columns),
                ". ".join(reasons),
            )
        )
    return found


def _rejection_batch(refused: list[Rejection], part: Part) -> pa.RecordBatch:
    ids, rows, columns, reasons = map(list, zip(*refused))
    file = [PurePath(part.path).name] * len(ids)
    return pa.record_batch([ids, file, rows, columns, reasons], schema=REJECTION)


def _scorer(model: str, sha256: str) -> Scorer:
    """The model of a run, which a process loads once."""
    scorer = _scorers.get(model)
    if scorer is None or scorer.sha256 != sha256:
        _scorers.clear()
        scorer = _scorers[model] = load_scorer(model)
    if scorer.sha256 != sha256:
        raise ModelRefused(f"the model in {model} is no longer the one this run began with")
    return scorer


_scorers: dict[str, Scorer] = {}  # the last one, by its folder or URI


def keep_scorer(model: str, scorer: Scorer) -> None:
    """Have a model that is loaded already answer in this process and in forks of it."""
    _scorers[model] = scorer


def _one_line(error: Exception) -> str:
    """What an error says, on one line."""
    return " ".join(str(error).split())[:200] or type(error).__name__
