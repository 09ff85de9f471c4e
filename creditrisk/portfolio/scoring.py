"""A portfolio in, decisions out: files of any number and size, each row exactly once.

A file is a part, and each part becomes one file of decisions under the same name. Rows that the
contract does not allow go to ``_rejected`` with the reason, in the API's words. A part is written
under a temporary name, moved when it is whole, and entered in ``_parts`` after that; whoever is
killed in between leaves nothing that counts, and whoever does a part twice writes the same bytes.

A part is read in batches of columns, so memory does not grow with the rows.
"""

import errno
import glob
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import PurePath

import numpy as np
import pyarrow as pa
from joblib import cpu_count

from creditrisk.data.contract import Contract
from creditrisk.portfolio.output import Files, Store
from creditrisk.portfolio.reader import Batch, Unreadable, complaints, numbered_values, open_table
from creditrisk.portfolio.storage import Disk, Entry, absolute, reaching, storage_of
from creditrisk.scoring.loading import ModelRefused, load_scorer
from creditrisk.scoring.lookup_tables import WORTH_COMPILED, compiled
from creditrisk.scoring.scorer import NoReasons, Scorer
from work_units.errors import MAX_WORKER_DEATHS, WorkersDied
from work_units.local import run_local

#: Rows that are read, scored and written at once, without and with reasons.
ROWS, REASONED = 65_536, 4_096

#: Bytes that are worth a process of their own, as they take longer than it takes to start.
WORTH, WORTH_REASONED = 4 * 2**20, 2**18

#: Bytes from which on it is certain that the compiled walk is worth its import.
WORTH_COMPILING = 2**20

#: In OUT, beside the decisions. Readers of a folder of Parquet files pass over such names.
REJECTED, PARTS, RUN, MANIFEST, SUCCESS = (
    "_rejected",
    "_parts",
    "_run.json",
    "_manifest.json",
    "_SUCCESS",
)

REASONS = pa.list_(
    pa.struct([("field", pa.string()), ("effect", pa.float64()), ("words", pa.string())])
)
#: Of the decisions, the columns in which values return; they are written as numbers of a list.
REPEATED = (
    "prediction",
    "decision",
    "model_version",
    "model_sha256",
    "reasons.list.element.field",
    "reasons.list.element.words",
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


class Refused(Exception):
    """Why a portfolio is not scored, in one sentence."""


class Stopped(Exception):
    """Why the scoring of a portfolio has not come to its end, in one sentence."""


@dataclass(frozen=True)
class Part:
    """One file of the portfolio."""

    name: str  # of its decisions, below OUT
    path: str  # in its storage
    size: int
    state: int | str  # another one as soon as the file is another one


@dataclass(frozen=True)
class Job:
    """What is done with each part; enough for a process on another machine."""

    run: str
    model: str  # folder or registry URI
    sha256: str  # the model's
    source: str  # path or URL of the portfolio
    out: str  # path or URL of the folder of decisions
    id: str | None  # column that names a row
    reasons: bool

    @property
    def on_disk(self) -> bool:
        """Whether all files are in folders of the machine, and none in an object store."""
        places = storage_of(self.source), storage_of(self.out)
        return all(isinstance(storage, Disk) for storage, _ in places)


@dataclass(frozen=True)
class ScoredPart:
    """A part that has been scored."""

    name: str
    size: int
    state: int | str
    rows: int
    scored: int
    rejected: int
    approved: int
    sha256: dict[str, str]  # by file, below OUT
    why: dict[str, int] = field(default_factory=dict)  # rejected rows by reason
    unused: tuple[str, ...] = ()  # columns that the contract does not know


@dataclass(frozen=True)
class FailedPart:
    """A part that could not be scored; nothing of it is left."""

    name: str
    words: str
    fatal: bool = False  # whether the others would fail as well


@dataclass
class Summary:
    """What became of a portfolio."""

    parts: int
    done: list[ScoredPart]
    failed: list[FailedPart]
    kept: int  # parts that an earlier run had finished
    seconds: float = 0.0  # that this run took for the others, once the model was loaded
    manifest: dict | None = None  # if all is done

    def total(self, figure: str) -> int:
        """A figure summed over the parts that are done."""
        return sum(getattr(part, figure) for part in self.done)

    @property
    def why(self) -> Counter:
        """Rejected rows by reason."""
        return sum((Counter(part.why) for part in self.done), Counter())


def score(
    source: str,
    out: str,
    model: str = "models",
    *,
    id: str | None = None,
    reasons: bool = False,
    workers: int | None = None,
    scheduler: str | None = None,
    resume: bool = False,
    overwrite: bool = False,
    tell: Callable[[str, object], None] = lambda what, about: None,
) -> Summary:
    """Score a portfolio.

    Parameters
    ----------
    source
        A Parquet or CSV file, a folder of them, or a glob; a path or a URL such as ``s3://...``.
    out
        The folder for the decisions, made if need be; a path or a URL.
    model
        Folder or registry URI, as :func:`creditrisk.scoring.loading.load_scorer` takes it; every worker loads it from there.
    id
        The column that names a row. By default ``id`` if the file has it, else file and row.
    workers
        Processes; by default one a core, and fewer for a portfolio that is not worth them.
    scheduler
        Address of a Dask scheduler whose workers do it instead; they need to reach the same paths.
    resume, overwrite
        What to do if ``out`` holds a run already: keep its finished parts, or begin anew.
    tell
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
    Stopped, work_units.dask_cluster.NoCluster, OSError
        If workers die again and again, there is no cluster or it is lost, or the books cannot be
        kept; what is finished stays.
    """
    scorer = load_scorer(model)
    if reasons and scorer.reference is None:
        raise NoReasons(
            "the model was saved without a reference application, so it cannot tell "
            "reasons; register it again"
        )
    if scorer.alias is not None:  # it may move on while the parts are under way
        model = f"models:/{scorer.name}/{scorer.version}"
    elif not model.startswith("models:/"):
        model = absolute(model)
    source, out = absolute(source), absolute(out)
    with reaching(source):
        parts = find_parts(source, out)
    store = Store.at(out)
    job = Job(uuid.uuid4().hex, model, scorer.sha256, source, out, id, reasons)
    with reaching(out):
        job, kept = _prepare(store, job, parts, resume, overwrite)
    names = {part.name for part in kept}
    rest = [part for part in parts if part.name not in names]
    summary = Summary(len(parts), list(kept), [], len(kept))
    results = _results(job, rest, workers, scheduler, scorer, tell)
    tell("plan", (summary, rest))
    began = time.perf_counter()
    with closing(results):
        for result in results:
            (summary.done if isinstance(result, ScoredPart) else summary.failed).append(result)
            tell("part", result)
            if isinstance(result, FailedPart) and result.fatal:
                break
    summary.seconds = time.perf_counter() - began
    if len(summary.done) == len(parts):
        store.sweep()
        summary.manifest = _manifest(scorer, job, summary)
        store.write_json(MANIFEST, summary.manifest)
        store.write(SUCCESS, "")
    return summary


def _results(
    job: Job,
    parts: list[Part],
    workers: int | None,
    scheduler: str | None,
    scorer: Scorer,
    tell: Callable[[str, object], None],
) -> Iterator[ScoredPart | FailedPart]:
    """All is ready; parts as they are done, on the cluster or by processes of this machine."""
    size = sum(part.size for part in parts)
    useful = 1 + size // (WORTH_REASONED if job.reasons else WORTH)
    workers = min(workers or min(cpu_count(), useful), len(parts))
    units = [(job, part) for part in parts]
    if scheduler and parts:
        from work_units.dask_cluster import on_cluster

        done = on_cluster(score_part, units, scheduler, lambda words: tell("cluster", words))
    else:
        _scorers[job.model] = scorer
        if size >= WORTH_COMPILING and (job.on_disk or workers == 1):
            compiled(WORTH_COMPILED)  # now, and forks have it; others would import it once more
        # A fork has the model. But the loop that talks to an object store does not survive it.
        done = run_local(score_part, units, workers, forked=job.on_disk)
    return _unless_they_die(done, parts)


def _unless_they_die(
    done: Iterator[tuple[int, ScoredPart | FailedPart]], parts: list[Part]
) -> Iterator[ScoredPart | FailedPart]:
    """Results as they come, without their numbers; Stopped if workers die again and again."""
    try:
        with closing(done):
            for _, result in done:
                yield result
    except WorkersDied as error:
        names = ", ".join(parts[number].name for number in error.numbers)
        raise Stopped(
            f"workers died {MAX_WORKER_DEATHS} times at {names}; is there enough memory?"
        ) from error


def find_parts(source: str, out: str) -> list[Part]:
    """The files of a portfolio, by name; of a folder those that end in .parquet or .csv.

    Raises
    ------
    Refused
        If there is none, two would become one, or portfolio and decisions lie in one another.
    """
    (storage, path), (other, target) = storage_of(source), storage_of(out)
    if storage.is_folder(path):
        base, found = PurePath(path), storage.below(path)
    elif storage.is_file(path):
        base, found = PurePath(path).parent, [storage.entry(path)]
    elif glob.has_magic(path):
        base = PurePath(*_before_magic(PurePath(path).parts))
        found = storage.matching(path)
    else:
        raise Refused(f"{source} does not exist")
    parts = {}
    for file in found:
        if (name := _decisions_of(file, base)) and parts.setdefault(name, file) != file:
            both = " and ".join(sorted((file.path, parts[name].path)))
            raise Refused(f"{both} would both become {name}; rename one of them")
    if not parts:
        raise Refused(f"{source} holds no file that ends in .parquet or .csv")
    target = PurePath(target)
    wide = storage.is_folder(path) or "**" in path
    if storage == other and (
        any(target in PurePath(file.path).parents for file in parts.values())
        or (wide and base in (target, *target.parents))
    ):
        raise Refused(f"{out} lies in the portfolio or around it; name a folder apart from it")
    return [Part(name, **vars(parts[name])) for name in sorted(parts)]


def _decisions_of(file: Entry, base: PurePath) -> str | None:
    """The name of a file's decisions below OUT; none if it is not of the portfolio."""
    below = PurePath(file.path).relative_to(base)
    hidden = any(name[0] in "_." for name in below.parts)
    if hidden or below.suffix not in (".parquet", ".csv"):
        return None
    return below.as_posix() + ".parquet" * (below.suffix == ".csv")


def _before_magic(parts: tuple[str, ...]) -> Iterator[str]:
    """The folders of a glob before the first one that is a pattern."""
    for part in parts[:-1]:
        if glob.has_magic(part):
            return
        yield part


def score_part(job: Job, part: Part) -> ScoredPart | FailedPart:
    """Score one file and enter it in the run's books; done twice, it gives the same files."""
    store = Store.at(job.out)
    # Object stores have errors of their own.
    faults = (pa.ArrowException, OSError, UnicodeDecodeError) if job.on_disk else Exception
    try:
        scorer = _scorer(job.model, job.sha256)
        with store.writing() as files:
            counts = _scored(job, part, scorer, files)
            hashes = files.finished()
            if store.read_json(RUN).get("run") != job.run:
                return FailedPart(part.name, "another run has taken the folder over", fatal=True)
            files.move()
        done = ScoredPart(part.name, part.size, part.state, sha256=hashes, **counts)
        store.write_json(f"{PARTS}/{part.name}.json", asdict(done))
        return done
    except ModelRefused as error:
        return FailedPart(part.name, str(error), fatal=True)
    except Unreadable as error:
        return FailedPart(part.name, str(error))
    except faults as error:
        full = getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT)
        full = full or "No space left" in str(error)  # if Arrow has made words of it
        words = "no space left" if full else f"cannot be read or written ({_words(error)})"
        return FailedPart(part.name, words, fatal=full)


def _scored(job: Job, part: Part, scorer: Scorer, files: Files) -> dict:
    """Write a part's decisions and rejections; its counts."""
    rows = scored = approved = 0
    why, rejections = Counter(), None
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
        schema = _decision_schema(table.id_type, job.reasons)
        decisions = files.parquet(part.name, schema, REPEATED)
        for batch in table.batches:
            places, faults = numbered_values(batch, scorer.domain, table.text)
            good = ~((faults > 0).any(axis=1) | batch.no_id)
            probabilities = scorer.from_places(places[good])
            ids = batch.ids.filter(pa.array(good))
            columns = _decisions(scorer, job, ids, places[good], probabilities)
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


def _decision_schema(id_type: pa.DataType, reasons: bool) -> pa.Schema:
    words = pa.dictionary(pa.int8(), pa.string())
    return pa.schema(
        [
            ("id", id_type),
            ("probability", pa.float64()),
            ("prediction", pa.int8()),
            ("decision", words),
            ("model_version", pa.int32()),
            ("model_sha256", words),
            *([("reasons", REASONS)] if reasons else []),
        ]
    )


def _decisions(scorer: Scorer, job: Job, ids, places, probabilities) -> list[pa.Array]:
    good = probabilities >= scorer.cutoff
    none = np.zeros(len(good), np.int8)
    columns = [
        ids,
        pa.array(probabilities),
        pa.array(good.astype(np.int8)),
        pa.DictionaryArray.from_arrays(good.astype(np.int8), pa.array(["decline", "approve"])),
        pa.array(
            np.full(len(good), scorer.version or 0, np.int32),
            mask=np.full(len(good), scorer.version is None),
        ),
        pa.DictionaryArray.from_arrays(none, pa.array([scorer.sha256])),
    ]
    if job.reasons:
        told = scorer.reasons(places)
        columns.append(
            pa.array(
                [
                    [{"field": r.field, "effect": r.effect, "words": r.words} for r in why]
                    for why in told
                ],
                REASONS,
            )
        )
    return columns


def _rejections(batch: Batch, good, faults, contract: Contract, id: str | None) -> list[tuple]:
    """Id, row, columns and reason of each row that is not scored."""
    found, words = [], complaints(contract)
    bad = np.flatnonzero(~good)
    for name, number in zip(batch.ids.take(pa.array(bad)).to_pylist(), bad.tolist()):
        at = np.flatnonzero(faults[number]).tolist()
        columns = [contract.fields[each].name for each in at]
        reasons = [
            f"{contract.fields[each].name} {words[each][int(faults[number, each])]}" for each in at
        ]
        if name is None:
            columns, reasons = [id, *columns], [f"{id} is null, and names the row", *reasons]
        found.append(
            (
                None if name is None else str(name),
                batch.first + number,
                ", ".join(columns),
                ". ".join(reasons),
            )
        )
    return found


def _rejection_batch(refused: list[tuple], part: Part) -> pa.RecordBatch:
    ids, rows, columns, reasons = map(list, zip(*refused))
    file = [PurePath(part.path).name] * len(ids)
    return pa.record_batch([ids, file, rows, columns, reasons], schema=REJECTION)


def _prepare(
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
    ours = {"model_sha256": job.sha256, "source": job.source, "id": job.id, "reasons": job.reasons}
    if any(not name.endswith(".tmp") for name in names) and not run:
        raise Refused(f"{job.out} holds files that no scoring has made; name another folder")
    if run and not (resume or overwrite):
        end = "the finished" if SUCCESS in names else "an unfinished"
        raise Refused(
            f"{job.out} holds {end} run of {run.get('started')}; add --resume to go on "
            "with it, or --overwrite to delete it and begin anew"
        )
    if resume and run:
        other = [_DIFFERS[name] for name in ours if run.get(name) != ours[name]]
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
    "reasons": "whether reasons are told",
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


def _manifest(scorer: Scorer, job: Job, summary: Summary) -> dict:
    """What was scored with what, and how to tell that it is all there."""
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


def _words(error: Exception) -> str:
    """An error's own words on one line."""
    return " ".join(str(error).split())[:200] or type(error).__name__
