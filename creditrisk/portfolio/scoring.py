"""A portfolio in, decisions out: files of any number and size, each row exactly once.

A file is a part, and each part becomes one file of decisions under the same name. Rows that the
contract does not allow go to ``_rejected`` with the reason, in the API's words. A part is written
under a temporary name, moved when it is whole, and entered in ``_parts`` after that; whoever is
killed in between leaves nothing that counts, and whoever does a part twice writes the same bytes.

A part is read in batches of columns, so memory does not grow with the rows.
"""

import time
import uuid
from collections.abc import Callable, Generator
from contextlib import closing
from typing import Any

from joblib import cpu_count

from creditrisk.portfolio.decisions import keep_scorer, score_part
from creditrisk.portfolio.job import (
    MANIFEST,
    SUCCESS,
    FailedPart,
    Job,
    Part,
    ScoredPart,
    Stopped,
    Summary,
)
from creditrisk.portfolio.output import Store
from creditrisk.portfolio.parts import find_parts
from creditrisk.portfolio.recording import record
from creditrisk.portfolio.run_folder import manifest, prepare
from creditrisk.portfolio.storage import absolute, reaching
from creditrisk.scoring.lookup_tables import WORTH_COMPILED, compiled
from creditrisk.scoring.reason_finder import NoReasons
from creditrisk.scoring.scorer import Scorer
from creditrisk.scoring.sources.loading import load_scorer
from work_units.errors import MAX_WORKER_DEATHS, WorkersDied
from work_units.local import run_local

#: Bytes that are worth a process of their own, as they take longer than it takes to start.
WORTH, WORTH_REASONED = 4 * 2**20, 2**18

#: Bytes from which on it is certain that the compiled walk is worth its import.
WORTH_COMPILING = 2**20


#: Called with what has happened, and what about it; see :func:`score`.
Notify = Callable[[str, Any], None]
Results = Generator[ScoredPart | FailedPart]


def score(
    source: str,
    out: str,
    model: str = "models",
    *,
    id: str | None = None,
    reasons: bool = False,
    blank_is_level: bool = False,
    workers: int | None = None,
    scheduler: str | None = None,
    resume: bool = False,
    overwrite: bool = False,
    log: str | None = None,
    notify: Notify = lambda what, about: None,
) -> Summary:
    """Score a portfolio.

    Parameters
    ----------
    source
        A Parquet or CSV file, a folder of them, or a glob; a path or a URL such as ``s3://...``.
    out
        The folder for the decisions, made if need be; a path or a URL.
    model
        Folder or registry URI, as ``load_scorer`` takes it; every worker loads it from there.
    id
        The column that names a row. By default ``id`` if the file has it, else file and row.
    blank_is_level
        Whether a blank stands for the level that the model's data record as missing, as it does in
        files that are in the coding of these data. By default such rows are rejected.
    workers
        Processes; by default one a core, and fewer for a portfolio that is not worth them.
    scheduler
        Address of a Dask scheduler whose workers do it instead; they need to reach the same paths.
    resume, overwrite
        What to do if ``out`` holds a run already: keep its finished parts, or begin anew.
    log
        Folder of decision logs; once all is scored, the decisions are recorded there, by the ids
        that the column ``decision_id`` has.
    notify
        Called with ``"plan"``, a summary and the parts to do, ``"cluster"`` and a sentence on
        where they go, then ``"part"`` and each :class:`ScoredPart` or :class:`FailedPart`.

    Raises
    ------
    Refused
        If the request makes no sense or ``out`` belongs to another run; nothing was changed.
    ModelRefused, NoReasons
        If there is no model that can do it.
    NoStorage
        If a URL leads nowhere.
    LogError
        If the decisions cannot be recorded; all are scored.
    Stopped, work_units.errors.NoCluster, OSError
        If workers die again and again, there is no cluster or it is lost, or the books cannot be
        kept; what is finished stays.
    """
    source, out = absolute(source), absolute(out)
    with reaching(source):
        parts = find_parts(source, out)
    scorer = load_scorer(model)
    if reasons and scorer.reference is None:
        raise NoReasons(
            "the model was saved without a reference application, so it has no "
            "reasons; register it again"
        )
    if scorer.alias is not None:  # it may move on while the parts are under way
        model = f"models:/{scorer.name}/{scorer.version}"
    elif not model.startswith("models:/"):
        model = absolute(model)
    store = Store.at(out)
    job = Job(
        uuid.uuid4().hex,
        model,
        scorer.sha256,
        source,
        out,
        id,
        reasons,
        blank_is_level,
        log is not None,
    )
    with reaching(out):
        job, kept = prepare(store, job, parts, resume, overwrite)
    names = {part.name for part in kept}
    rest = [part for part in parts if part.name not in names]
    summary = Summary(len(parts), list(kept), [], len(kept))
    results = _results(job, rest, workers, scheduler, scorer, notify)
    notify("plan", (summary, rest))
    _collect(results, summary, notify)
    if len(summary.done) == len(parts):
        store.sweep()
        if log is not None:
            summary.recorded = record(store, job, parts, scorer, log, resumed=resume)
        summary.manifest = manifest(scorer, job, summary)
        store.write_json(MANIFEST, summary.manifest)
        store.write(SUCCESS, "")
    return summary


def _collect(results: Results, summary: Summary, notify: Notify) -> None:
    """Enter the parts as they are done, up to one after which no other can be, and their time."""
    began = time.perf_counter()
    with closing(results):
        for result in results:
            if isinstance(result, ScoredPart):
                summary.done.append(result)
            else:
                summary.failed.append(result)
            notify("part", result)
            if isinstance(result, FailedPart) and result.fatal:
                break
    summary.seconds = time.perf_counter() - began


def _results(
    job: Job,
    parts: list[Part],
    workers: int | None,
    scheduler: str | None,
    scorer: Scorer,
    notify: Notify,
) -> Results:
    """All is ready; parts as they are done, on the cluster or by processes of this machine."""
    size = sum(part.size for part in parts)
    useful = 1 + size // (WORTH_REASONED if job.reasons else WORTH)
    workers = min(workers or min(cpu_count(), useful), len(parts))
    units = [(job, part) for part in parts]
    if scheduler and parts:
        from work_units.dask_cluster import on_cluster

        done = on_cluster(score_part, units, scheduler, lambda text: notify("cluster", text))
    else:
        keep_scorer(job.model, scorer)
        if size >= WORTH_COMPILING and (job.on_disk or workers == 1):
            compiled(WORTH_COMPILED)  # now, and forks have it; others would import it once more
        # A fork has the model. But the loop that talks to an object store does not survive it.
        done = run_local(score_part, units, workers, forked=job.on_disk)
    return _unless_they_die(done, parts)


def _unless_they_die(
    done: Generator[tuple[int, ScoredPart | FailedPart]], parts: list[Part]
) -> Results:
    """Results as they come, without their numbers; Stopped if workers die again and again."""
    try:
        with closing(done):
            for _, result in done:
                yield result
    except WorkersDied as error:
        names = ", ".join(parts[number].file for number in error.numbers)
        raise Stopped(
            f"workers died {MAX_WORKER_DEATHS} times at {names}; is there enough memory?"
        ) from error
