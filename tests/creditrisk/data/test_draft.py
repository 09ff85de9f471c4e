"""From a file of which nothing is known to a contract that it keeps."""

import json
import os
import re
import tempfile
from pathlib import Path

import describedloans
import loanfiles
import numpy as np
import pandas as pd
import pytest
from conftest import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st

from creditrisk.cli import main
from creditrisk.data.contract import ContractError
from creditrisk.data.descriptor import read_contract
from creditrisk.data.draft.draft import draft, write
from creditrisk.data.draft.inference import infer
from creditrisk.data.draft.special_codes import suspects
from creditrisk.data.package import mixes, properties
from creditrisk.data.quantities import dates_as_text
from creditrisk.data.raw_files.reading import read_raw


def made(name: str, folder: Path, rows: int = 2000) -> tuple[loanfiles.LoanFile, Path]:
    """One of the made-up files, and where it was written."""
    file = getattr(loanfiles, name)(rows, seed=3)
    return file, file.write(folder / "loans.csv")


def fields(descriptor: Path) -> dict[str, dict]:
    schema = json.loads(descriptor.read_text("utf-8"))["resources"][0]["schema"]
    return {entry["name"]: entry for entry in schema["fields"]}


# What the generators make of each column, written down by hand: type, role, and what else matters.
FOUND = {
    "continuous": {
        "age": ("integer", None, {}),
        "monthly_income": ("number", None, {"scale": "log"}),
        "utilization": ("number", None, {}),
        "debt_ratio": ("number", None, {}),
        "times_late": ("integer", None, {}),
        "months_since_late": ("integer", None, {}),
        "home": ("string", None, {}),
        "defaulted": ("integer", None, {}),
    },
    "monthly": {
        "issued": ("yearmonth", "date", {"format": "%b-%Y"}),
        "born": ("date", None, {}),
        "credit_score": ("integer", None, {}),
        "amount": ("integer", None, {"scale": "log"}),
        "term": ("string", None, {}),
        "grade": ("string", None, {}),
        "joint": ("boolean", None, {"trueValues": ["TRUE"], "falseValues": ["FALSE"]}),
        "status": ("string", None, {}),
    },
    "messy": {
        "Kundennummer": ("string", "id", {}),
        "Zinssatz": ("number", None, {"decimalChar": ",", "bareNumber": False}),
        "Betrag": ("number", None, {"decimalChar": ",", "groupChar": ".", "scale": "log"}),
        "Eröffnet": ("date", "date", {"format": "%d.%m.%Y"}),
        "Angestellt": ("boolean", None, {"trueValues": ["ja"], "falseValues": ["nein"]}),
        "Ort": ("string", None, {"unlisted": "other"}),
        "Jahre im Beruf": ("integer", None, {}),
        "Währung": ("string", "ignore", {}),
        "Verwendung": ("string", "ignore", {}),
        "Beigetrieben": ("number", None, {"decimalChar": ","}),
        "Ausgang": ("string", None, {}),
    },
}
OTHERS = ("name", "title", "example", "constraints", "review")  # not stated above
TARGETS = {
    "continuous": {"field": "defaulted", "good": [0], "bad": [1]},
    "monthly": {
        "field": "status",
        "good": ["Fully Paid"],
        "bad": ["Charged Off"],
        "exclude": ["Current"],
    },
    "messy": {"field": "Ausgang", "good": ["gut"], "bad": ["schlecht"]},
}


@pytest.mark.parametrize("name", FOUND)
def test_draft_answer_check_and_read(name, tmp_path, capsys):
    """Each column is found for what it was made to be; once answered, the file is read by it."""
    file, path = made(name, tmp_path)
    target = TARGETS[name]["field"]
    assert main(["contract", "draft", str(path), "--target", target]) == 0
    descriptor = tmp_path / "datapackage.json"
    entries = fields(descriptor)
    for column, (type, role, more) in FOUND[name].items():
        expected = {"type": type} | ({"role": role} if role else {}) | more
        stated = {key: value for key, value in entries[column].items() if key not in OTHERS}
        assert stated == expected, column
    resource = json.loads(descriptor.read_text("utf-8"))["resources"][0]
    assert resource["target"] == TARGETS[name] and resource["rows"] == 2000
    assert resource.get("split") == (None if name == "continuous" else {"by": "date"})

    with pytest.raises(ContractError) as refusal:  # nobody has answered anything yet
        read_contract(descriptor)
    assert len(refusal.value.problems) >= 8 and "costs" in str(refusal.value)
    capsys.readouterr()
    assert main(["contract", "check", str(path)]) == 0
    assert "questions are open" in capsys.readouterr().out

    describedloans.answer(descriptor, name)
    assert main(["contract", "check", str(path)]) == 0
    said = capsys.readouterr()
    assert "keeps" in said.out and "are open" not in said.out and not said.err
    frame = read_raw(path, read_contract(descriptor))
    known = file.cells[target] != "Current"
    assert len(frame) == known.sum()
    check_values(name, frame, file.cells[known].reset_index(drop=True))


def check_values(name: str, frame: pd.DataFrame, cells: pd.DataFrame) -> None:
    """The typed values are those that the generator has written as text."""
    frame = frame.reset_index(drop=True)
    if name == "continuous":
        blank = cells["monthly_income"] == "NA"
        assert 0 < blank.sum() == frame["monthly_income"].isna().sum()
        pd.testing.assert_series_equal(
            frame["monthly_income"][~blank], cells["monthly_income"][~blank].astype(float)
        )
        assert (frame["months_since_late"] == -999).sum() == (
            cells["months_since_late"] == "-999"
        ).sum()
    elif name == "monthly":
        # months since January 1970: the file begins in January 2016, 46 * 12 = 552
        assert frame["issued"].min() == 552 and frame["issued"].is_monotonic_increasing
        born = (pd.to_datetime(cells["born"]) - pd.Timestamp("1970-01-01")).dt.days
        assert (frame["born"] == born).all()
        assert set(frame["term"]) == {" 36 months", " 60 months"}
    else:
        rate = cells["Zinssatz"].str.rstrip("%").str.replace(",", ".").astype(float)
        assert np.allclose(frame["Zinssatz"], rate)
        amount = cells["Betrag"].str.replace(".", "").str.replace(",", ".").astype(float)
        assert np.allclose(frame["Betrag"], amount)
        rare = cells["Ort"].value_counts()[lambda rows: rows < 20].index
        assert (frame["Ort"] == "other").sum() == cells["Ort"].isin(rare).sum() > 0
        assert {"Währung", "Verwendung", "Beigetrieben"}.isdisjoint(frame.columns)
        assert list(frame["Kundennummer"]) == list(cells["Kundennummer"])


def test_what_may_know_the_outcome_is_asked_about(tmp_path):
    rows, random = 400, np.random.default_rng(0)
    bad = random.random(rows) < 0.2
    applied = pd.Timestamp("2020-01-01") + pd.to_timedelta(random.integers(0, 300, rows), "D")
    table = pd.DataFrame(
        {
            "applied": applied.strftime("%Y-%m-%d"),
            "closed": (applied + pd.Timedelta(days=90)).strftime("%Y-%m-%d"),
            "collector": np.where(
                bad, random.choice(["a", "b"], rows), ""
            ),  # only the bad have one
            "balance": np.where(bad, 100, 0) + random.integers(0, 90, rows),  # above 99 if bad
            "income": random.integers(900, 5000, rows),
            "bad": bad.astype(int),
        }
    )
    table.to_csv(tmp_path / "loans.csv", index=False)
    found = draft(tmp_path / "loans.csv", "bad")
    asked = {column.name: " ".join(column.review) for column in found.columns}
    assert "missing ranks the outcome with ROC-AUC 1.000" in asked["collector"]
    assert "Alone it ranks the outcome with ROC-AUC 1.000" in asked["balance"]
    assert "lies after 'applied' in 100% of the rows" in asked["closed"]
    assert asked["income"] == ""


@pytest.mark.parametrize(
    ("written", "format", "type", "first"),
    [
        # 2 January 2020 is day 18,263; the time of day and its zone are left out
        ("2020-01-{:02d}T23:30:00+02:00", "%Y-%m-%dT%H:%M:%S%z", "date", 18263),
        ("2020-01-{:02d}T23:30:00.125Z", "%Y-%m-%dT%H:%M:%S.%f%z", "date", 18263),
        ("2020-01-{:02d} 23:30:00.000", "%Y-%m-%d %H:%M:%S.%f", "date", 18263),
        ("{:02d}.01.2020 23:30", "%d.%m.%Y %H:%M", "date", 18263),
        ("01/{:02d}/2020 11:30:00 PM", "%m/%d/%Y %I:%M:%S %p", "date", 18263),
        ("{:02d}2020", "%m%Y", "yearmonth", 601),  # February 2020, 50 years and a month
    ],
)
def test_dates_are_found_as_systems_export_them(written, format, type, first, tmp_path):
    rows = [written.format(2 + row % (26 if type == "date" else 10)) for row in range(60)]
    table = pd.DataFrame({"listed": rows, "size": [5, 6, 7] * 20, "bad": [0, 1] * 30})
    table.to_csv(tmp_path / "loans.csv", index=False)
    descriptor = write(draft(tmp_path / "loans.csv", "bad"), tmp_path)
    entry = fields(descriptor)["listed"]
    assert (entry["type"], entry["format"], entry["role"]) == (type, format, "date")
    read = read_raw(tmp_path / "loans.csv", read_contract(descriptor, open_questions=True))
    assert read["listed"].min() == first


def test_which_of_several_dates_is_that_of_the_application_is_asked(tmp_path):
    days = pd.Series(pd.date_range("2020-01-01", periods=60).strftime("%Y-%m-%d"))
    table = pd.DataFrame({"fecha": days, "fin": days, "size": [5, 6, 7] * 20, "bad": [0, 1] * 30})
    table.assign(birth_date=days).to_csv(tmp_path / "loans.csv", index=False)
    asked = draft(tmp_path / "loans.csv", "bad").package["resources"][0]["review"]
    [question] = [each for each in asked if each.startswith("Date: ")]
    assert question.startswith("Date: is one of fecha, fin the date of the application")
    table = table.rename(columns={"fecha": "birth_date"}).drop(columns="fin")
    table.to_csv(tmp_path / "loans.csv", index=False)
    asked = draft(tmp_path / "loans.csv", "bad").package["resources"][0]["review"]
    assert not any(each.startswith("Date: ") for each in asked)


@pytest.mark.parametrize(
    ("values", "codes"),
    [
        ([-999] * 30 + list(range(100)), (-999,)),
        ([-1] * 5 + list(range(100)), (-1,)),
        ([9999999] * 3 + list(range(100)), (9999999,)),
        ([96] * 3 + [98] * 40 + list(range(18)) * 5, (96, 98)),  # times late, with two codes
        ([0] * 900 + [1] * 90 + [2] * 9 + [96] * 3 + [98] * 9, (96, 98)),  # seldom, far from all
        ([99] * 40 + list(range(18, 76)), (99,)),  # ages
        ([-8, -9] * 10 + [9999] * 3 + list(range(100)), (-9, -8, 9999)),
        (list(range(100)), ()),
        ([5000] + list(range(100)), ()),  # once: a value that happens to be large
        (list(range(-50, 50)), ()),
        ([0, 1, 2], ()),
    ],
)
def test_codes_are_suspected_where_they_lie_far_and_repeat(values, codes):
    assert suspects(np.array([*values, np.nan], float)) == codes


@settings(max_examples=30)
@given(st.integers(0, 10_000), st.floats(0.1, 1.5))
def test_long_tails_hold_no_codes(seed, spread):
    assert suspects(np.random.default_rng(seed).lognormal(8, spread, 2000).round()) == ()


@settings(max_examples=15)  # 5 ways to write a number, with one of 3 signs
@given(
    st.lists(st.integers(-10_000_000, 10_000_000), min_size=8, max_size=30, unique=True),
    st.sampled_from([(".", ""), (".", ","), (",", ""), (",", "."), (",", " ")]),
    st.sampled_from(["", "%", " €"]),
)
def test_however_numbers_are_written_they_are_read_back(cents, signs, sign):
    decimal, group = signs
    swapped = str.maketrans(",.", f"{group or 'x'}{decimal}")
    written = [f"{n / 100:,.2f}".translate(swapped).replace("x", "") + sign for n in cents]
    outcomes = ["good", "bad"] * len(cents)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "loans.csv"
        table = pd.DataFrame({"n": written, "y": outcomes[: len(cents)]})
        table.to_csv(path, index=False, sep=";")
        assert main(["contract", "draft", str(path), "--target", "y"]) == 0
        contract = read_contract(path.with_name("datapackage.json"), open_questions=True)
        assert np.allclose(read_raw(path, contract)["n"], np.array(cents) / 100)


def any_column(kind: str, rows: int, random: np.random.Generator) -> list[str]:
    """Cells of one of the kinds that loan files hold, some of them blank."""
    numbers = random.lognormal(4, 2, rows)
    days = pd.Timestamp("1999-01-01") + pd.to_timedelta(random.integers(0, 9000, rows), "D")
    cells = {
        "fractions": [f"{number - 20:.2f}" for number in numbers],
        "exponents": [f"{number:e}" for number in numbers],
        "thousands": [f"{number:,.0f}" for number in numbers],
        "euros": [f"{'-' if number < 20 else ''}€{number:.2f}" for number in numbers],
        "codes": [f"{number % 9999:05.0f}" for number in numbers],
        "large": [str(number) for number in random.integers(0, 2**60, rows)],
        "days": list(
            days.strftime(str(random.choice(["%Y-%m-%d", "%m/%d/%Y", "%d%b%Y", "%Y%m%d"])))
        ),
        "months": list(days.strftime(str(random.choice(["%Y-%m", "%b-%y", "%Y%m"])))),
        "levels": list(random.choice(["a", " b", "B", "c,d", 'e"f'], rows)),
        "many": [f"town {number}" for number in random.zipf(1.5, rows)],
        "marks": list(random.choice(["Y", "N", "y"], rows)),
        "signs": ["".join(random.choice(list("a1 ,;.-%\n"), 3)) for _ in range(rows)],
    }[kind]
    blank = random.random(rows) < random.choice([0, 0.1])
    return list(np.where(blank, random.choice(["", " ", "NA", "none", "?"]), cells))


KINDS = "fractions exponents thousands euros codes large days months levels many marks signs"


@settings(max_examples=12)
@given(
    st.lists(st.sampled_from(KINDS.split(" ")), min_size=1, max_size=4),
    st.integers(20, 100),
    st.integers(0, 10_000),
)
def test_whatever_is_drafted_its_own_file_keeps(kinds, rows, seed):
    random = np.random.default_rng(seed)
    columns = {f"column {n}": any_column(kind, rows, random) for n, kind in enumerate(kinds)}
    table = pd.DataFrame(
        columns | {"size": random.integers(0, 9, rows), "bad": np.arange(rows) % 2}
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "loans.csv"
        table.to_csv(path, index=False, sep=str(random.choice([",", ";"])))
        contract = read_contract(write(draft(path, "bad"), folder), open_questions=True)
        assert len(read_raw(path, contract)) == rows


@pytest.mark.parametrize("written", ["'{:05}", "{},000", "№ {}", "{:05}", "{}"])
def test_numbers_that_name_rows_are_read_as_they_are_written(written, tmp_path):
    path = tmp_path / "loans.csv"
    ids = [written.format(number) for number in range(1, 41)]
    cells = {"loan_id": ids, "size": [1, 2] * 20, "bad": [0, 0, 1, 1] * 10}
    pd.DataFrame(cells).to_csv(path, index=False)
    descriptor = write(draft(path, "bad"), tmp_path)
    assert fields(descriptor)["loan_id"]["role"] == "id"
    read = read_raw(path, read_contract(descriptor, open_questions=True)).loan_id
    bare = written == "{}"
    assert read.tolist() == (list(range(1, 41)) if bare else ids)


def test_the_date_of_an_application_is_shown_as_one(tmp_path):
    path = tmp_path / "loans.csv"
    days = [f"{day:02}/01/2024" for day in range(1, 31)]
    table = pd.DataFrame({"applied": days, "size": [1, 2, 3] * 10, "bad": [0, 1] * 15})
    table.to_csv(path, index=False)
    contract = read_contract(write(draft(path, "bad"), tmp_path), open_questions=True)
    assert contract.of_role("date").name == "applied"
    shown = dates_as_text(read_raw(path, contract), contract)
    assert shown.applied.tolist()[:2] == ["2024-01-01", "2024-01-02"]


REFUSED = {
    "no such column": ("a,b\n1,0\n2,1\n", ["--target", "bb"], 1, ["'bb'", "did you mean 'b'"]),
    "no header": ("1,2,0\n3,4,1\n", [], 1, ["line 1", "no names of columns"]),
    "column twice": ("a,a,b\n1,2,0\n", [], 1, ["line 1", "'a' occurs 2 times"]),
    "short row": ("a,b\n1,0\n2\n3,1\n", [], 1, ["row 2 (line 3)", "1 cells, the header has 2"]),
    "one outcome": ("a,b\n1,0\n2,0\n", [], 1, ["b", "1 distinct values"]),
    "outcome missing": ("a,b\n1,0\n2,1\n3,\n", [], 1, ["1 rows have no value"]),
    "no such value": ("a,b\n1,0\n2,1\n", ["--good", "2"], 1, ["'2' does not occur"]),
    "good and bad": ("a,b\n1,0\n2,1\n", ["--good", "1", "--bad", "1"], 1, ["as good and as bad"]),
    "only an id": ("a,b\n1,0\n2,1\n", [], 1, ["no column to learn from", "'a': id (each row"]),
    "workbook": ("PK\x03\x04", [], 1, ["Excel", "save it as CSV"]),
    "empty": ("", [], 1, ["the file is empty"]),
    "no file": (None, [], 2, ["cannot be read", "No such file", "Remedy: "]),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_in_one_message_and_nothing_written(case, tmp_path, capsys):
    content, arguments, code, words = REFUSED[case]
    path = tmp_path / "loans.csv"
    if content is not None:
        path.write_text(content)
    assert main(["contract", "draft", str(path), "--target", "b", *arguments]) == code
    said = capsys.readouterr().err
    assert all(word in said for word in [*words, str(path)]), said
    assert [each.name for each in tmp_path.iterdir()] == ["loans.csv"] * (content is not None)


@pytest.mark.skipif(os.name == "nt", reason="pipes")
@pytest.mark.parametrize("command", [["check"], ["draft", "--target", "b", "--force"]])
def test_what_cannot_be_opened_is_refused_with_what_to_do(command, tmp_path, capsys):
    path = tmp_path / "loans.csv"
    path.write_text("a,b\n1,x\n2,y\n1,y\n")
    main(["contract", "draft", str(path), "--target", "b", "--good", "x", "--bad", "y"])
    path.unlink()
    os.mkfifo(path)
    assert main(["contract", *command, str(path)]) == 2
    said = capsys.readouterr().err
    assert f"{path}: 1 problem" in said and "is a named pipe, not a file" in said
    assert said.endswith("Remedy: give another file\n"), said


def test_contract_that_is_there_is_replaced_only_if_forced(tmp_path, capsys):
    path = tmp_path / "loans.csv"
    path.write_text("a;b\n1;x\n2;y\n1;y\n")
    descriptor = tmp_path / "datapackage.json"
    descriptor.write_text("mine")
    asked = ["contract", "draft", str(path), "--target", "b", "--good", "x", "--bad", "y"]
    assert main(asked) == 2
    assert "--force" in capsys.readouterr().err and descriptor.read_text() == "mine"
    assert main([*asked, "--force"]) == 0
    resource = json.loads(descriptor.read_text())["resources"][0]
    assert resource["dialect"] == {"delimiter": ";"}
    # both sides were given, so which is good is not asked
    assert not any(question.startswith("Target") for question in resource["review"])
    assert sorted(each.name for each in tmp_path.iterdir()) == ["datapackage.json", "loans.csv"]


def test_out_names_the_file_from_another_folder(tmp_path):
    path = tmp_path / "loans.csv"
    path.write_text("a,b\n1,x\n2,y\n1,y\n")
    folder = tmp_path / "contracts" / "new"
    assert main(["contract", "draft", str(path), "--target", "b", "--out", str(folder)]) == 0
    resource = json.loads((folder / "datapackage.json").read_text())["resources"][0]
    assert resource["path"] == "../../loans.csv"
    assert main(["contract", "check", str(path), "--contract", f"{folder}/datapackage.json"]) == 0


def test_check_names_row_column_and_remedy(tmp_path, capsys):
    file, path = made("continuous", tmp_path, 500)
    main(["contract", "draft", str(path), "--target", "defaulted"])
    file.cells.loc[16, "age"] = "old"
    file.write(path)
    capsys.readouterr()
    assert main(["contract", "check", str(path)]) == 1
    said = capsys.readouterr().err
    assert all(word in said for word in ["row 17", "age", "'old'", "Remedy"]), said
    assert main(["contract", "check", str(tmp_path / "none.csv")]) == 2
    said = capsys.readouterr().err
    (tmp_path / "apart").mkdir()  # with neither file nor contract: the file is what was typed
    assert main(["contract", "check", str(tmp_path / "apart/none.csv")]) == 2
    assert capsys.readouterr().err == said.replace("none.csv", "apart/none.csv")
    assert main(["contract", "check", str(path), "--contract", str(tmp_path / "none.json")]) == 2


def test_parquet_and_gzip_are_drafted_as_the_csv_file_is(tmp_path):
    file, path = made("continuous", tmp_path, 500)
    numbers = file.cells.replace("NA", None)
    for name in numbers.columns.drop("home"):
        numbers[name] = pd.to_numeric(numbers[name])
    numbers.to_parquet(tmp_path / "loans.parquet")
    file.cells.to_csv(tmp_path / "loans.csv.gz", index=False)
    plain = {each.name: each.entry for each in draft(path, "defaulted").columns}
    for other in ("loans.csv.gz", "loans.parquet"):
        found = draft(tmp_path / other, "defaulted")
        assert {each.name: each.entry for each in found.columns} == plain


def test_booleans_of_a_parquet_file_may_be_spelt_in_any_usual_way_elsewhere(tmp_path):
    """A CSV file that pandas makes of it has True and False."""
    frame = pd.DataFrame({"owner": [True, False, None] * 20, "bad": [0, 1] * 30})
    frame.to_parquet(path := tmp_path / "loans.parquet")
    assert main(["contract", "draft", str(path), "--target", "bad"]) == 0
    package = json.loads((tmp_path / "datapackage.json").read_text())
    for recorded in ("hash", "bytes", "rows"):
        del package["resources"][0][recorded]
    (tmp_path / "datapackage.json").write_text(json.dumps(package))
    frame.to_csv(other := tmp_path / "loans.csv", index=False)
    assert main(["contract", "check", str(other)]) == 0
    assert main(["contract", "check", str(path)]) == 0


def test_german_data_with_all_columns_is_what_its_contract_says():
    folder = ROOT / "data" / "german_credit_20"
    contract = read_contract(folder / "datapackage.json")
    frame = read_raw(folder / "german_credit_20.csv", contract)
    assert frame.shape == (1000, 21) and not frame.isna().any().any()
    assert frame["Risk"].value_counts().to_dict() == {1: 700, 2: 300}
    # the first line of the source, typed by hand
    assert " ".join(frame.iloc[0].astype(str)) == (
        "A11 6 A34 A43 1169 A65 A75 4 A93 A101 4 A121 67 A143 A152 2 A173 1 A192 A201 1"
    )
    assert all(field.labels for field in contract.categories)
    protected = ["Personal status and sex", "Age", "Foreign worker"]
    assert [field.name for field in contract.protected] == protected


def test_page_on_the_contract_names_each_property_with_an_example_that_is_allowed():
    page = (ROOT / "docs" / "contract.md").read_text("utf-8")
    parts = {
        "The package": properties.PACKAGE,
        "The table": properties.RESOURCE,
        "The dialect": properties.DIALECT,
        "The schema": properties.SCHEMA,
        "The target": properties.TARGET,
        "The split": properties.SPLIT,
        "The costs": properties.COSTS,
        "A mix": mixes.MIX,
        "A column": properties.FIELD,
        "Constraints": properties.CONSTRAINTS,
    }
    for heading, known in parts.items():
        section = page.split(f"\n### {heading}\n")[1].split("\n#")[0]
        rows = [line.split(" | ") for line in section.splitlines() if line.startswith("| `")]
        examples = {}
        for row in rows:
            examples |= json.loads("{" + row[0].strip("| `") + "}")
        assert properties.misused(examples, known, heading) == []
        named = set(known) - {"$schema"}
        assert named - set(examples) == set(), heading


def test_page_on_the_contract_shows_what_its_commands_print(tmp_path, capsys, monkeypatch):
    page = (ROOT / "docs" / "contract.md").read_text("utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "110")
    path = Path("data/mine/loans.csv")
    path.parent.mkdir(parents=True)
    loanfiles.messy().write(path)

    def printed() -> str:
        said = capsys.readouterr()
        return "\n".join(line.rstrip() for line in (said.out + said.err).splitlines())

    asked = re.search(r"^\$ creditrisk (contract draft .*)$", page, re.MULTILINE)[1].split()
    assert main(asked) == 0
    assert printed() in page
    descriptor = path.with_name("datapackage.json")
    with pytest.raises(ContractError) as refusal:
        read_contract(descriptor)
    assert str(refusal.value) in page
    describedloans.answer(descriptor, "messy")
    assert main(["contract", "check", str(path)]) == 0
    assert printed() in page
    content = path.read_text("cp1252").splitlines()
    content[17] = content[17].replace("gut", "gutt")
    path.write_text("\n".join(content) + "\n", "cp1252")
    assert main(["contract", "check", str(path)]) == 1
    assert printed() in page


def test_what_excel_calls_unicode_text_is_read(tmp_path):
    """UTF-16 with a mark at its start, and tabs."""
    path = tmp_path / "loans.txt"
    loanfiles.monthly(300).cells.to_csv(path, index=False, sep="\t", encoding="utf-16")
    assert main(["contract", "draft", str(path), "--target", "status"]) == 0
    describedloans.answer(tmp_path / "datapackage.json", "monthly")
    contract = read_contract(tmp_path / "datapackage.json")
    assert (contract.encoding, contract.delimiter) == ("utf-16", "\t")
    assert main(["contract", "check", str(path)]) == 0
    path.write_bytes(path.read_bytes()[:-1])  # half a character at the end
    assert main(["contract", "draft", str(path), "--target", "status", "--force"]) != 0


def test_yes_and_no_are_spelt_as_people_type_them(tmp_path, capsys):
    """Within one language; "T", "N" and "F" may be anything."""
    flags, terms = ["yes", "Y", "no", "N", "", "No"], ["T", "N", "F", "T", "N", "F"]
    rows = [f"{flag};{term};{n % 2}" for n, (flag, term) in enumerate(zip(flags * 4, terms * 4))]
    path = tmp_path / "loans.csv"
    path.write_text("\n".join(["owner;term;bad", *rows]) + "\n")
    assert main(["contract", "draft", str(path), "--target", "bad"]) == 0
    found = fields(tmp_path / "datapackage.json")
    assert found["owner"]["type"] == "boolean"
    assert found["owner"]["trueValues"] == ["Y", "yes"]
    assert found["owner"]["falseValues"] == ["N", "No", "no"]
    assert found["term"]["constraints"]["enum"] == ["F", "N", "T"]
    contract = read_contract(tmp_path / "datapackage.json", open_questions=True)
    read = read_raw(path, contract).owner.head(6).tolist()
    assert [None if pd.isna(each) else each for each in read] == [
        True,
        True,
        False,
        False,
        None,
        False,
    ]


@pytest.mark.parametrize("below_zero", ["({}.50)", "($3.{})", "1.{},56-"])
def test_amounts_with_their_minus_elsewhere_are_asked_about(below_zero):
    """Of four and more the column is text; a few are read as missing, which is asked as well."""
    for count, kind, questions in ((4, "string", 1), (2, "integer", 2)):
        negative = [below_zero.format(100 + n) for n in range(count)]
        others = ["12", "17", "13", "15", "16", "11", "18"]
        column = infer("Change", pd.Series([*negative, *others] * 40), [""], ".")
        assert (column.entry["type"], len(column.review)) == (kind, questions)
        assert repr(negative[0]) in column.review[0] and "before the number" in column.review[0]
    grades = pd.Series(["A-", "B", "C (old)", "(4)"] * 40)
    assert infer("Grade", grades, [""], ".").review == []


def test_several_files_are_one_table(tmp_path, capsys, monkeypatch):
    """By a pattern, or one after the other as a shell writes them; the hash is that of both."""
    monkeypatch.setenv("COLUMNS", "500")
    cells = loanfiles.monthly(600).cells
    for number in range(2):
        part = cells.iloc[number * 300 : (number + 1) * 300]
        part.to_csv(tmp_path / f"loans-{number}.csv.gz", index=False, sep=";")
    pattern, parts = str(tmp_path / "loans-*.csv.gz"), sorted(map(str, tmp_path.glob("*.gz")))
    whole = tmp_path / "whole.csv"
    cells.to_csv(whole, index=False)
    schema = draft(whole, "status").package["resources"][0]["schema"]
    for files, named in ((parts, ["loans-0.csv.gz", "loans-1.csv.gz"]), ([pattern], [])):
        assert main(["contract", "draft", *files, "--target", "status", "--force"]) == 0
        assert "600 rows in 2 files, 8 columns" in capsys.readouterr().out
        resource = json.loads((tmp_path / "datapackage.json").read_text())["resources"][0]
        assert resource["path"] == (named or "loans-*.csv.gz")
        assert resource["schema"] == schema
        assert main(["contract", "check", *files]) == 0
        # 600 rows less those that are running still
        kept = 600 - int((cells.status == "Current").sum())
        assert f"{kept:,} rows" in capsys.readouterr().out
    assert main(["contract", "check", parts[0]]) == 1  # a part is not what was drafted
    assert "300 rows; datapackage.json records 600" in capsys.readouterr().err


def test_files_that_are_no_table_together_are_refused(tmp_path, capsys):
    first, other = tmp_path / "a.csv", tmp_path / "b.csv"
    first.write_text("ä,b\nx,0\ny,1\n", "utf-8")
    asked = ["contract", "draft", str(first), str(other), "--target", "b"]
    for content, encoding, words in (
        ("ä;b\nx;0\n", "utf-8", "has ';' between the cells"),
        ("ä,b\nü,0\n", "cp1252", "is in cp1252"),
        ("ä,c\nx,0\n", "utf-8", "columns differ from those of"),
    ):
        other.write_text(content, encoding)
        assert main(asked) == 1
        said = capsys.readouterr().err
        assert words in said and str(other) in said and "Remedy" in said
    other.unlink()
    assert main(asked) == 2 and str(other) in capsys.readouterr().err
    assert main(["contract", "draft", str(tmp_path / "*.txt"), "--target", "b"]) == 2
    assert "no file has such a name" in capsys.readouterr().err
    assert [each.name for each in tmp_path.iterdir()] == ["a.csv"]
