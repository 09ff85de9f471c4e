"""The sentences and tables of the review: each branch, from figures made up for it."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from creditrisk.reports import tables
from creditrisk.reports.findings.review import evidence as review
from creditrisk.validation.choice import CutoffSpread, ReasonStability
from creditrisk.validation.methodology.checks import Check, Verdict, table
from creditrisk.validation.slices import CONFIRMED, TOO_FEW, UNCONFIRMED, Slices

GOOD = Check("rows are apart", Verdict.PASSED, "0 of 200", "why apart")
BAD = Check("no column leaks", Verdict.FAILED, "ROC-AUC of Job 0.990", "why leaks")
OPEN = Check("no gap leaks", Verdict.NOT_JUDGED, "no gaps", "why gaps")
SPREAD = CutoffSpread(0.8, 0.7, 0.9, 0.62, 0.125, 0.4, 0.5, 0.25)
STEADY = ReasonStability(20, 100, 0.25, 0.1, 0.5, 0.0, {"Job": 0.2, "Age": 0.3})


def slices(*verdicts, searched=50):
    rows = [
        {
            "segment": f"Sex s{number}",
            "applicants": 100,
            "predicted": 0.8,
            "observed": 0.5,
            "excess": 0.4,
            "z": 7.5,
            "test_applicants": 40,
            "test_predicted": 0.75,
            "test_observed": np.nan if verdict == TOO_FEW else 0.5,
            "test_excess": 0.3,
            "p": 0.001,
            "p_corrected": np.nan if verdict == TOO_FEW else 0.002,
            "verdict": verdict,
        }
        for number, verdict in enumerate(verdicts, 1)
    ]
    return Slices(searched, 30, pd.DataFrame(rows, columns=list(rows[0]) if rows else ["verdict"]))


def test_checks_that_are_not_passed_are_named():
    assert review.checks([GOOD]) == "**1 of 1 checks are passed.**"
    assert review.checks([GOOD, BAD, OPEN]) == (
        "**1 of 2 checks are passed.**\n\nFailed:\n\n- no column leaks: ROC-AUC of Job 0.990"
        "\n\nNot judged:\n\n- no gap leaks: no gaps"
    )


def test_single_columns_that_rank_too_well_are_counted():
    alone = pd.Series({"Account": 0.95, "Age": 0.9, "Sex": 0.5})
    assert review.alone(alone, 0.9) == "2 of 3 columns reach 0.9 alone"
    assert review.alone(alone, 0.96) == "Account ranks best alone, with a ROC-AUC of 0.950"


def test_segments_found_by_luck_are_not_called_confirmed():
    begins = "50 segments of at least 30 applicants of the training set were searched"
    assert review.slices(slices(searched=0)).startswith("No segment is large enough")
    assert review.slices(slices()) == f"{begins}. In none of them does the model err beyond chance."
    assert review.slices(slices(UNCONFIRMED)) == (
        f"{begins}. **Nothing is confirmed** of the 1 segment found."
    )
    assert review.slices(slices(UNCONFIRMED, TOO_FEW)) == (
        f"{begins}. **Nothing is confirmed** of the 2 segments found. 1 of them have too few test "
        "rows to be judged."
    )
    listed = (
        f"{begins}. **Of the 2 segments found, the test rows confirm 1**:\n\n- **Sex s1**: 75.0% "
        "of 40 predicted good, 50.0% are; log loss 0.300 more than expected (p = 0.002)"
    )
    assert review.slices(slices(CONFIRMED, UNCONFIRMED)) == listed
    both = review.slices(slices(CONFIRMED, TOO_FEW))
    assert both == f"{listed}\n\n1 of them have too few test rows to be judged."


def test_the_champion_leads_the_list_of_winners_and_a_lottery_is_called_one():
    shares = pd.Series({"Forest": 0.5, "Boosting": 0.4, "Scorecard": 0.1})
    assert review.winners(shares, "Boosting") == (
        "**Boosting** wins in 40.0% of the samples, Forest in 50.0%, Scorecard in 10.0%. The "
        "choice is a lottery among models that are alike."
    )
    clear = review.winners(pd.Series({"Forest": 0.8, "Boosting": 0.2}), "Forest")
    assert clear.endswith("in 20.0%. Other applicants would hardly have led to another model.")
    only = review.winners(pd.Series({"Forest": 1.0}), "Forest")
    assert only.startswith("**Forest** wins in 100.0% of the samples. Other")
    never = review.winners(pd.Series({"Forest": 1.0}), "Scorecard")
    assert never.startswith("**Scorecard** wins in 0.0% of the samples, Forest in 100.0%. The")


def test_what_another_cut_off_would_do():
    assert review.cutoff(SPREAD) == (
        "Registered is 0.80; 95% of the samples choose from 0.70 to 0.90, 62% within 0.05 of it. "
        "Of the test applicants 40.0% are approved, 50.0% at the lower end and 25.0% at the upper; "
        "the cut-off of a sample decides on 12.5% of them otherwise, on average."
    )


def test_reasons_that_never_waver_are_one_sentence():
    steady = ReasonStability(5, 9, 0.0, 0.0, 0.0, 0.0, {"Job": 0.0})
    assert review.reasons(steady, {"Job": "Job"}) == (
        "All of 5 refits name the same field first as the model, for each of 9 declined test "
        "applicants."
    )


def test_reasons_that_waver_are_named():
    text = (
        "20 refits name another field first for 25.0% of 100 declined test applicants, from 10.0% "
        "in one refit to 50.0% in another."
    )
    assert review.reasons(STEADY, {"Age": "The age"}) == text
    assert review.reasons(replace(STEADY, unsteady=0.07), {"Age": "The age"}) == (
        f"{text} For 7.0% of them at least half of the refits do. Least steady is The age: where "
        "it stands first, 30.0% of the refits name another."
    )
    assert review.reasons(None, {}).startswith("No reasons to compare")


def test_the_page_in_short():
    shares = pd.Series({"Forest": 0.5, "Boosting": 0.4})
    found = slices(UNCONFIRMED)
    assert review.summary([GOOD, BAD], found, shares, "Boosting", SPREAD, STEADY) == (
        "- **Checks**: 1 of 2 checks are passed.\n- **Segments**: 1 found, none confirmed.\n- "
        "**The choice**: the champion wins in 40.0% of the samples, 95% of the cut-offs are from "
        "0.70 to 0.90, and refits name another reason first for 25.0%."
    )
    short = review.summary([GOOD], slices(CONFIRMED), shares, "None", SPREAD, None)
    assert "1 confirmed" in short and short.endswith(
        "wins in 0.0% of the samples, and 95% of the cut-offs are from 0.70 to 0.90."
    )
    text = review.headline([GOOD, OPEN], found, 0.4, "")
    assert text == (
        "1 of 1 checks are passed; no segments with larger errors confirmed; the champion wins in "
        "40% of resampled comparisons"
    )
    assert review.headline([GOOD], found, 0.4, "this") == f"{text}. To settle: this"
    one = review.headline([], slices(CONFIRMED), 1, "")
    assert "; 1 segment with larger errors confirmed;" in one


@pytest.mark.parametrize(
    ("made", "found", "to_settle", "expected"),
    [
        ([GOOD, OPEN], slices(UNCONFIRMED), "", "passed"),
        ([GOOD, BAD], slices(), "", "warning"),
        ([GOOD], slices(CONFIRMED), "", "warning"),
        ([GOOD], slices(), "approval by group", "warning"),
    ],
)
def test_what_is_to_be_looked_into_is_a_warning(made, found, to_settle, expected):
    assert review.verdict(made, found, to_settle) == expected


def test_tables_have_signs_and_leave_out_what_is_not_known():
    shown = tables.checks(table([GOOD, BAD, OPEN])).to_html()
    assert all(text in shown for text in ("✓ passed", "✕ failed", ">not judged<", "why leaks"))
    shown = tables.slices(slices(CONFIRMED, TOO_FEW).found).to_html()
    assert "75%, 50%" in shown and "nan" not in shown.lower() and "excess log loss" in shown
