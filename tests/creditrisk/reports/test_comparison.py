"""Two runs side by side: hand-counted turned decisions, and a page whatever the runs have kept."""

import csv
import json
import re
import shutil
import sys
from math import log
from pathlib import Path

import pandas as pd
import pytest
from browser import barriers, visit
from conftest import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st
from markupsafe import escape

from creditrisk.data.descriptor import read_contract
from creditrisk.reports.comparison import model_comparison
from creditrisk.reports.comparison.model_comparison import Comparison
from creditrisk.reports.comparison.page import write_page
from creditrisk.reports.comparison.run_results import read_results
from creditrisk.reports.comparison.swap_set import pairs, value_text
from papermill_chain.cli import main
from papermill_chain.runs.lookup import NoRun, find_run, named_run
from papermill_chain.runs.manifest import read_run

sys.path.insert(0, str(ROOT))
import run_all

BAD_VALUE = "</style><script>alert(1)</script><img src=x onerror=alert(2)>"


def compare(a: str | Path, b: str | Path, experiments: Path | None = None) -> Comparison:
    """Two runs, named as on the command line, side by side."""
    runs = (named_run(str(name), experiments or Path("experiments")) for name in (a, b))
    return model_comparison.compare(*map(read_results, runs))


def typed(project: Path, *arguments: str) -> int:
    """The exit code of ``python run_all.py --compare ...`` in a project."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_all, "ROOT", project)
        return main(run_all.CHAIN, project, "Toy", compare=run_all.compare_runs, argv=arguments)


def odds(p: float) -> float:
    return log(p / (1 - p))


def make_run(
    project: Path,
    id: str,
    rows=None,
    *,
    cutoff=0.7,
    prices=(5, 1),
    columns=("Age", "Purpose"),
    shares=True,
    status="succeeded",
    parameters=None,
    test=None,
    figures=None,
) -> Path:
    """A run's folder as the chain keeps it; a row: age, purpose, outcome, probability, shares."""
    folder = project / "experiments" / "runs" / id
    folder.mkdir(parents=True)
    registration = {
        "champion": "Blend",
        "cutoff": cutoff,
        "training_rows": 80,
        "cost_bad_accepted": prices[0],
        "cost_good_rejected": prices[1],
    }
    kept = {}
    if rows is not None:
        kept = {
            "registration_path": "registration.json",
            "validation_path": "validation.json",
            "test_scores_path": "test_scores.csv",
        }
        (folder / "registration.json").write_text(json.dumps(registration), "utf-8")
        validation = {
            "test": {"rows": len(rows), "roc_auc": 0.75, "roc_auc_low": 0.7, "roc_auc_high": 0.8}
            | (test or {})
        }
        (folder / "validation.json").write_text(json.dumps(validation), "utf-8")
        with open(folder / "test_scores.csv", "w", newline="", encoding="utf-8") as file:
            write = csv.writer(file)
            write.writerow(
                [*columns, "Risk", "probability_of_good", *(f"effect: {n}" for n in columns)]
            )
            width = len(columns)
            for row in rows:
                ends = row[width + 2 :] or [0.0] * width
                write.writerow([*row[: width + 2], *(ends if shares else [""] * width)])
    stage = {
        "name": "05_validation",
        "status": status,
        "kept": kept,
        "parameters": {"X_test": "../data/training/X_test.csv", "seed": 7} | (parameters or {}),
        "reads": {"data/raw/datapackage.json": "a" * 64, "data/training/X_test.csv": "b" * 64},
        "figures": figures
        or {"champion": "Blend", "ROC-AUC, test": {"value": 0.75, "low": 0.7, "high": 0.8}},
        "basis": {"notebook": "c" * 64, "code": {"creditrisk/data/raw.py": id.ljust(64, "0")}},
    }
    told = {
        "id": id,
        "status": status,
        "started": "2026-05-01T10:00:00+00:00",
        "python": "3.11.7",
        "parameters": parameters or {},
        "stages": [stage],
    }
    (folder / "manifest.json").write_text(json.dumps(told), "utf-8")
    (project / "data" / "raw").mkdir(parents=True, exist_ok=True)
    shutil.copy(ROOT / "data/raw/datapackage.json", project / "data/raw/datapackage.json")
    return folder


# Cut-off 0.70 before, 0.65 after. Five of eight decisions turn:
#   age 21  .60 -> .72  approved; .72 passes .70 as well, .60 does not pass .65   the score alone
#   age 22  .66 -> .68  approved; .68 fails .70, .66 passes .65                   the cut-off alone
#   age 23  .62 -> .67  approved; .67 fails .70, .62 fails .65                    only both together
#   age 24  .69 -> .71  approved, went bad; .71 passes .70, .69 passes .65        either alone
#   age 25  .80 -> .50  declined, went bad                                        the score alone
#   ages 26 and 27 are approved by both, 28 by neither
BEFORE = [
    (21, "car", "good", 0.60, -0.5, 0.1),
    (22, "car", "good", 0.66),
    (23, "car", "good", 0.62),
    (24, "car", "bad", 0.69),
    (25, "", "bad", 0.80),
    (26, "car", "good", 0.90),
    (27, "car", "bad", 0.75),
    (28, "car", "bad", 0.30),
]
AFTER = [
    (28, "car", "bad", 0.20),
    (27, "car", "bad", 0.74),
    (26, "car", "good", 0.92),
    (25, "", "bad", 0.50),
    (24, "car", "bad", 0.71),
    (23, "car", "good", 0.67),
    (22, "car", "good", 0.68),
    (21, "car", "good", 0.72, -0.1, 0.3),
]


@pytest.fixture
def two(tmp_path):
    """The runs of the count above; the second has its applicants in another order."""
    make_run(tmp_path, "20260501-100000", BEFORE)
    make_run(
        tmp_path,
        "20260502-100000",
        AFTER,
        cutoff=0.65,
        parameters={"seed": 8},
        test={"roc_auc": 0.78, "bad": 4},
        figures={"champion": "Forest", "ROC-AUC, test": {"value": 0.78, "low": 0.71, "high": 0.85}},
    )
    return tmp_path / "experiments"


def test_swap_set_agrees_with_a_count_by_hand(two):
    found = compare("20260501", "20260502", two)
    assert found.common == 8 and found.cutoffs == (0.70, 0.65)
    told = {
        flip.applicant["Age"]: (flip.approved, flip.good, flip.turned_by) for flip in found.flips
    }
    assert told == {
        "21": (True, True, "the score alone"),
        "22": (True, True, "the cut-off alone"),
        "23": (True, True, "only both together"),
        "24": (True, False, "either alone"),
        "25": (False, False, "the score alone"),
    }
    assert [flip.applicant["Age"] for flip in found.flips][:2] == ["25", "21"]  # margins -.25, +.17
    assert found.counts(True) == (4, 1) and found.counts(False) == (1, 1)
    assert found.decisions == (
        "5 of 8 decisions turn: 4 newly approved (1 went bad), 1 newly declined (1 went bad)"
    )


def test_what_moved_a_score_adds_up_to_its_move(two):
    flip = next(
        flip for flip in compare("previous", "latest", two).flips if flip.applicant["Age"] == "21"
    )
    # Log-odds from .405 to .944, by .539: Age +.4, Purpose +.2, so the usual applicant -.061.
    assert [(move.field, round(move.after - move.before, 9)) for move in flip.moves] == [
        ("Age", 0.4),
        ("Purpose", 0.2),
    ]
    assert odds(0.72) - odds(0.60) == pytest.approx(0.4 + 0.2 - 0.0610, abs=1e-4)
    assert str(flip.moves[0]) == "Age (21 years) counts -0.10 and not -0.50"
    assert str(flip.moves[1]) == "Purpose (car) counts +0.30 and not +0.10"


def test_figures_and_costs_differ_by_what_they_do_by_hand(two):
    found = compare("previous", "latest", two)
    by_name = {figure.name: figure for figure in found.figures}
    assert by_name["roc_auc"].difference == pytest.approx(0.03) and by_name["roc_auc"].ends_b == (
        0.7,
        0.8,
    )
    assert by_name["bad"].difference is None  # the first run does not tell
    headline = {figure.name: figure.difference for figure in found.headline}
    assert headline == {"champion": None, "ROC-AUC, test": pytest.approx(0.03)}
    assert [(fact.name, fact.a, fact.b) for fact in found.parameters if not fact.same] == [
        ("seed", 7, 8)
    ]
    paired = {each.name: each for each in found.paired}
    # Before, bad 25 and 27 are approved, good 21, 22 and 23 declined: (2 x 5 + 3) / 8. After,
    # bad 24 and 27 are approved, no good one declined: 10 / 8.
    cost = paired["cost per applicant"]
    assert (cost.a, cost.b) == (13 / 8, 10 / 8)
    assert (paired["share approved"].a, paired["share approved"].b) == (3 / 8, 6 / 8)
    # Of the 16 pairs of good and bad, before: .60 beats .30; .66, .62 too; .90 beats all 4: 7 / 16.
    # After: .72 beats .20 .50 .71, .68 and .67 beat two each, .92 beats four: 11 / 16.
    assert (paired["ROC-AUC"].a, paired["ROC-AUC"].b) == (7 / 16, 11 / 16)
    assert {each.verdict for each in found.paired} == {"too few to judge"}  # four of a kind


def test_large_numbers_have_separators_but_for_what_is_set_again(tmp_path):
    make_run(tmp_path, "1", BEFORE, test={"rows": 1200, "loss": 9999.96}, parameters={"draws": 500})
    more = {"rows": 13500, "loss": 999.97}
    make_run(tmp_path, "2", AFTER, test=more, parameters={"draws": 20000, "rate": 0.051234})
    page = write_page(compare("1", "2", tmp_path / "experiments"), tmp_path / "page.html")
    text = re.sub(r"<[^>]+>", " ", page.read_text("utf-8"))
    found = re.sub(r"\s+", " ", text)
    assert "rows 1,200 13,500 +12,300" in found and "test rows 1,200 13,500" in found
    assert "loss 10,000 1,000 -9,000" in found
    assert "draws 500 20000" in found and "rate – 0.051234" in found


def test_values_are_worded_as_on_the_other_pages():
    contract = read_contract(ROOT / "data/raw/datapackage.json")
    assert value_text("Credit amount", "2622", contract) == "2,622 DM"
    assert value_text("Checking account", "", contract) == "200 DM or more or salary account"
    assert value_text("Purpose", "", contract) == value_text("x", "", None) == "not given"
    assert value_text("Duration", "1e4", contract) == "1e4 months"  # not of this contract


def test_a_move_that_does_not_show_is_not_named(tmp_path):
    # log-odds .405 to .944 by +.539: Age +.4, Purpose from .101 to .104, the rest the usual one's
    make_run(tmp_path, "1", [(21, "car", "good", 0.60, -0.5, 0.101), *BEFORE[1:]])
    make_run(tmp_path, "2", [(21, "car", "good", 0.72, -0.1, 0.104), *BEFORE[1:]])
    (flip,) = compare("1", "2", tmp_path / "experiments").flips
    assert [move.field for move in flip.moves] == ["Age", "the usual applicant's own score"]


def test_moves_are_known_of_those_whose_shares_both_runs_have_worked_out(tmp_path):
    some = [(*row[:4], *(row[4:] or ("", ""))) for row in BEFORE]  # of age 21 alone, a sample of 06
    make_run(tmp_path, "1", some)
    make_run(tmp_path, "2", AFTER)
    found = compare("1", "2", tmp_path / "experiments")
    assert [flip.applicant["Age"] for flip in found.flips if flip.moves] == ["21"]
    page = write_page(found, tmp_path / "page.html").read_text("utf-8")
    assert page.count("a run has not worked out the shares of this applicant's fields") == 2


def test_a_single_decision_turns(tmp_path):
    make_run(tmp_path, "1", BEFORE)
    make_run(tmp_path, "2", [(*BEFORE[0][:3], 0.72), *BEFORE[1:]])
    found = compare("1", "2", tmp_path / "experiments").decisions
    assert found.startswith(
        "1 of 8 decisions turns: 1 newly approved (none went bad), none newly declined"
    )


def many(ages, move=0.0):
    """Every third is bad and scores lower, but not always."""
    return [
        (
            age,
            "car",
            "bad" if age % 3 == 0 else "good",
            round(0.45 + (age * 37 % 50) / 100 - (0.12 if age % 3 == 0 else 0) + move, 4),
        )
        for age in ages
    ]


def test_intervals_say_whether_the_same_applicants_tell_two_models_apart(tmp_path):
    make_run(tmp_path, "1-same", many(range(20, 100)))
    make_run(tmp_path, "2-same", many(range(20, 100)))
    worse = [(*row[:3], round(1 - row[3], 4)) for row in many(range(20, 100))]
    make_run(tmp_path, "3-reversed", worse)
    experiments = tmp_path / "experiments"
    same = compare("1", "2", experiments)
    assert {each.verdict for each in same.paired} == {"the same"} and not same.flips
    other = {each.name: each for each in compare("1", "3", experiments).paired}
    assert other["ROC-AUC"].verdict == "lower" and other["ROC-AUC"].difference.high < 0
    assert other["ROC-AUC"].b == pytest.approx(1 - other["ROC-AUC"].a)


APPLICANT = st.tuples(
    st.integers(19, 22), st.sampled_from(["car", ""]), st.sampled_from(["good", "bad"])
)


@settings(max_examples=25, deadline=None)
@given(st.lists(APPLICANT, max_size=12), st.randoms())
def test_everybody_meets_themselves_however_often_and_in_which_order(tmp_path_factory, rows, mix):
    place = tmp_path_factory.mktemp("pairs")
    first = [(21, "car", "good", 0.5), *((*row, 0.5) for row in rows)]
    second = mix.sample(first, len(first))
    a, b = (
        read_results(read_run(make_run(place, id, chosen))).scores
        for id, chosen in (("1", first), ("2", second))
    )
    left, right = pairs(a, b)
    assert sorted(left) == sorted(right) == list(range(len(first)))
    assert (a.applicants.iloc[left].to_numpy() == b.applicants.iloc[right].to_numpy()).all()


def test_test_sets_that_differ_are_compared_by_whom_they_share(tmp_path):
    # 20 to 59 against 50 to 79: ten are in both.
    make_run(tmp_path, "1", many(range(20, 60)))
    make_run(tmp_path, "2", many(range(50, 80), move=0.05))
    make_run(tmp_path, "3", many(range(60, 80)))
    experiments = tmp_path / "experiments"
    some = compare("1", "2", experiments)
    assert some.common == 10
    assert some.test_sets.startswith("The test sets differ: 40 and 30 applicants, 10 in both;")
    none = compare("1", "3", experiments)
    assert none.common == 0 and none.paired == [] and none.flips == []
    assert "none in both" in none.test_sets and none.decisions == "Decisions cannot be compared"
    page = write_page(none, tmp_path / "none.html").read_text("utf-8")
    assert "none in both" in page and "each run on its own test set" in page


def test_runs_that_kept_less_are_compared_by_what_they_have(tmp_path, capsys):
    make_run(tmp_path, "1-old")
    make_run(tmp_path, "2-failed", status="failed")
    make_run(
        tmp_path,
        "3-columns",
        [(row[0], *row[2:4]) for row in BEFORE],
        columns=("Age",),
        shares=False,
    )
    make_run(tmp_path, "4-whole", BEFORE)
    experiments = tmp_path / "experiments"
    for pair in ("12", "14", "23", "34"):
        assert typed(tmp_path, "--compare", *pair) == 0
        page, *summary = capsys.readouterr().out.splitlines()
        assert Path(page).is_file() and len(summary) == 5
    old = compare("1", "4", experiments)
    assert "Run 1-old has no test scores of its own (made before runs kept it)." in old.notes
    assert old.headline and old.test_sets.startswith("Decisions cannot be compared")
    assert any(
        "Run 2-failed: failed in 05_validation." == note
        for note in compare("2", "4", experiments).notes
    )
    columns = compare("3", "4", experiments)
    assert columns.common == 8 and "only 4-whole has Purpose" in columns.notes[0]


def test_a_run_of_some_stages_differs_by_what_it_ran(two, tmp_path, capsys):
    part, whole = two / "runs/20260502-100000", two / "runs/20260501-100000/manifest.json"
    told = json.loads(whole.read_text("utf-8"))
    names = {"seed": 5, "folds": 3, "draws": 100}
    code = {"notebook": "d" * 64, "code": {"creditrisk/metrics/ranking.py": "e" * 64}}
    more = {"status": "succeeded", "reads": {"data/raw/x.csv": "f" * 64}, "basis": code}
    for stage in ("01_eda", "03_comparison"):
        told["stages"].insert(0, more | {"name": stage, "parameters": names})
    whole.write_text(json.dumps(told), "utf-8")
    comparison = compare("20260501", "20260502", two)
    assert [(fact.name, fact.a, fact.b) for fact in comparison.stages] == [
        ("01_eda", "run", "not run in B"),
        ("03_comparison", "run", "not run in B"),
    ]
    # of the stage that both ran only the seed differs, and one module
    assert [fact.name for fact in comparison.parameters if not fact.same] == ["seed"]
    assert [fact.name for fact in comparison.code] == ["creditrisk/data/raw.py"]
    assert "data/raw/x.csv" not in [fact.name for fact in comparison.data]
    assert typed(tmp_path, "--compare", "20260501", str(part)) == 0
    page, *summary = capsys.readouterr().out.splitlines()
    line = "Parameters that differ: seed; not run in B: 01_eda, 03_comparison"
    assert line in summary and "not run in B" in Path(page).read_text("utf-8")


def test_words_for_runs_that_cannot_be_meant_or_read(tmp_path, two, capsys):
    for wanted, words in [
        ("2026", "is the beginning of 20260501-100000, 20260502-100000: give more of it"),
        ("20260501-100001", "nearest: 20260501-100000"),
        (str(tmp_path), "is not the folder of a run: it has no manifest.json"),
        ("", "no run ''"),
    ]:
        with pytest.raises(NoRun, match=re.escape(words)):
            find_run(wanted, two)
    assert find_run(str(two / "runs" / "20260501-100000"), two) == find_run("previous", two)
    with pytest.raises(NoRun, match="has no run yet"):
        find_run("latest", tmp_path / "elsewhere")
    for broken in ("{", "[]", '{"id": "x", "status": "ok", "started": "", "stages": [3]}'):
        (two / "runs" / "20260502-100000" / "manifest.json").write_text(broken, "utf-8")
        assert typed(tmp_path, "--compare", "previous", "latest") == 2
        assert "manifest.json cannot be read (" in capsys.readouterr().err
    assert typed(tmp_path, "--compare", "previous", "previous") == 2
    assert "both are the same run" in capsys.readouterr().err
    assert not (two / "comparisons").exists()


HEAD = "Age,Risk,probability_of_good,effect: Age\n"


@pytest.mark.parametrize(
    "name, content, flips, words",
    [
        ("validation.json", "{", 5, "validation.json cannot be read"),
        ("validation.json", "[]", 5, "validation.json holds no figures"),
        ("registration.json", '{"cutoff": "high"}', 0, "does not record its cut-off"),
        ("test_scores.csv", "", 0, "test_scores.csv"),
        ("test_scores.csv", HEAD + "21,good,2,0\n", 0, "probabilities from 0 to 1"),
        ("test_scores.csv", HEAD + "21,yes,.5,0\n22,no,.5,0\n", 0, "['no', 'yes'] is 'good'"),
    ],
)
def test_a_broken_file_of_a_run_costs_only_what_it_tells(two, name, content, flips, words):
    (two / "runs" / "20260502-100000" / name).write_text(content, "utf-8")
    found = compare("previous", "latest", two)
    assert len(found.flips) == flips and len(found.notes) == 1 and words in found.notes[0]
    assert str(escape(found.notes[0])) in write_page(found, two / "page.html").read_text("utf-8")


def test_a_run_is_compared_with_the_last_good_one_that_kept_its_scores(two, monkeypatch):
    make_run(two.parent, "20260503-100000", status="failed")
    make_run(two.parent, "20260504-100000")
    run = make_run(two.parent, "20260505-100000", AFTER)
    monkeypatch.setattr(run_all, "ROOT", two.parent)
    run_all.compare_with_the_last(read_run(run))
    (page,) = (two / "comparisons").iterdir()
    assert page.name == "20260502-100000_20260505-100000.html"
    # Nothing to compare with is no trouble.
    run_all.compare_with_the_last(read_run(two / "runs" / "20260501-100000"))
    assert len(list((two / "comparisons").iterdir())) == 1


@pytest.mark.parametrize("scheme, width", [("light", 1280), ("dark", 390)])
def test_everybody_can_read_the_page_and_nothing_runs_in_it(two, browser, scheme, width):
    make_run(
        two.parent,
        "20260503-100000",
        [*BEFORE, (30, BAD_VALUE, "good", 0.4)],
        figures={BAD_VALUE: BAD_VALUE},
    )
    make_run(
        two.parent,
        "20260504-100000",
        [*AFTER, (30, BAD_VALUE, "good", 0.9)],
        cutoff=0.65,
        parameters={BAD_VALUE: BAD_VALUE},
    )
    found = compare("previous", "latest", two)
    with visit(
        browser, write_page(found, two / "page.html"), width=width, color_scheme=scheme
    ) as page:
        assert barriers(page) == []
        assert page.locator("script").count() == 0 and page.locator("img").count() == 0
        assert BAD_VALUE in page.locator("main").inner_text()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        turned = page.locator("td.outcome").all_inner_texts()
        assert len(turned) == 6 and turned.count("bad") == 2  # the count above, and one more


def test_a_real_run_turns_those_between_the_cutoffs_if_only_the_cutoff_moves(finished, tmp_path):
    (first,) = (finished[0] / "experiments" / "runs").iterdir()
    shutil.copytree(first, tmp_path / "stricter")
    registration = json.loads((first / "registration.json").read_text("utf-8"))
    old, new = registration["cutoff"], registration["cutoff"] + 0.1
    told = json.dumps(registration | {"cutoff": new})
    (tmp_path / "stricter" / "registration.json").write_text(told, "utf-8")
    found = compare(first, tmp_path / "stricter")
    scores = pd.read_csv(first / "test_scores.csv")
    between = scores[scores.probability_of_good.between(old, new, inclusive="left")]
    assert len(between) > 5 and found.notes == [] and found.common == len(scores)
    assert found.counts(False) == (len(between), (between.Risk == "bad").sum())
    assert {flip.turned_by for flip in found.flips} == {"the cut-off alone"}
    # Not a bad loan more is approved: each good one costs 1 more, each bad one 5 less.
    cost = next(each for each in found.paired if each.name == "cost per applicant")
    moved = ((between.Risk == "good").sum() - 5 * (between.Risk == "bad").sum()) / len(scores)
    assert cost.difference.estimate == pytest.approx(moved)
    assert [paired.verdict for paired in found.paired if paired.name == "ROC-AUC"] == ["the same"]
    validation = json.loads((first / "validation.json").read_text("utf-8"))
    assert cost.a == pytest.approx(validation["test"]["cost"])
