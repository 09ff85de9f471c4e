"""The cells of a column: what each spelling stands for, and why another is refused."""

import math
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from describedloans import field
from hypothesis import given
from hypothesis import strategies as st
from published import CONTRACT

from creditrisk.data.cells import dtype, read_cells, typed
from creditrisk.data.fields import SpecialCode, TextFormat

PERCENT = TextFormat(bare=False)
GERMAN = TextFormat(decimal_char=",", group_char=".")
NARROW = TextFormat(group_char=" ", bare=False)

WORDS = {"levels": ("low", "high")}
OPEN = {**WORDS, "unlisted": "high"}

#: Texts that stand for a value: the field, the text, the value (None: missing).
VALUES = [
    (field("integer"), "35", 35),
    (field("integer"), " 35 ", 35),
    (field("integer"), "+035", 35),
    (field("integer", levels=(1, 2)), "02", 2),
    (field("integer", written=TextFormat(group_char=",")), "1,234,567", 1_234_567),
    (field("integer", written=TextFormat(group_char=",")), "12,34,567", 1_234_567),
    (field("number"), "2.5", 2.5),
    (field("number"), ".5", 0.5),
    (field("number"), "-1e-3", -0.001),
    (field("number", written=PERCENT), "13.5%", 13.5),
    (field("number", written=PERCENT), "-$ 5", -5),
    (field("number", written=PERCENT), "$-5", -5),
    (field("number", written=PERCENT), "36 months", 36),
    (field("number", written=GERMAN), "1.234,5", 1234.5),
    (field("number", written=GERMAN), "1234,5", 1234.5),
    (field("integer", written=NARROW), "€ 1 000", 1000),
    (field("integer", written=NARROW), "1\u202f000 EUR", 1000),
    (field("number", minimum=0, special=(SpecialCode(-999, "none"),)), "-999", -999),
    (field("number"), "", None),
    (field("number"), "  ", None),
    (field("number", missing_values=("-1",)), "-1", None),
    (field("date"), "1970-01-02", 1),
    (field("date", written=TextFormat(pattern="%d.%m.%Y")), " 31.12.1969", -1),
    (field("date", written=TextFormat(pattern="%Y-%m-%d %H:%M")), "1970-01-02 23:59", 1),
    (field("yearmonth"), "1971-02", 13),
    (field("yearmonth", written=TextFormat(pattern="%b-%Y")), "Dec-1969", -1),
    (field("boolean"), " true", True),
    (field("boolean", written=TextFormat(true_values=("Y",), false_values=("N",))), "N", False),
    (field("string", **WORDS), "low", "low"),
    (field("string", **OPEN), "middling", "high"),
    (field("string", levels=(), role="id"), " a ", " a "),
]

#: Texts that stand for none: the field, the text, and what is said of it.
FAULTS = [
    (field("integer"), "35.0", "is '35.0', not a whole number"),
    (field("integer"), "1e3", "not a whole number"),
    (field("integer", levels=(1, 2)), "3", "is 3; allowed 1, 2"),
    (field("integer", written=TextFormat(group_char=",")), "1,23", "not a whole number"),
    (field("number", minimum=0, unit="EUR"), "-1", "is -1; allowed a number from 0 on EUR"),
    (field("number"), "9999999999999999", "is 9999999999999999; allowed"),
    (field("number"), "1e999", "not a finite number"),
    (field("number"), "nan", "is 'nan', not a number"),
    (field("number"), "\u0663", "not a number"),  # a digit, but not one of ours
    (field("number"), "13.5%", "bareNumber false in the descriptor"),
    (field("number"), "1,5", "decimalChar ',' in the descriptor"),
    (field("integer"), "1,500", "groupChar ',' in the descriptor"),
    (field("number", written=PERCENT), "12k", "not a number"),  # a multiple
    (field("number", written=PERCENT), "(12)", "not a number"),  # to bookkeepers negative
    (field("number", written=PERCENT), "\u221212", "not a number"),  # a minus sign, not a hyphen
    (field("number", required=True), "", "is empty; allowed a number"),
    (field("number", required=True, missing_values=("NA",)), "NA", "is missing; allowed"),
    (field("number", missing_values=("NA",)), "", "is empty; allowed a number, or missing, writt"),
    (field("date"), "2024-02-30", "is '2024-02-30', not a date such as 2024-01-31"),
    (field("date", written=TextFormat(pattern="%d.%m.%Y")), "29.2.23", "such as 31.01.2024"),
    (field("date", maximum=0), "1970-01-02", "is 1970-01-02; allowed a date such as"),
    (field("yearmonth"), "2024-13", "not a date such as 2024-01"),
    (field("boolean"), "yes", "is 'yes', not one of true, True"),
    (field("string", **WORDS), " low", "is ' low' (blanks around it); allowed low, high"),
    (field("string", **WORDS), "Low", "is 'Low'; allowed low, high"),
    (field("string", **OPEN), "low ", "(blanks around it)"),
    (field("string", **OPEN, missing_values=("NA",)), " ", "is empty"),
]


@pytest.mark.parametrize(("described", "text", "value"), VALUES)
def test_a_text_stands_for_a_value(described, text, value):
    cells = read_cells(pa.array([text, None]), described)
    assert cells.faults.tolist() == [0, 0]
    found = cells.values[0]
    assert math.isnan(found) if value is None else found == value
    assert value is None or type(value) is not bool or found is value
    assert math.isnan(cells.values[1])


@pytest.mark.parametrize(("described", "text", "words"), FAULTS)
def test_a_text_that_stands_for_none_is_refused_in_a_sentence(described, text, words):
    cells = read_cells(pa.array(["1", text]), described)
    assert cells.faults[1] and words in cells.fault(1), cells.fault(1)
    assert not isinstance(cells.values[1], str | bool) and math.isnan(cells.values[1])


PARQUET = [
    (field("number", written=GERMAN), [1.5, None], pa.float32(), [1.5, None]),
    (field("number"), [Decimal("1.25"), None], pa.decimal128(5, 2), [1.25, None]),
    (field("integer"), [3.0, float("nan")], pa.float64(), [3, None]),
    (field("integer"), ["3", None], pa.string(), [3, None]),
    (field("integer", missing_values=("-9",)), [3, -9], pa.int8(), [3, None]),
    (field("boolean"), [True, None], pa.bool_(), [True, None]),
    (field("boolean"), [1, None], pa.int64(), [True, None]),
    (field("number"), [np.float16(0.5), None], pa.float16(), [0.5, None]),
    (field("string", levels=("1", "2")), [1.0, None], pa.float64(), ["1", None]),
    (field("date"), [date(1970, 1, 2), None], pa.date32(), [1, None]),
    (field("date"), [datetime(1969, 12, 31, 12), None], pa.timestamp("us"), [-1, None]),
    # ten past eleven in the evening by UTC is the next day in Berlin, where it was written
    (field("date"), [datetime(1970, 1, 5, 23, 10)], pa.timestamp("s", "Europe/Berlin"), [5]),
    (field("date", written=TextFormat(pattern="%Y%m%d")), [19700103], pa.int32(), [2]),
    (field("yearmonth"), [date(1971, 3, 31)], pa.date32(), [14]),
    (field("string", **WORDS), ["low", None], pa.dictionary(pa.int8(), pa.string()), ["low", None]),
]


@pytest.mark.parametrize(("described", "values", "kind", "expected"), PARQUET)
def test_a_parquet_file_may_hold_a_value_in_any_type(described, values, kind, expected):
    cells = read_cells(pa.array(values, kind), described)
    assert not cells.faults.any()
    found = [None if isinstance(v, float) and math.isnan(v) else v for v in cells.values]
    assert found == expected and [type(v) is bool for v in found] == [
        type(v) is bool for v in expected
    ]


def test_what_is_no_value_of_any_column_is_refused_in_a_sentence():
    beyond = pa.array([9 * 10**18], pa.int64()).cast(pa.timestamp("us"))  # the year 287,168
    for column in beyond, pa.array([b"\xff"]), pa.array([timedelta(1)]):
        for described in KINDS[:-1]:
            cells = read_cells(column, described)
            assert cells.faults[0] or cells.values[0] == "high", (column, described)
            assert not cells.faults[0] or "; allowed " in cells.fault(0)
    months = pd.Series(pd.period_range("1970-02", periods=2, freq="M"))
    assert read_cells(months, field("yearmonth")).values.tolist() == [1, 2]


def test_true_is_no_number_and_a_fraction_no_whole_one():
    assert "'true', not a whole number" in read_cells(pa.array([True]), field("integer")).fault(0)
    assert "'0.5', not a whole number" in read_cells(pa.array([0.5]), field("integer")).fault(0)
    assert "'inf', not a finite" in read_cells(pa.array([np.inf]), field("number")).fault(0)


def test_an_applicants_blank_means_what_the_contract_says():
    """An empty cell, a null and a marker are blanks alike; the label is the state it names."""
    texts = pa.array(["", None, "NA", "unknown", "low"])
    meanings = {"refuse": [1, 1, 1, 4, 0], "worst": [0, 0, 0, 4, 0], "value": [0, 0, 0, 4, 0]}
    for meaning, faults in meanings.items():
        described = field("string", **WORDS, missing_means=meaning)
        assert read_cells(texts, described, ["NA"], of_applicant=True).faults.tolist() == faults
    labelled = field("string", **WORDS, missing_means="level", missing_label="unknown")
    cells = read_cells(texts, labelled, ["NA"], of_applicant=True)
    assert cells.faults.tolist() == [1, 1, 1, 0, 0] and math.isnan(cells.values[3])
    assert cells.fault(0) == "is empty; allowed low, high, unknown"
    assert read_cells(texts, labelled, ["NA"]).faults.tolist() == [1, 0, 0, 4, 0]


def test_typed_values_have_the_dtype_of_their_field():
    kinds = {
        "int64": field("integer", required=True),
        "float64": field("integer"),
        "str": field("string", levels=("1", "2")),
        "object": field("boolean"),
    }
    for kind, described in kinds.items():
        assert dtype(described) == kind
        assert pd.Series(typed(read_cells(pa.array(["1", "1"]), described))).dtype == kind
    assert dtype(field("date", required=True)) == "int64"
    assert dtype(field("integer", required=True, special=(SpecialCode(-1, "none"),))) == "float64"


def spelt(value: float, written: TextFormat, places: int) -> str:
    """A number as text: groups of three digits, a decimal sign, and a per cent sign if allowed."""
    text = f"{value:,.{places}f}".replace(",", "\0").replace(".", written.decimal_char)
    return text.replace("\0", written.group_char) + ("" if written.bare else " %")


FORMATS = st.sampled_from([TextFormat(), PERCENT, GERMAN, NARROW, TextFormat(",", "'", bare=False)])


@given(st.lists(st.floats(-1e9, 1e9), min_size=1), FORMATS, st.integers(0, 6))
def test_any_number_is_read_as_it_was_written(values, written, places):
    texts = [spelt(value, written, places) for value in values]
    cells = read_cells(pa.array(texts), field("number", written=written))
    assert cells.values.tolist() == [float(f"{value:.{places}f}") for value in values]


@given(st.lists(st.dates(date(1000, 1, 1)), min_size=1))
def test_any_date_is_the_same_in_csv_and_parquet(days):
    of_text = read_cells(pa.array([day.isoformat() for day in days]), field("date")).values
    assert of_text.tolist() == read_cells(pa.array(days), field("date")).values.tolist()
    assert of_text.tolist() == [(day - date(1970, 1, 1)).days for day in days]


KINDS = [
    *(field("integer"), field("number", written=PERCENT), field("number", written=GERMAN)),
    *(field("date"), field("yearmonth", written=TextFormat(pattern="%b-%y")), field("boolean")),
    *(field("string", **WORDS), field("string", **OPEN), field("string", levels=())),
]


# 18 kinds of reader and any text: many examples, of few cells each.
@given(st.lists(st.text() | st.none(), max_size=4), st.sampled_from(KINDS), st.booleans())
def test_any_text_is_a_value_or_has_its_fault(texts, described, of_applicant):
    """One answer a cell, which does not depend on the cells around it."""
    cells = read_cells(pa.array(texts, pa.string()), described, of_applicant=of_applicant)
    assert len(cells.values) == len(cells.faults) == len(texts)
    for row, text in enumerate(texts):
        alone = read_cells(pa.array([text], pa.string()), described, of_applicant=of_applicant)
        assert alone.faults[0] == cells.faults[row]
        if cells.faults[row]:
            assert cells.fault(row) == alone.fault(0) and "; allowed " in cells.fault(row)
        elif text in (described.levels or ()):
            assert cells.values[row] == text


def test_a_reader_gets_separators_and_a_file_does_not():
    amount = CONTRACT["Credit amount"]
    assert (amount.shown(7882), amount.read(7882)) == ("7882", "7,882")
    assert amount.worded(7882) == "7,882" and amount.allowed == "100 to 50,000 DM"
    fraction = replace(amount, type="number")
    assert (fraction.shown(1234567.25), fraction.read(1234567.25)) == ("1234567.25", "1,234,567.25")
    # days since 1970 are a date, and a level is a name
    assert replace(amount, type="date").read(19_753) == "2024-01-31"
    coded = replace(amount, levels=(1000, 2000), labels=("low", "high"))
    assert coded.read(2000) == "2000" and coded.worded(2000) == "2000: high"
    phone = field("boolean")
    assert [phone.worded(level) for level in (True, False)] == ["yes", "no"]
