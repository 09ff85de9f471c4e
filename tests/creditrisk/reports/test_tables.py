"""Tables of a report: heads in words with what they mean, shares as percentages, gaps named."""

import numpy as np
import pandas as pd
from bs4 import BeautifulSoup

from creditrisk.data import json_files
from creditrisk.metrics.ranking import MEASURES
from creditrisk.reports import glossary, tables
from creditrisk.reports.display import styled_table


def cells(table) -> tuple[list[str], list[list[str]]]:
    """The heads and the rows of a table as a reader sees them."""
    shown = BeautifulSoup(table.to_html(), "html.parser")
    heads = [head.get_text(strip=True) for head in shown.select("thead th")]
    rows = [[cell.get_text(strip=True) for cell in row("td")] for row in shown.select("tbody tr")]
    return heads, rows


def test_a_table_speaks_in_words_shares_and_named_gaps():
    frame = pd.DataFrame(
        {
            "field": ["<b>Age</b>", None],
            "bad_rate": [0.3125, np.nan],
            "largest_change": [-0.25, 0.5],
            "applicants": [16_000, 4],
            "my_own": [1 / 3, 2 / 3],
        }
    )
    heads, rows = cells(styled_table(frame))
    assert heads == ["field", "bad rate", "largest change", "applicants", "my_own"]
    # 5 of 16 are 31.25%
    assert rows == [
        ["<b>Age</b>", "31.2%", "-0.250", "16,000", "0.333"],
        ["missing", "missing", "+0.500", "4", "0.667"],
    ]
    assert cells(styled_table(frame, empty="–"))[1][1][:2] == ["–", "–"]


def test_a_column_of_the_data_may_have_the_name_of_a_figure():
    risk = pd.DataFrame(
        {"good": [3, 4], "bad_rate": [0.5, 0.25]}, pd.Index(["a", "b"], name="good")
    )
    assert json_files.records(risk) == [
        {"good (rows)": "a", "good": 3, "bad_rate": 0.5},
        {"good (rows)": "b", "good": 4, "bad_rate": 0.25},
    ]
    assert json_files.records(risk.bad_rate)[0] == {"good": "a", "bad_rate": 0.5}
    heads, rows = cells(tables.rows(risk, "good"))
    assert heads == ["good (rows)", "good", "bad rate"] and rows[0] == ["a", "3", "50.0%"]


def test_a_text_under_the_name_of_a_share_stays_as_it_is():
    frame = pd.DataFrame({"observed": ["0.30 (0.21 to 0.40)"]})
    assert cells(styled_table(frame)) == (["observed good"], [["0.30 (0.21 to 0.40)"]])


def test_every_measure_of_the_comparison_is_explained_where_it_stands():
    results = pd.DataFrame([{"model": "A", "error": "", **dict.fromkeys(MEASURES, 0.5)}])
    table = BeautifulSoup(tables.comparison(results, {"A": 1.5}).to_html(), "html.parser")
    meant = {each.get_text(): each["title"] for each in table.select("thead abbr")}
    assert len(meant) == len(MEASURES) + 1 and all(len(text) > 20 for text in meant.values())
    assert "0.5 is a coin" in meant["ROC-AUC"]


def test_a_name_from_the_data_is_no_markup():
    assert glossary.heading("<script>x_y</script>") == "&lt;script&gt;x_y&lt;/script&gt;"
