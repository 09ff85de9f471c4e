"""Raw files that nobody means to give: each is refused at once, in a sentence, in little memory."""

import hashlib
import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import ROOT
from damage import no_longer_than

from creditrisk.data.contract import ContractError
from creditrisk.data.descriptor import read_contract
from creditrisk.data.draft.draft import draft
from creditrisk.data.raw_files import limits
from creditrisk.data.raw_files.reading import read_raw

DATA = ROOT / "data" / "raw"
CONTRACT = read_contract(DATA / "datapackage.json")
CONTENT = (DATA / "german_credit_data.csv").read_bytes()
UNDESCRIBED = replace(CONTRACT, rows=None, sha256=None)
HEADER, FIRST = CONTENT.splitlines(keepends=True)[:2]

#: Reads files one after the other; of each what is said, seconds of processor, and the peak so far.
READER = """
import json, sys, time
from dataclasses import replace
from pathlib import Path
from creditrisk.data.raw_files import parquet
from creditrisk.data.contract import ContractError
from creditrisk.data.descriptor import read_contract
from creditrisk.data.raw_files.reading import read_raw

def peak():
    status = Path("/proc/self/status")  # on Linux
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1]) / 1000 for line in lines if "VmHWM" in line), 0)

described = read_contract(sys.argv[1])
for path in sys.argv[2:]:
    contract = described if "german" in path else replace(described, rows=None, sha256=None)
    began = time.process_time()
    try:
        told = f"accepted {len(read_raw(path, contract))} rows"
    except ContractError as error:
        told = str(error)
    print(json.dumps([told, time.process_time() - began, peak()]))
"""


def written(path, *pieces: bytes) -> None:
    with path.open("wb") as file:
        for piece in pieces:
            file.write(piece)


def wide_parquet(path, columns: int) -> None:
    names = [f"c{number}" for number in range(columns)]
    pq.write_table(pa.table([pa.array([1], pa.int8())] * columns, names), path)


#: What a file holds, and what is said of it.
FILES = {
    "wide.csv": (
        lambda path: written(path, b",".join(b"c%d" % n for n in range(200_000)), b"\n"),
        "line 1: more than 1,000 columns",
    ),
    "wide.parquet": (  # as long as the list of 200,000 columns
        lambda path: written(path, b"PAR1", bytes(38_017_000), b"\x28\x18\x44\x02", b"PAR1"),
        "columns and groups of rows has 38,017,064 bytes; at most 16,777,216",
    ),
    "1001.parquet": (lambda path: wide_parquet(path, 1_001), "1,001 columns; at most 1,000"),
    "long.csv": (
        lambda path: written(path, HEADER, *[FIRST * 10_000] * 200),
        "more than 1,000,000 rows",
    ),
    "long.parquet": (
        lambda path: pq.write_table(
            pa.table({f.name: pa.nulls(2_000_000, pa.int8()) for f in CONTRACT.columns}), path
        ),
        "2,000,000 rows; at most 1,000,000",
    ),
    "commas.csv": (
        lambda path: written(path, HEADER, *[b"," * 1_000_000 + b"\n"] * 31),
        "more than 30,000,000 cells",
    ),
    "one line.csv": (
        lambda path: written(path, HEADER, *[b"x" * 1_000_000] * 3),
        "line 2: more than 1,048,576 bytes",
    ),
    "german, 500,000 rows.csv": (
        lambda path: written(path, HEADER, *[FIRST * 10_000] * 50),
        "500000 rows; datapackage.json records 1000",
    ),
    "latin-1 at the end.csv": (
        lambda path: written(path, HEADER, *[FIRST * 10_000] * 50, b"0,m\xe4le\n"),
        "line 500002: byte 0xe4 is not UTF-8",
    ),
    "cut character.csv": (
        lambda path: written(path, CONTENT, "ä".encode()[:1]),
        "line 1002: byte 0xc3 is not UTF-8",
    ),
    "random.parquet": (
        lambda path: path.write_bytes(random.Random(1).randbytes(9_999)),
        "is no Parquet file",
    ),
    "short.parquet": (lambda path: path.write_bytes(b"PAR1"), "is no Parquet file"),
    "nested.parquet": (
        lambda path: pq.write_table(
            pa.table(
                {f.name: [[1]] if f.name == "Age" else ["x"] for f in CONTRACT.columns},
            ),
            path,
        ),
        "column 'Age' is of type list",
    ),
    "bomb.parquet": (  # a text of a megabyte that stands there once, and counts 100,000 times
        lambda path: pq.write_table(
            pa.table(
                {
                    name: pa.DictionaryArray.from_arrays(
                        pa.array([0] * 100_000, pa.int8()), pa.array(["x" * 2**20])
                    )
                    for name in [CONTRACT.row_number, *(f.name for f in CONTRACT.columns)]
                }
            ),
            path,
        ),
        "1100000 problems",
    ),
    "enough.csv": (lambda path: written(path, HEADER, FIRST * 100_000), "row number 0 occurs"),
}


def test_what_is_too_large_or_no_table_is_refused_at_once_in_little_memory(tmp_path):
    """In 2 s of processor and 500 MB; where a hundred thousand rows are read, that takes longer."""
    for name, (write, _) in FILES.items():
        write(tmp_path / name)
    done = subprocess.run(
        [
            *(sys.executable, "-c", READER, str(DATA / "datapackage.json")),
            *(str(tmp_path / name) for name in FILES),
        ],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for (name, (_, words)), line in zip(FILES.items(), done.stdout.splitlines(), strict=True):
        told, seconds, peak = json.loads(line)
        assert words in told and name in told and "Remedy:" in told, told
        assert name == "enough.csv" or (seconds < 2 and peak < 500), (name, seconds, peak)


@pytest.mark.skipif(os.name == "nt", reason="pipes and devices")
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_what_is_no_file_is_not_waited_for(tmp_path, suffix):
    places = {name: tmp_path / f"{name}{suffix}" for name in ("pipe", "folder", "zero", "loop")}
    os.mkfifo(places["pipe"])
    places["folder"].mkdir()
    places["zero"].symlink_to("/dev/zero")
    places["loop"].symlink_to(places["loop"])
    places["NUL"] = tmp_path / f"a\0b{suffix}"
    places["nothing"] = tmp_path / f"nothing{suffix}"
    words = {
        "pipe": "is a named pipe, not a file",
        "folder": "is a folder, not a file",
        "zero": "is a device, not a file",
        "loop": "symbolic links",
        "NUL": r"a\\x00b.*\n.*a character that no file's name can have",
        "nothing": "No such file",
    }
    with no_longer_than(60):
        for name, path in places.items():
            with pytest.raises(ContractError, match=rf"{words[name]}(.|\n)*Remedy:"):
                read_raw(path, CONTRACT)
    os.remove(places["pipe"])
    os.mkfifo(tmp_path / "datapackage.json")
    with no_longer_than(60), pytest.raises(ContractError, match="is a named pipe, not a file"):
        read_contract(tmp_path / "datapackage.json")


def test_a_file_has_a_limit_of_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "MOST_BYTES", 10_000)
    with pytest.raises(ContractError, match=r"more than 10,000 bytes(.|\n)*Remedy: read less"):
        read_raw(DATA / "german_credit_data.csv", CONTRACT)


def test_a_link_to_a_file_and_empty_lines_at_its_end_are_accepted(tmp_path):
    expected = read_raw(DATA / "german_credit_data.csv", CONTRACT)
    (tmp_path / "link.csv").symlink_to(DATA / "german_credit_data.csv")
    pd.testing.assert_frame_equal(read_raw(tmp_path / "link.csv", CONTRACT), expected)
    for ending in b"\n", b"\n\n\n", b"\r\n\r\n":
        (tmp_path / "raw.csv").write_bytes(CONTENT + ending)
        pd.testing.assert_frame_equal(read_raw(tmp_path / "raw.csv", CONTRACT), expected)
    (tmp_path / "raw.csv").write_bytes(CONTENT + b"\n" + FIRST)
    with pytest.raises(ContractError, match=r"row 1001 \(line 1002\): the row is blank"):
        read_raw(tmp_path / "raw.csv", CONTRACT)


@pytest.mark.parametrize("recorded", [True, False])
def test_a_flipped_bit_in_parquet_is_found_or_does_no_harm(tmp_path, recorded):
    """Where a hash is recorded it finds each; without one the pages' checksums and the format."""
    expected, path = read_raw(DATA / "german_credit_data.csv", CONTRACT), tmp_path / "raw.parquet"
    table = pa.Table.from_pandas(expected)
    pq.write_table(table, path, row_group_size=300, write_page_checksum=True)
    good, luck = path.read_bytes(), random.Random(31)
    hash = hashlib.sha256(good).hexdigest() if recorded else None
    contract = replace(CONTRACT, sha256=hash)
    pd.testing.assert_frame_equal(read_raw(path, contract), expected)
    found = Counter()
    for _ in range(100):
        bits = bytearray(good)
        # half of them in the footer, where a bit decides how all else is read
        at = luck.randrange(luck.choice([0, len(good) - 9_000]), len(good))
        bits[at] ^= 1 << luck.randrange(8)
        path.write_bytes(bits)
        try:
            read = read_raw(path, contract)
        except ContractError as error:
            assert "Remedy:" in str(error)
            found["refused"] += 1
        else:
            found["equal" if read.equals(expected) else "another"] += 1
    if recorded:
        assert found == {"refused": 100}
    else:  # what the footer says of a column, no checksum covers
        assert found["refused"] > 30 and found["equal"] > 10 and found["another"] <= 1, found


@pytest.mark.parametrize(
    "kind", [pa.int8(), pa.uint64(), pa.float32(), pa.decimal128(5), pa.string(), pa.large_string()]
)
def test_a_parquet_column_may_hold_its_numbers_in_any_type(tmp_path, kind):
    expected = read_raw(DATA / "german_credit_data.csv", CONTRACT)
    table = pa.Table.from_pandas(expected)
    table = table.set_column(0, "Age", table["Age"].cast(pa.int8()).cast(kind))
    pq.write_table(table, tmp_path / "raw.parquet")
    frame = read_raw(tmp_path / "raw.parquet", UNDESCRIBED)
    pd.testing.assert_frame_equal(frame, expected)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        # 2 columns of 100,000 rows, each a megabyte
        (pa.string(), "its text, written out for each row, has 209,715,200,000 bytes"),
        (pa.binary(), "column 'of loan' is of type binary; a cell is a number or a text"),
    ],
)
def test_a_megabyte_that_counts_100_000_times_is_not_drafted(tmp_path, kind, words):
    places, path = pa.array([0] * 100_000, pa.int8()), tmp_path / "bomb.parquet"
    column = pa.DictionaryArray.from_arrays(places, pa.array([b"x" * 2**20]).cast(kind))
    pq.write_table(pa.table({"of loan": column, "end": column}), path, store_schema=False)
    began = time.process_time()
    with pytest.raises(ContractError, match=rf"{words}(.|\n)*Remedy:"):
        draft(path, "end")
    assert time.process_time() - began < 2


@pytest.mark.parametrize("name", ["long.csv", "one line.csv"])
def test_a_draft_refuses_as_soon_what_is_too_long(tmp_path, name):
    write, words = FILES[name]
    write(tmp_path / name)
    began = time.process_time()
    with pytest.raises(ContractError, match=rf"{words}(.|\n)*Remedy:"):
        draft(tmp_path / name, "Risk")
    assert time.process_time() - began < 2


def test_checking_and_drafting_load_nothing_that_trains_models(tmp_path):
    """These are half of what a refusal would take; 300 ms of the rest is pandas."""
    raw = str(DATA / "german_credit_data.csv")
    code = f"""
import sys
from creditrisk.cli import main
assert "pandas" not in sys.modules, "a command that reads no table does without"
assert main(["contract", "check", {raw!r}]) == 0
assert main(["contract", "draft", {raw!r}, "--target", "Risk", "--out", {str(tmp_path)!r}]) == 0
assert not {{"sklearn", "scipy", "mlflow", "matplotlib"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
