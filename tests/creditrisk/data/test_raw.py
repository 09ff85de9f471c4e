"""The raw file against its contract, and the way from an application to numbers and back."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st

from creditrisk.data.contract import ContractError
from creditrisk.data.descriptor import read_contract
from creditrisk.data.encoding import decode, encoded_columns, encoder, target
from creditrisk.data.raw_files.reading import read_raw

DATA = ROOT / "data" / "raw"
CONTRACT = read_contract(DATA / "datapackage.json")
ENCODER = encoder(CONTRACT)
CONTENT = (DATA / "german_credit_data.csv").read_bytes()
LINES = CONTENT.decode().splitlines()


def joined(lines):
    return ("\n".join(lines) + "\n").encode()


def with_cell(line, column, value):
    cells = LINES[line].split(",")
    cells[LINES[0].split(",").index(column)] = value
    return joined([*LINES[:line], ",".join(cells), *LINES[line + 1 :]])


def without_column(number):
    return joined([",".join(np.delete(line.split(","), number)) for line in LINES])


def test_real_file_is_what_the_contract_says():
    frame = read_raw(DATA / "german_credit_data.csv", CONTRACT)
    assert len(frame) == 1000 and list(frame.columns) == [f.name for f in CONTRACT.columns]
    assert frame.isna().sum()[lambda n: n > 0].to_dict() == {
        "Saving accounts": 183,
        "Checking account": 394,
    }
    assert target(frame, CONTRACT).value_counts().to_dict() == {1: 700, 0: 300}
    # the first line of the file, typed by hand
    assert frame.iloc[0].drop(["Saving accounts"]).to_dict() == {
        "Age": 67,
        "Sex": "male",
        "Job": 2,
        "Housing": "own",
        "Checking account": "little",
        "Credit amount": 1169,
        "Duration": 6,
        "Purpose": "radio/TV",
        "Risk": "good",
    }


def test_descriptor_holds_for_an_independent_reader():
    """Frictionless reads the descriptor, finds the hash right and every cell allowed."""
    import frictionless  # imported here: the other tests need not wait for it

    descriptor = json.loads((DATA / "datapackage.json").read_text("utf-8"))
    resource = descriptor["resources"][0]
    # the standard has no word for a column that only numbers the rows: describe it as a field
    resource["schema"]["fields"].insert(0, {"name": "row", "type": "integer"})
    report = frictionless.Package.from_descriptor(descriptor, basepath=str(DATA)).validate(
        frictionless.Checklist(skip_errors=["incorrect-label", "blank-label"])
    )
    assert report.valid, report.flatten(["message"])[:5]


BROKEN = {
    "missing column": (without_column(1), ["line 1", "'Age'", "missing"]),
    "extra column": (
        joined([LINES[0] + ",Default"] + [x + ",0" for x in LINES[1:]]),
        ["'Default'"],
    ),
    "wrong delimiter": (CONTENT.replace(b",", b";"), ["';'", "commas"]),
    "latin-1": (LINES[0].encode() + "\n0,67,mäle".encode("latin-1"), ["line 2", "0xe4", "UTF-8"]),
    "empty": (b"", ["empty"]),
    "header only": (joined(LINES[:1]), ["no row"]),
    "header repeated": (joined([*LINES[:500], LINES[0], *LINES[500:]]), ["row 500", "repeated"]),
    "negative age": (with_cell(17, "Age", "-5"), ["row 17 (line 18)", "Age is -5", "18 to 120"]),
    "age in words": (with_cell(17, "Age", "old"), ["row 17", "whole number"]),
    "age with a fraction": (with_cell(17, "Age", "35.5"), ["row 17", "whole number"]),
    "age missing": (with_cell(17, "Age", "NA"), ["row 17", "Age is missing"]),
    "blank after a level": (with_cell(9, "Risk", "good "), ["row 9", "blanks around", "bad, good"]),
    "unknown level": (with_cell(9, "Purpose", "yacht"), ["row 9", "'yacht'", "radio/TV"]),
    "amounts in pfennig": (with_cell(4, "Credit amount", "788200"), ["row 4", "100 to 50,000 DM"]),
    "a fifth cut off": (joined(LINES[:801]), ["800 rows", "records 1000"]),
    "cut off inside a line": (CONTENT[:-10], ["row 1000", "cells"]),
    "row twice": (joined([*LINES, LINES[5]]), ["row number 4 occurs twice"]),
    "labels flipped": (
        joined(
            [LINES[0]]
            + [
                x[: -len("good")] + "bad" if x.endswith("good") else x[: -len("bad")] + "good"
                for x in LINES[1:]
            ]
        ),
        ["values are not those"],
    ),
    "one cell changed": (with_cell(17, "Age", "36"), ["values are not those", '"hash"']),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_file_is_refused_with_place_and_remedy(case, tmp_path):
    content, words = BROKEN[case]
    path = tmp_path / "german_credit_data.csv"
    path.write_bytes(content)
    with pytest.raises(ContractError) as refusal:
        read_raw(path, CONTRACT)
    message = str(refusal.value)
    assert all(word in message for word in [*words, str(path), "Remedy:"]), message


def test_all_problems_are_counted_and_the_first_ones_shown(tmp_path):
    path = tmp_path / "raw.csv"
    path.write_bytes(CONTENT.replace(b",male,", b",M,"))  # 690 men
    with pytest.raises(ContractError, match="690 problems(.|\n)*and 680 more"):
        read_raw(path, CONTRACT)


def reordered(content):
    header, *rows = [line.split(",") for line in content.decode().splitlines()]
    order = np.random.default_rng(0).permutation(len(header))
    return joined([",".join(line[place] for place in order) for line in [header, *rows]])


@pytest.mark.parametrize(
    "same",
    [
        b"\xef\xbb\xbf" + CONTENT,
        reordered(CONTENT),
        CONTENT.replace(b"\n", b"\r\n"),
        without_column(0),
    ],
    ids=["byte order mark", "columns reordered", "windows line ends", "no row numbers"],
)
def test_harmless_variants_give_the_same_frame(same, tmp_path):
    path = tmp_path / "raw.csv"
    path.write_bytes(same)
    expected = read_raw(DATA / "german_credit_data.csv", CONTRACT)
    pd.testing.assert_frame_equal(read_raw(path, CONTRACT), expected)


def undescribed(**changes):
    """The contract for a file whose rows and hash nobody has recorded."""
    return replace(CONTRACT, rows=None, sha256=None, **changes)


def test_parquet_gives_the_frame_that_csv_gives(tmp_path):
    expected, path = read_raw(DATA / "german_credit_data.csv", CONTRACT), tmp_path / "raw.parquet"
    # as pandas may have it: categories, and floats for whole numbers
    kinds = expected.astype({"Purpose": "category", "Age": "float64", "Job": "int8"})
    kinds.to_parquet(path, row_group_size=300)  # its index of row numbers is a column of the file
    pd.testing.assert_frame_equal(read_raw(path, undescribed()), expected)
    with pytest.raises(ContractError, match="values are not those whose hash is recorded"):
        read_raw(path, CONTRACT)


def test_a_sample_is_drawn_without_repeats_and_the_same_for_the_same_seed(tmp_path):
    all_rows = read_raw(DATA / "german_credit_data.csv", CONTRACT)
    all_rows.to_parquet(tmp_path / "raw.parquet", index=False, row_group_size=70)
    drawn = read_raw(tmp_path / "raw.parquet", undescribed(), sample=200, seed=1)
    again = read_raw(tmp_path / "raw.parquet", undescribed(), sample=200, seed=1)
    other = read_raw(tmp_path / "raw.parquet", undescribed(), sample=200, seed=2)
    assert len(drawn) == drawn.index.nunique() == 200 and drawn.index.is_monotonic_increasing
    pd.testing.assert_frame_equal(drawn, again)
    assert not drawn.index.equals(other.index)
    pd.testing.assert_frame_equal(drawn, all_rows.loc[drawn.index])
    of_csv = read_raw(DATA / "german_credit_data.csv", CONTRACT, sample=200, seed=1)
    pd.testing.assert_frame_equal(of_csv, drawn)
    assert len(read_raw(tmp_path / "raw.parquet", undescribed(), sample=5000)) == 1000
    # 300 of 1000 are bad: of a draw of 200, about 60 are, SD sqrt(200 x .3 x .7 x 800/999) = 5.8,
    # so that the mean of 25 draws lies within 4 x 1.16 of 60
    bad = [
        (read_raw(tmp_path / "raw.parquet", undescribed(), 200, seed).Risk == "bad").sum()
        for seed in range(25)
    ]
    assert abs(np.mean(bad) - 60) < 4.6
    with pytest.raises(ValueError, match="sample is -1; give the number of rows to draw"):
        read_raw(tmp_path / "raw.parquet", CONTRACT, sample=-1)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda t: t.drop(columns="Age"), "column 'Age' is missing"),
        (lambda t: t.assign(Pets=1), "column 'Pets' is not in the contract"),
        (lambda t: t.assign(Age=t.Age.where(t.index != 16, 7)), "row 17 (line 18): Age is 7"),
        (lambda t: t.assign(Age=t.Age + 0.5), "is '67.5', not a whole number"),
        (lambda t: t.assign(Age=t.Age.where(t.index != 3)), "Age is missing"),
        (lambda t: t[:0], "there is no row"),
        (lambda t: t[1:], "999 rows; datapackage.json records 1000"),
    ],
)
def test_broken_parquet_is_refused_with_place_and_remedy(damage, words, tmp_path):
    table = read_raw(DATA / "german_credit_data.csv", CONTRACT).reset_index(drop=True)
    damage(table).to_parquet(tmp_path / "raw.parquet", index=False)
    with pytest.raises(ContractError) as refusal:
        read_raw(tmp_path / "raw.parquet", CONTRACT)
    assert words in str(refusal.value) and "Remedy:" in str(refusal.value)
    whole = (tmp_path / "raw.parquet").read_bytes()
    (tmp_path / "raw.parquet").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ContractError, match="raw.parquet(.|\n)*is no Parquet file"):
        read_raw(tmp_path / "raw.parquet", CONTRACT)


def test_another_file_needs_only_another_descriptor(tmp_path):
    """Ten applicants with one more column: described in datapackage.json, and nothing else."""
    descriptor = json.loads((DATA / "datapackage.json").read_text("utf-8"))
    resource = descriptor["resources"][0]
    del resource["hash"]
    resource["rows"] = 10
    resource["schema"]["fields"].insert(
        2, {"name": "Pets", "type": "string", "constraints": {"enum": ["cat", "dog"]}}
    )
    (tmp_path / "datapackage.json").write_text(json.dumps(descriptor), "utf-8")
    pets = ["Pets", "cat", "dog", "NA"] + ["cat"] * 7
    ten = [f"{line},{pet}" for line, pet in zip(LINES[:11], pets, strict=True)]
    (tmp_path / "raw.csv").write_bytes(joined(ten))
    contract = read_contract(tmp_path / "datapackage.json")
    matrix = encoder(contract).transform(read_raw(tmp_path / "raw.csv", contract))
    # 8 cats, 1 dog and 1 gap
    columns = ["Pets_cat", "Pets_dog", "Pets_missing"]
    assert matrix[columns].sum().to_list() == [8, 1, 1]


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda text: text[:500], "no JSON"),
        (lambda text: text.replace('"target"', '"goal"'), "has no 'target'"),
        (lambda text: text.replace('"positive": "good"', '"positive": "fine"'), "'fine'"),
        (lambda text: text.replace('"rent"', '"missing"'), "reserved for missing values"),
        (lambda text: text.replace('"value": 3', '"value": 4'), "a label for each level"),
    ],
)
def test_broken_descriptor_is_refused(damage, words, tmp_path):
    path = tmp_path / "datapackage.json"
    path.write_text(damage((DATA / "datapackage.json").read_text("utf-8")), "utf-8")
    with pytest.raises(ContractError, match=words):
        read_contract(path)


def test_missing_descriptor_names_it(tmp_path):
    with pytest.raises(ContractError, match="datapackage.json.*\n.*cannot be read"):
        read_contract(tmp_path / "datapackage.json")


def one_of(field):
    if field.levels is None:
        return st.integers(field.minimum, field.maximum)
    return st.sampled_from([*field.levels, *([] if field.required else [None])])


APPLICATIONS = st.lists(
    st.fixed_dictionaries({field.name: one_of(field) for field in CONTRACT.fields}), min_size=1
)


# Rows do not depend on each other, and 30 lists have each of 26 levels and gaps many times.
@settings(max_examples=30)
@given(APPLICATIONS)
def test_any_allowed_application_is_encoded_without_loss(applications):
    """One level of each category applies, and decoding gives back what went in, gaps included."""
    matrix = ENCODER.transform(pd.DataFrame(applications))
    assert matrix.shape == (len(applications), 29)  # 3 quantities, 2+4+3+5+4+8 levels
    for field in CONTRACT.categories:
        assert (matrix[encoded_columns(CONTRACT, field)].sum(axis=1) == 1).all()
    back = decode(matrix, CONTRACT).to_dict("records")
    assert [{k: None if pd.isna(v) else v for k, v in row.items()} for row in back] == applications
