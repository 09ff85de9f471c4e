"""The folder of decisions: whose it is, which parts are done, and what says that all is there."""

from dataclasses import asdict, replace
from datetime import UTC, datetime

from creditrisk.data.contract import Json
from creditrisk.portfolio.job import (
    MANIFEST,
    PARTS,
    REJECTED,
    RUN,
    SUCCESS,
    Job,
    Part,
    Refused,
    ScoredPart,
    Summary,
)
from creditrisk.portfolio.output import Store
from creditrisk.scoring.scorer import Scorer


def prepare(
    store: Store, job: Job, parts: list[Part], resume: bool, overwrite: bool
) -> tuple[Job, list[ScoredPart]]:
    """Make the folder of decisions ready; the job, which may go on with an earlier one's run.

    Raises
    ------
    Refused
        If the folder holds something else.
    """
    if store.storage.is_file(store.path):
        raise Refused(f"{job.out} is a file; name a folder")
    names, run = store.names(), store.read_json(RUN)
    ours = {
        "model_sha256": job.sha256,
        "source": job.source,
        "id": job.id,
        "reasons": job.reasons,
        "blank_is_level": job.blank_is_level,
    }
    if job.recorded:
        ours["recorded"] = True
    if any(not name.endswith(".tmp") for name in names) and not run:
        raise Refused(f"{job.out} holds files that no scoring has made; name another folder")
    if run and not (resume or overwrite):
        end = "the finished" if SUCCESS in names else "an unfinished"
        raise Refused(
            f"{job.out} holds {end} run of {run.get('started')}; add --resume to go on "
            "with it, or --overwrite to delete it and begin anew"
        )
    if resume and run:
        other = [words for name, words in _DIFFERS.items() if run.get(name) != ours.get(name)]
        if other and not overwrite:
            raise Refused(
                f"{job.out} holds a run that differs in {' and '.join(other)}; name "
                "another folder, or add --overwrite to delete it"
            )
        if not other:
            kept = _kept(store, parts, names)
            _clear(store, {part.name for part in parts} - {done.name for done in kept})
            return replace(job, run=run["run"]), kept
    foreign = sorted(name for name in names if not _ours(name))
    if foreign:
        raise Refused(
            f"{job.out} also holds {foreign[0]}, which no scoring has made; move it, or "
            "name another folder"
        )
    # The run's own name goes last: what is left of a deletion that was cut short is still ours.
    for name in sorted(names, key=lambda name: name == RUN):
        store.delete(name)
    started = datetime.now(UTC).isoformat(timespec="seconds")
    store.write_json(RUN, {"run": job.run, "started": started} | ours)
    return job, []


def _ours(name: str) -> bool:
    """Whether a file in the folder of decisions is one that a scoring makes."""
    return (
        name.endswith((".parquet", ".tmp"))
        or name in (RUN, MANIFEST, SUCCESS)
        or (name.startswith(f"{PARTS}/"))
    )


_DIFFERS = {
    "model_sha256": "the model",
    "source": "the portfolio",
    "id": "the id column",
    "reasons": "whether reasons are given",
    "blank_is_level": "whether a blank is a level",
    "recorded": "whether decisions are recorded",
}


def _kept(store: Store, parts: list[Part], names: list[str]) -> list[ScoredPart]:
    """The parts that are finished: neither their file nor what was made of it has changed.

    Raises
    ------
    Refused
        If decisions are there for a file that is no longer in the portfolio.
    """
    by_name = {part.name: part for part in parts}
    kept = []
    for entry in names:
        if not (entry.startswith(f"{PARTS}/") and entry.endswith(".json")):
            continue
        try:
            content = store.read_json(entry)
            done = ScoredPart(**content | {"unused": tuple(content["unused"])})
        except (KeyError, TypeError):
            continue  # not whole: the part is done again
        part = by_name.get(done.name)
        if part is None:
            raise Refused(
                f"{done.name} has been scored and is no longer in the portfolio; bring "
                "it back, or begin anew with --overwrite"
            )
        same = (part.size, part.state) == (done.size, done.state)
        if same and all(store.sha256(name) == sha256 for name, sha256 in done.sha256.items()):
            kept.append(done)
    return kept


def _clear(store: Store, names: set[str]) -> None:
    """Delete what is left of parts that are done again, and whatever said that all is done.

    A file that was mended since may have no rejected rows any more.
    """
    for name in (SUCCESS, MANIFEST):
        store.delete(name)
    for name in names:
        for made in (f"{PARTS}/{name}.json", f"{REJECTED}/{name}", name):
            store.delete(made)
    store.sweep()


def manifest(scorer: Scorer, job: Job, summary: Summary) -> Json:
    """What was scored with what, and by which it can be seen that all is there."""
    parts = sorted(summary.done, key=lambda part: part.name)
    return {
        "run": job.run,
        "model": {
            "name": scorer.name,
            "version": scorer.version,
            "sha256": scorer.sha256,
            "cutoff": scorer.cutoff,
        },
        "source": job.source,
        "id": job.id,
        "reasons": job.reasons,
        "blank_is_level": job.blank_is_level,
        "rows": summary.total("rows"),
        "scored": summary.total("scored"),
        "rejected": summary.total("rejected"),
        "approved": summary.total("approved"),
        "rejected_by_reason": dict(summary.why.most_common()),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(summary.seconds, 3),
        "parts_kept": summary.kept,
        "parts": [asdict(part) for part in parts],
    }
