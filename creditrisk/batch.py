"""A portfolio in, decisions out: files of any number and size, each row exactly once.

A file is a part, and each part becomes one file of decisions under the same name. Rows that the
contract does not allow go to ``_rejected`` with the reason, in the API's words. A part is written
under a temporary name, moved when it is whole, and entered in ``_parts`` after that; whoever is
killed in between leaves nothing that counts, and whoever does a part twice writes the same bytes.

A part is read in batches of columns, so memory does not grow with the rows.
"""

import csv
import glob
import hashlib
import json
import os
import re
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import PurePosixPath

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
from pyarrow import fs as pa_fs

from creditrisk import engine
from creditrisk.contract import Contract, Field, record_problems
from creditrisk.flat import Domain
from creditrisk.scoring import NoReasons, Scorer

ROWS = 65_536  # read, scored and written at once
REASONED = 4_096  # the same if reasons are asked
BLOCK = 8 * 2**20  # bytes of a CSV file read at once

#: In OUT, beside the decisions. Readers of a folder of Parquet files pass over such names.
REJECTED, PARTS, RUN, MANIFEST, SUCCESS = (
    "_rejected", "_parts", "_run.json", "_manifest.json", "_SUCCESS",
)  # fmt: skip

#: What is wrong with a cell, by number; :func:`_complaints` has the words.
FINE, NULL, INFINITE, OTHER, OUTSIDE = range(5)

REASONS = pa.list_(
    pa.struct([("field", pa.string()), ("effect", pa.float64()), ("words", pa.string())])
)
REJECTION = pa.schema([
    ("id", pa.string()), ("file", pa.string()), ("row", pa.int64()), ("column", pa.string()),
    ("reason", pa.string()),
])  # fmt: skip


class Refused(Exception):
    """Why a portfolio is not scored, in one sentence."""


class Unreadable(Exception):
    """What is wrong with a whole part; ``problems`` holds one sentence each."""

    def __init__(self, problems: list[str]):
        self.problems = problems
        super().__init__("; ".join(problems))


@dataclass(frozen=True)
class Part:
    """One file of the portfolio."""

    name: str  # of its decisions, below OUT
    path: str  # of the file, in its file system
    size: int
    modified: int | None  # nanoseconds


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


@dataclass(frozen=True)
class Done:
    """A part that has been scored."""

    name: str
    size: int
    modified: int | None
    rows: int
    scored: int
    rejected: int
    approved: int
    sha256: dict[str, str]  # by file, below OUT
    why: dict[str, int] = field(default_factory=dict)  # rejected rows by reason
    unused: tuple[str, ...] = ()  # columns that the contract does not know


@dataclass(frozen=True)
class Failed:
    """A part that could not be scored; nothing of it is left."""

    name: str
    words: str
    fatal: bool = False  # whether the others would fail as well


@dataclass
class Summary:
    """What became of a portfolio."""

    parts: int
    done: list[Done]
    failed: list[Failed]
    kept: int  # parts that an earlier run had finished
    manifest: dict | None = None  # if all is done

    def total(self, figure: str) -> int:
        """A figure summed over the parts that are done."""
        return sum(getattr(part, figure) for part in self.done)

    @property
    def why(self) -> Counter:
        """Rejected rows by reason."""
        return sum((Counter(part.why) for part in self.done), Counter())


def score(
    source: str, out: str, model: str = "models", *, id: str | None = None, reasons: bool = False,
    scheduler: str | None = None, workers: int | None = None, resume: bool = False,
    overwrite: bool = False, tell: Callable[[str, object], None] = lambda what, about: None,
) -> Summary:  # fmt: skip
    """Score a portfolio.

    Parameters
    ----------
    source
        A Parquet or CSV file, a folder of them, or a glob; a path or a URL such as ``s3://...``.
    out
        The folder for the decisions, made if need be; a path or a URL.
    model
        Folder or registry URI, as :meth:`Scorer.load` takes it; every worker loads it from there.
    id
        The column that names a row. By default ``id`` if the file has it, else file and row.
    scheduler
        Address of a Dask scheduler; by default processes of this machine, ``workers`` of them.
    resume, overwrite
        What to do if ``out`` holds a run already: keep its finished parts, or begin anew.
    tell
        Called with ``"plan"`` and a summary, ``"link"`` and a dashboard's URL, ``"part"`` and each
        :class:`Done` or :class:`Failed`.

    Raises
    ------
    Refused
        If the request makes no sense or ``out`` belongs to another run; nothing was changed.
    ModelRefused, NoReasons, NoEngine, OSError
    """
    scorer = Scorer.load(model)
    if reasons and scorer.reference is None:
        raise NoReasons("the model was saved without a reference application, so it cannot tell "
                        "reasons; register it again")  # fmt: skip
    if scorer.alias is not None:  # it may move on while the parts are under way
        model = f"models:/{scorer.name}/{scorer.version}"
    source, out, model = _absolute(source), _absolute(out), _absolute(model)
    parts = find_parts(source, out)
    store = Store.at(out)
    job = Job(uuid.uuid4().hex, model, scorer.sha256, source, out, id, reasons)
    job, kept = _prepare(store, job, parts, resume, overwrite)
    begun = datetime.now(UTC)
    names = {part.name for part in kept}
    rest = [part for part in parts if part.name not in names]
    summary = Summary(len(parts), list(kept), [], len(kept))
    tell("plan", (summary, rest))
    for result in _results(job, rest, scheduler, workers, tell):
        (summary.done if isinstance(result, Done) else summary.failed).append(result)
        tell("part", result)
        if isinstance(result, Failed) and result.fatal:
            break
    if len(summary.done) == len(parts):
        store.sweep()
        summary.manifest = _manifest(scorer, job, summary, begun)
        store.write_json(MANIFEST, summary.manifest)
        store.write(SUCCESS, b"")
    return summary


def _results(job: Job, parts: list[Part], scheduler, workers, tell) -> Iterator[Done | Failed]:
    units = [(job, part) for part in parts]
    if scheduler and units:
        with engine.cluster(scheduler) as client:
            tell("link", client.dashboard_link)
            for _, result in engine.on_cluster(client, score_part, units):
                yield result
        return
    workers = min(workers or engine.cores(), len(units))
    if workers <= 1:
        yield from map(score_part, units)
        return
    for _, result in engine.in_processes(score_part, units, workers):
        yield result


def find_parts(source: str, out: str = "") -> list[Part]:
    """The files of a portfolio, by name; of a folder those that end in .parquet or .csv.

    Raises
    ------
    Refused
        If there is none.
    """
    system, path = _system(source)
    if out and (out == source or out.startswith(source.rstrip("/") + "/")):
        raise Refused(f"{out} lies in {source}; name a folder outside of the portfolio")
    base = path
    if re.search(r"[*?\[]", path):
        base = str(PurePosixPath(re.split(r"[*?\[]", path)[0] + "x").parent)
        found = _globbed(system, path)
    else:
        info = system.get_file_info(path)
        if info.type == pa_fs.FileType.NotFound:
            raise Refused(f"{source} does not exist")
        if info.type == pa_fs.FileType.File:
            base, found = str(PurePosixPath(path).parent), [info]
        else:
            found = system.get_file_info(pa_fs.FileSelector(path, recursive=True))
    parts = []
    for info in found:
        below = PurePosixPath(info.path).relative_to(PurePosixPath(base))
        hidden = info.type != pa_fs.FileType.File or any(name[0] in "_." for name in below.parts)
        if info.path.endswith((".parquet", ".csv")) and not hidden:
            name = str(below) if info.path.endswith(".parquet") else f"{below}.parquet"
            parts.append(Part(name, info.path, info.size, info.mtime_ns))
    if not parts:
        raise Refused(f"{source} holds no file that ends in .parquet or .csv")
    return sorted(parts, key=lambda part: part.name)


def score_part(unit: tuple[Job, Part]) -> Done | Failed:
    """Score one file and enter it in the run's books; done twice, it gives the same files."""
    job, part = unit
    pa.set_cpu_count(1)  # there are other processes for the other cores
    try:
        scorer = _scorer(job.model, job.sha256)
        store = Store.at(job.out)
        with store.writing(job.run) as files:
            counts = _scored(job, part, scorer, files)
            hashes = files.finished()
            if store.read_json(RUN).get("run") != job.run:
                raise Unreadable(["another run has taken the folder of decisions over"])
            files.move()
        done = Done(part.name, part.size, part.modified, sha256=hashes, **counts)
        store.write_json(f"{PARTS}/{part.name}.json", asdict(done))
        return done
    except Unreadable as error:
        return Failed(part.name, str(error))
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        full = getattr(error, "errno", None) == 28 or "No space left" in str(error)
        words = "no space left" if full else f"cannot be read or written ({_words(error)})"
        return Failed(part.name, words, fatal=full)


def _scored(job: Job, part: Part, scorer: Scorer, files: "Files") -> dict:
    """Write a part's decisions and rejections; its counts."""
    system, _ = _system(job.source)
    rows = scored = approved = 0
    why, rejections = Counter(), None
    with system.open_input_file(part.path) as content:
        table = _table(content, part, scorer.contract, job)
        decisions = files.parquet(part.name, _decision_schema(table.id_type, job.reasons))
        for batch in table.batches:
            places, faults = _places(batch, scorer.domain, table.text)
            good = ~((faults > 0).any(axis=1) | batch.no_id)
            probabilities = scorer.from_places(places[good])
            ids = batch.ids.filter(pa.array(good))
            columns = _decisions(scorer, job, ids, places[good], probabilities)
            decisions.write_batch(pa.record_batch(columns, schema=decisions.schema))
            if not good.all():
                refused = _rejections(batch, good, faults, scorer.contract, table.id)
                if rejections is None:
                    rejections = files.parquet(f"{REJECTED}/{part.name}", REJECTION)
                rejections.write_batch(_rejection_batch(refused, part))
                why.update(each[-1] for each in refused)
            rows += len(good)
            scored += len(probabilities)
            approved += int((probabilities >= scorer.cutoff).sum())
    return {"rows": rows, "scored": scored, "rejected": rows - scored, "approved": approved,
            "why": dict(why.most_common(20)), "unused": table.unused}  # fmt: skip


def _decision_schema(id_type: pa.DataType, reasons: bool) -> pa.Schema:
    words = pa.dictionary(pa.int8(), pa.string())
    return pa.schema([
        ("id", id_type), ("probability", pa.float64()), ("prediction", pa.int8()),
        ("decision", words), ("model_version", pa.int32()), ("model_sha256", words),
        *([("reasons", REASONS)] if reasons else []),
    ])  # fmt: skip


def _decisions(scorer: Scorer, job: Job, ids, places, probabilities) -> list[pa.Array]:
    good = probabilities >= scorer.cutoff
    none = np.zeros(len(good), np.int8)
    columns = [
        ids,
        pa.array(probabilities),
        pa.array(good.astype(np.int8)),
        pa.DictionaryArray.from_arrays(good.astype(np.int8), pa.array(["decline", "approve"])),
        pa.array(np.full(len(good), scorer.version or 0, np.int32),
                 mask=np.full(len(good), scorer.version is None)),
        pa.DictionaryArray.from_arrays(none, pa.array([scorer.sha256])),
    ]  # fmt: skip
    if job.reasons:
        told = scorer.reasons(places)
        columns.append(pa.array(
            [[{"field": r.field, "effect": r.effect, "words": r.words} for r in why]
             for why in told], REASONS,
        ))  # fmt: skip
    return columns


def _rejections(batch: "Batch", good, faults, contract: Contract, id: str | None) -> list[tuple]:
    """Id, row, columns and reason of each row that is not scored."""
    found, complaints = [], _complaints(contract)
    bad = np.flatnonzero(~good)
    for name, number in zip(batch.ids.take(pa.array(bad)).to_pylist(), bad.tolist()):
        at = np.flatnonzero(faults[number]).tolist()
        columns = [contract.fields[each].name for each in at]
        reasons = [f"{contract.fields[each].name} {complaints[each][int(faults[number, each])]}"
                   for each in at]  # fmt: skip
        if name is None:
            columns, reasons = [id, *columns], [f"{id} is null, and names the row", *reasons]
        found.append((None if name is None else str(name), batch.first + number,
                      ", ".join(columns), ". ".join(reasons)))  # fmt: skip
    return found


def _rejection_batch(refused: list[tuple], part: Part) -> pa.RecordBatch:
    ids, rows, columns, reasons = map(list, zip(*refused))
    file = [PurePosixPath(part.path).name] * len(ids)
    return pa.record_batch([ids, file, rows, columns, reasons], schema=REJECTION)


def _complaints(contract: Contract) -> list[dict[int, str]]:
    """By field and kind of fault, what the API says of it."""
    found = []
    for each in contract.fields:
        other = 0.5 if each.type == "integer" else 0
        outside = "?".join(map(str, each.levels or ())) + "?"
        if each.type == "integer":
            outside = max(each.levels or [each.maximum]) + 1
        values = {NULL: None, INFINITE: float("inf"), OTHER: other, OUTSIDE: outside}
        words = {}
        for kind, value in values.items():
            about = record_problems({each.name: value}, contract)
            words |= {kind: p.message for p in about if p.field == each.name}
        found.append(words)
    return found


@dataclass(frozen=True)
class Batch:
    """Some rows of a part."""

    columns: dict[str, pa.Array]  # the contract's
    ids: pa.Array
    no_id: np.ndarray  # where the id is null
    first: int  # number of the first row in the file, from 1


@dataclass(frozen=True)
class Table:
    """A part, opened: what its columns are, and its rows in batches."""

    id: str | None
    id_type: pa.DataType
    text: bool  # whether all cells are text, as in CSV
    unused: tuple[str, ...]
    batches: Iterator[Batch]


def _table(content: pa.NativeFile, part: Part, contract: Contract, job: Job) -> Table:
    """Open a part and make sure that its columns are those of an application.

    Raises
    ------
    Unreadable
        If one is missing, stands there twice or is of a type that cannot hold its values.
    """
    size, text = REASONED if job.reasons else ROWS, part.path.endswith(".csv")
    if text:
        schema = pa.schema([(name, pa.string()) for name in _header(content)])
    else:
        reader = pq.ParquetFile(content)
        schema = reader.schema_arrow
    id = job.id or ("id" if "id" in schema.names else None)
    _check_columns(schema, contract, id)
    wanted = [each.name for each in contract.fields] + [id] * (id is not None)
    stream = (_csv_batches(content, wanted, size) if text
              else reader.iter_batches(size, columns=wanted, use_threads=False))  # fmt: skip
    known = {*wanted, contract.target.name, contract.row_number}
    id_type = schema.field(id).type if id else pa.string()
    return Table(id, id_type, text, tuple(sorted({*schema.names} - known)),
                 _batches(stream, part, id, text))  # fmt: skip


def _batches(stream: Iterator[pa.RecordBatch], part: Part, id: str | None, text: bool):
    first, name = 1, PurePosixPath(part.name).with_suffix("")
    for found in stream:
        if id is None:
            numbers = pa.array(np.arange(first, first + len(found))).cast(pa.string())
            ids = pc.binary_join_element_wise(f"{name}", numbers, ":")
        else:
            ids = found.column(id)
            if text:
                ids = pc.if_else(pc.equal(ids, ""), pa.scalar(None, pa.string()), ids)
        columns = dict(zip(found.schema.names, found.columns))
        yield Batch(columns, ids, ids.is_null().to_numpy(zero_copy_only=False), first)
        first += len(found)


def _check_columns(schema: pa.Schema, contract: Contract, id: str | None) -> None:
    absent = {problem.field: problem.message for problem in record_problems({}, contract)}
    problems = []
    for each in contract.fields:
        count = schema.names.count(each.name)
        if count == 0:
            problems.append(f"{each.name} {absent[each.name]}")
        elif count > 1:
            problems.append(f"{each.name} stands in more than one column")
        elif not _can_hold(schema.field(each.name).type, each):
            kind = "whole numbers" if each.type == "integer" else "text"
            problems.append(f"{each.name} is of type {schema.field(each.name).type}, not {kind}")
    if id is not None and schema.names.count(id) != 1:
        problems.append(f"{id}, which names the rows, is not one of its columns")
    if problems:
        raise Unreadable(problems)


def _can_hold(kind: pa.DataType, each: Field) -> bool:
    """Whether a column's type can hold a field's values; in CSV all is text."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    types = pa.types
    if types.is_null(kind) or types.is_string(kind):
        return True  # whole numbers as text are no whole numbers: each cell is told so
    if each.type == "integer":
        return types.is_integer(kind) or types.is_floating(kind)
    return types.is_large_string(kind) or types.is_string_view(kind)


def _header(content: pa.NativeFile) -> list[str]:
    """The column names of a CSV file."""
    begin = content.read(2**16)
    content.seek(0)
    if not begin.strip():
        raise Unreadable(["the file is empty"])
    lines = begin.decode("utf-8-sig", errors="replace").splitlines()
    return [name.strip() for name in next(csv.reader(lines[:1]))]


def _csv_batches(content: pa.NativeFile, wanted: list[str], size: int) -> Iterator[pa.RecordBatch]:
    """The rows of a CSV file as text.

    Raises
    ------
    Unreadable
        If a row is longer or shorter than the header.
    """
    torn = []

    def refuse(row: pa_csv.InvalidRow) -> str:
        torn.append(row)
        return "error"

    try:
        reader = pa_csv.open_csv(
            content, pa_csv.ReadOptions(use_threads=False, block_size=BLOCK),
            pa_csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False,
                                invalid_row_handler=refuse),
            pa_csv.ConvertOptions(column_types={name: pa.string() for name in wanted},
                                  include_columns=wanted, strings_can_be_null=False),
        )  # fmt: skip
        for block in reader:
            for start in range(0, len(block), size):
                yield block.slice(start, size)
    except pa.ArrowInvalid:
        if not torn:
            raise
        row = torn[0]  # Arrow's own words would quote it
        where = "a row" if row.number is None else f"row {row.number - 1} (line {row.number})"
        raise Unreadable(
            [f"{where} has {row.actual_columns} cells, the header {row.expected_columns}"]
        ) from None


def _places(batch: Batch, domain: Domain, text: bool) -> tuple[np.ndarray, np.ndarray]:
    """The places of each row's values and what is wrong with each, both (n, fields)."""
    contract, size = domain.contract, len(batch.ids)
    places = np.zeros((size, len(contract.fields)), np.int64)
    faults = np.zeros(places.shape, np.int8)
    for number, (each, start) in enumerate(zip(contract.fields, domain.starts)):
        column = batch.columns[each.name]
        if pa.types.is_dictionary(column.type):
            column = column.dictionary_decode()
        if text:
            column = _cells(column, contract.missing_values)
        found, fault = (_whole if each.type == "integer" else _levels)(column, each, text)
        null = column.is_null().to_numpy(zero_copy_only=False) | (fault == NULL)
        fault[null] = NULL
        if not each.required:
            found[null], fault[null] = len(each.levels), FINE
        places[:, number], faults[:, number] = found + start, fault
    places[faults > 0] = 0
    return places, faults


def _cells(column: pa.Array, missing: tuple[str, ...]) -> pa.Array:
    """A CSV file's cells without the blanks around them; null where nothing is given."""
    column = pc.utf8_trim_whitespace(column)
    absent = pc.is_in(column, pa.array(["", *missing]))
    return pc.if_else(absent, pa.scalar(None, pa.string()), column)


def _levels(column: pa.Array, each: Field, text: bool) -> tuple[np.ndarray, np.ndarray]:
    """The number of each level in its field, and whether it is one."""
    if pa.types.is_null(column.type):
        column = column.cast(pa.string())
    levels = pa.array(each.levels, column.type)
    found = pc.fill_null(pc.index_in(column, levels), -1).to_numpy().astype(np.int64)
    return found, np.where(found < 0, OUTSIDE, FINE).astype(np.int8)


def _whole(column: pa.Array, each: Field, text: bool) -> tuple[np.ndarray, np.ndarray]:
    """The number of each whole number in its field, and what is wrong with those that are none.

    In a column of floats whole numbers count as such: pandas makes floats of whole numbers as
    soon as one is missing, and only that one is to blame.
    """
    size, types = len(column), pa.types
    fault = np.zeros(size, np.int8)
    if types.is_null(column.type):
        values = np.zeros(size, np.int64)
    elif types.is_floating(column.type):
        found = pc.fill_null(column, np.nan).to_numpy(zero_copy_only=False).astype(float)
        fault[np.isnan(found)] = NULL
        fault[np.isinf(found)] = INFINITE
        fault[np.isfinite(found) & (found != np.floor(found))] = OTHER
        values = np.where(np.abs(found) < 2**53, found, 2**53).astype(np.int64)
    elif types.is_integer(column.type):
        if types.is_uint64(column.type):
            most = pa.scalar(2**63 - 1, pa.uint64())
            column = pc.min_element_wise(column, most, skip_nulls=False)
        values = pc.fill_null(column.cast(pa.int64()), 0).to_numpy(zero_copy_only=False)
    else:
        whole = pc.fill_null(pc.match_substring_regex(column, "^-?[0-9]+$"), False)
        if not text:
            whole = pc.and_(whole, False)  # "35" is not 35
        fault[~whole.to_numpy(zero_copy_only=False)] = OTHER
        digits = pc.replace_substring_regex(column, "^(-?)0+([0-9])", r"\1\2")
        fits = pc.and_(whole, pc.less_equal(pc.binary_length(digits), 18))
        values = pc.if_else(fits, digits, pa.scalar(str(2**53))).cast(pa.int64())
        values = pc.fill_null(values, 0).to_numpy(zero_copy_only=False)
    if each.levels is None:
        inside, found = (values >= each.minimum) & (values <= each.maximum), values - each.minimum
    else:
        found = pc.fill_null(pc.index_in(pa.array(values), pa.array(each.levels, pa.int64())), -1)
        found = found.to_numpy().astype(np.int64)
        inside = found >= 0
    fault[(fault == FINE) & ~inside] = OUTSIDE
    return found, fault


@dataclass(frozen=True)
class Store:
    """The folder of decisions, on a disk or elsewhere."""

    system: pa_fs.FileSystem
    path: str

    @classmethod
    def at(cls, url: str) -> "Store":
        """The store at a path or URL."""
        return cls(*_system(url))

    def names(self) -> list[str]:
        """All files in it, hidden ones too, by their names below it."""
        selector = pa_fs.FileSelector(self.path, recursive=True, allow_not_found=True)
        base = PurePosixPath(self.path)
        return [PurePosixPath(info.path).relative_to(base).as_posix()
                for info in self.system.get_file_info(selector)
                if info.type == pa_fs.FileType.File]  # fmt: skip

    def read(self, name: str) -> bytes:
        """A file's content."""
        with self.system.open_input_stream(self._in(name)) as content:
            return content.read()

    def read_json(self, name: str) -> dict:
        """What a file of JSON holds; nothing if it is not there or not whole."""
        try:
            return json.loads(self.read(name))
        except (OSError, ValueError):
            return {}

    def write(self, name: str, content: bytes) -> None:
        """Write a file whole: aside first, then in place."""
        aside = f"{name}.{uuid.uuid4().hex}.tmp"
        self._make_room(name)
        with self.system.open_output_stream(self._in(aside)) as file:
            file.write(content)
        self.move(aside, name)

    def write_json(self, name: str, content: dict) -> None:
        """Write readable JSON, whole."""
        self.write(name, (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode())

    def move(self, name: str, to: str) -> None:
        """Put a file where another may be."""
        self.system.move(self._in(name), self._in(to))

    def delete(self, name: str) -> None:
        """Delete a file if it is there."""
        if self.system.get_file_info(self._in(name)).type == pa_fs.FileType.File:
            self.system.delete_file(self._in(name))

    def sha256(self, name: str) -> str | None:
        """The hash of a file's content, None if it is not there."""
        found = hashlib.sha256()
        try:
            with self.system.open_input_stream(self._in(name)) as content:
                while piece := content.read(2**20):
                    found.update(piece)
        except FileNotFoundError:
            return None
        return found.hexdigest()

    @contextmanager
    def writing(self, run: str) -> Iterator["Files"]:
        """Files that are written aside; what is not moved in the end is deleted."""
        files = Files(self, f"{run}-{uuid.uuid4().hex}.tmp")
        try:
            yield files
        finally:
            files.drop()

    def sweep(self) -> None:
        """Delete what was being written by those who were killed."""
        for name in self.names():
            if name.endswith(".tmp"):
                self.delete(name)

    def open(self, name: str) -> pa.NativeFile:
        """A stream that writes a file."""
        self._make_room(name)
        return self.system.open_output_stream(self._in(name))

    def _make_room(self, name: str) -> None:
        self.system.create_dir(self._in(str(PurePosixPath(name).parent)), recursive=True)

    def _in(self, name: str) -> str:
        return str(PurePosixPath(self.path) / name)


@dataclass
class Files:
    """The Parquet files of one part, written aside until they are whole."""

    store: Store
    suffix: str
    writers: dict[str, tuple["Hashed", pq.ParquetWriter]] = field(default_factory=dict)

    def parquet(self, name: str, schema: pa.Schema) -> pq.ParquetWriter:
        """Begin a file."""
        sink = Hashed(self.store.open(self._aside(name)))
        writer = pq.ParquetWriter(pa.PythonFile(sink, "w"), schema, compression="zstd")
        self.writers[name] = sink, writer
        return writer

    def finished(self) -> dict[str, str]:
        """End all files; the hash of each by name."""
        for sink, writer in self.writers.values():
            writer.close()
            sink.file.close()
        return {name: sink.hash.hexdigest() for name, (sink, _) in self.writers.items()}

    def move(self) -> None:
        """Put all files in their places, the decisions last."""
        for name in reversed(list(self.writers)):
            self.store.move(self._aside(name), name)

    def drop(self) -> None:
        """Delete what has not been moved."""
        for name, (sink, writer) in self.writers.items():
            # What cannot be written does not matter any more.
            with suppress(OSError, pa.ArrowException):
                writer.close()
            with suppress(OSError, pa.ArrowException):
                sink.file.close()
            with suppress(OSError, pa.ArrowException):
                self.store.delete(self._aside(name))

    def _aside(self, name: str) -> str:
        place = PurePosixPath(name)
        return str(place.parent / f"_{place.name}.{self.suffix}")


class Hashed:
    """A stream that hashes what it writes."""

    def __init__(self, file: pa.NativeFile):
        self.file, self.hash = file, hashlib.sha256()

    def write(self, content: bytes) -> int:
        """Write bytes, as :class:`pyarrow.PythonFile` asks."""
        self.hash.update(content)
        return self.file.write(content)

    def flush(self) -> None:
        """Nothing is kept back here."""

    def close(self) -> None:
        """The stream is closed by whoever opened it."""

    @property
    def closed(self) -> bool:
        """Whether nothing more can be written."""
        return self.file.closed


def _prepare(
    store: Store, job: Job, parts: list[Part], resume: bool, overwrite: bool
) -> tuple[Job, list[Done]]:  # fmt: skip
    """Make the folder of decisions ready; the job, which may go on with an earlier one's run.

    Raises
    ------
    Refused
        If the folder holds something else.
    """
    names, run = store.names(), store.read_json(RUN)
    ours = {"model_sha256": job.sha256, "source": job.source, "id": job.id, "reasons": job.reasons}
    if any(not name.endswith(".tmp") for name in names) and not run:
        raise Refused(f"{job.out} holds files that no scoring has made; name another folder")
    if run and not (resume or overwrite):
        end = "the finished" if SUCCESS in names else "an unfinished"
        raise Refused(f"{job.out} holds {end} run of {run.get('started')}; add --resume to go on "
                      "with it, or --overwrite to delete it and begin anew")  # fmt: skip
    if resume and run:
        other = [_DIFFERS[name] for name in ours if run.get(name) != ours[name]]
        if other and not overwrite:
            raise Refused(f"{job.out} holds a run with {' and '.join(other)}; name another folder, "
                          "or add --overwrite to delete it")  # fmt: skip
        if not other:
            store.delete(SUCCESS)
            store.delete(MANIFEST)
            return replace(job, run=run["run"]), _kept(store, parts, names)
    # The run's own name goes last: what is left of a deletion that was cut short is still ours.
    for name in sorted(names, key=lambda name: name == RUN):
        store.delete(name)
    started = datetime.now(UTC).isoformat(timespec="seconds")
    store.write_json(RUN, {"run": job.run, "started": started} | ours)
    return job, []


_DIFFERS = {"model_sha256": "another model", "source": "another portfolio",
            "id": "another id column", "reasons": "or without reasons"}  # fmt: skip


def _kept(store: Store, parts: list[Part], names: list[str]) -> list[Done]:
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
            done = Done(**content | {"unused": tuple(content["unused"])})
        except (KeyError, TypeError):
            continue  # not whole: the part is done again
        part = by_name.get(done.name)
        if part is None:
            raise Refused(f"{done.name} has been scored and is no longer in the portfolio; bring "
                          "it back, or begin anew with --overwrite")  # fmt: skip
        same = (part.size, part.modified) == (done.size, done.modified)
        if same and all(store.sha256(name) == sha256 for name, sha256 in done.sha256.items()):
            kept.append(done)
            continue
        for name in (entry, *done.sha256):
            store.delete(name)
    return kept


def _manifest(scorer: Scorer, job: Job, summary: Summary, begun: datetime) -> dict:
    """What was scored with what, and how to tell that it is all there."""
    parts = sorted(summary.done, key=lambda part: part.name)
    return {
        "run": job.run,
        "model": {"name": scorer.name, "version": scorer.version, "sha256": scorer.sha256,
                  "cutoff": scorer.cutoff},
        "source": job.source,
        "id": job.id,
        "reasons": job.reasons,
        "rows": summary.total("rows"),
        "scored": summary.total("scored"),
        "rejected": summary.total("rejected"),
        "approved": summary.total("approved"),
        "rejected_by_reason": dict(summary.why.most_common()),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round((datetime.now(UTC) - begun).total_seconds(), 1),
        "parts_kept": summary.kept,
        "parts": [asdict(part) for part in parts],
    }  # fmt: skip


@lru_cache(maxsize=1)
def _scorer(model: str, sha256: str) -> Scorer:
    scorer = Scorer.load(model)
    if scorer.sha256 != sha256:
        raise Unreadable([f"the model in {model} is no longer the one this run began with"])
    return scorer


def _absolute(source: str) -> str:
    """A path that means the same in another process; a URL is left as it is."""
    return source if "://" in source or source.startswith("models:/") else os.path.abspath(source)


def _system(url: str) -> tuple[pa_fs.FileSystem, str]:
    """The file system of a path or URL, and the path in it.

    Raises
    ------
    Refused
        If it takes a package that is not installed.
    """
    if "://" not in url:
        return pa_fs.LocalFileSystem(), os.path.abspath(url)
    try:
        from fsspec.core import url_to_fs

        # Other processes write there too: a remembered listing would be wrong.
        system, path = url_to_fs(url, use_listings_cache=False)
    except (ImportError, ValueError) as error:
        raise Refused(f"{url}: {_words(error)}; the extra `scale` brings fsspec and s3://, "
                      "gcsfs gs://, adlfs abfs://") from None  # fmt: skip
    return pa_fs.PyFileSystem(pa_fs.FSSpecHandler(system)), path


def _globbed(system: pa_fs.FileSystem, pattern: str) -> list[pa_fs.FileInfo]:
    if isinstance(system, pa_fs.LocalFileSystem):
        paths = glob.glob(pattern, recursive=True)
    else:
        paths = system.handler.fs.glob(pattern)
    return system.get_file_info(paths)


def _words(error: Exception) -> str:
    """An error's own words on one line."""
    return " ".join(str(error).split())[:200] or type(error).__name__
