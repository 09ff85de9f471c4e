"""Reports that can be checked, and chance called chance: the chain as a validator sees it."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from bs4 import BeautifulSoup
from conftest import run_all, with_small_models
from plainpapermill import plainly
from reportfigures import SOURCES, quoted, recorded, unexplained


@pytest.mark.parametrize("stage", SOURCES)
def test_every_figure_in_a_report_is_on_record(stage, finished):
    project, _ = finished
    figures, values = quoted(project, stage), recorded(project, stage)
    assert len(figures) >= (10 if stage in ("03_comparison", "05_validation") else 2)
    assert not unexplained(figures, values)


def between(content, name, form="{:.3f}"):
    middle, low, high = (form.format(content[f"{name}{end}"]) for end in ("", "_low", "_high"))
    return f"{middle} ({low} to {high})"


def test_figures_stand_where_they_belong(finished):
    """Sentence by sentence, each figure is that of its own name in the run's files."""
    project, _ = finished
    read = {
        name: json.loads((project / f"experiments/{name}.json").read_text("utf-8"))
        for name in ("champion", "validation", "explanation")
    }
    won, test, why = read["champion"], read["validation"]["test"], read["explanation"]
    evidence, parts = won["evidence"], read["validation"]["brier_parts"]
    flat, luck = read["validation"]["rules_of_thumb"], evidence["roc_auc_corrected"]
    slope = f"calibration slope {between(test, 'calibration_slope')}"
    turned = max(
        (row["flipped"] * row["applicants"], row["applicants"])
        for row in why["sensitivity"]
        if row["flipped"]
    )
    sentences = {
        "03_comparison": [
            (
                f"{won['model']} , by the highest mean ROC-AUC, {won['roc_auc']:.3f} "
                f"({won['roc_auc_low']:.3f} to {won['roc_auc_high']:.3f})."
            ),
            f"the folds of a repeat taken together {evidence['roc_auc_pooled']:.3f}",
            (
                f"corrected for the choice {luck['estimate']:.3f} "
                f"({luck['low']:.3f} to {luck['high']:.3f})"
            ),
            f"makes about {evidence['optimism']:.3f} too high",
            (
                f"costs {evidence['cutoff_cost_in_bag']:.2f} for those it was chosen by and "
                f"{evidence['cutoff_cost_out_of_bag']:.2f} for the others"
            ),
            f"Theory says {5 / 6:.2f}, the data {won['cutoff']:.2f};",
            (
                f"At the cut-off {evidence['approved']:.0%} are approved and "
                f"{evidence['bad_among_approved']:.0%} of those"
            ),
            (
                f"Cost per applicant: {won['cost_per_applicant']:.2f}; approving everybody "
                f"{5 * won['bad_rate']:.2f}, approving nobody {1 - won['bad_rate']:.2f}."
            ),
            *(
                f"without {name} : ROC-AUC {gap['estimate']:+z.3f} "
                f"({gap['low']:+z.3f} to {gap['high']:+z.3f})"
                for name, gap in evidence["cost_of_leaving_out"].items()
            ),
        ],
        "05_validation": [
            (
                f"Gini {test['gini']:.3f}, KS {test['ks']:.3f}. "
                f"Cross-validation expected a ROC-AUC of {between(won, 'roc_auc')}:"
            ),
            (
                f"Brier score {test['brier']:.3f}, "
                f"against {test['brier_of_base_rate']:.3f} for giving everybody"
            ),
            f"an improvement of {between(test, 'brier_gain')}; {slope}",
            (
                f"reliability {parts['reliability']:.3f} (0 is ideal), "
                f"resolution {parts['resolution']:.3f}"
            ),
            (
                f"{test['approved']:.0%} are approved and "
                f"{test['bad_among_approved']:.0%} of those go bad."
            ),
            (
                f"cost {between(test, 'cost')} per applicant; approving everybody "
                f"{flat['approving everybody']:.3f}, "
                f"approving nobody {flat['approving nobody']:.3f}."
            ),
            (
                f"probability of good is {test['mean_probability_at_real_bad_rate']:.3f}, "
                f"not {test['mean_probability']:.3f}."
            ),
            (
                f"ROC-AUC {between(test, 'roc_auc')}, Gini {test['gini']:.2f}, "
                f"KS {test['ks']:.2f} on 200 unseen"
            ),
        ],
        "06_explanation": [
            (
                f"For {why['raised_by_strongest_reason']:.1%} "
                f"of {why['declined']} declined applicants the"
            ),
            *(f"probability of good {probability:.3f}, decline" for probability in why["examples"]),
            "it turns over the decision of {:.0f} of {} applicants".format(*turned),
        ],
    }
    for stage, expected in sentences.items():
        (page,) = project.glob(f"experiments/runs/*/{stage}.html")
        text = " ".join(BeautifulSoup(page.read_text("utf-8"), "html.parser").get_text(" ").split())
        text = text.replace("( ", "(").replace(" )", ")")
        assert not [words for words in expected if words not in text], stage


def test_the_cards_figures_are_the_validations(finished):
    project, _ = finished
    test = json.loads((project / "experiments/validation.json").read_text("utf-8"))["test"]
    page = BeautifulSoup((project / "models/model_card.html").read_text("utf-8"), "html.parser")
    rows = {
        row.select("td")[0].text: [" ".join(cell.text.split()) for cell in row.select("td")[1:]]
        for row in page.select("table")[0].select("tr")[1:]
    }
    assert rows["ROC-AUC"] == [
        f"{test['roc_auc']:.3f}",
        f"{test['roc_auc_low']:.3f} to {test['roc_auc_high']:.3f}",
    ]
    assert rows["calibration slope"][0] == f"{test['calibration_slope']:.3f}"
    assert rows["approved at the cut-off"][0] == f"{test['approved']:.0%}"
    assert rows["KS"] == [f"{test['ks']:.3f}", f"{test['ks_low']:.3f} to {test['ks_high']:.3f}"]
    assert all(value and interval for value, interval in rows.values())
    assert "must not be used to decide about people" in page.text.replace("\n", " ")
    assert not page.select("script, img, link") and "http" not in str(page.select("style"))


def test_the_scorecards_query_is_on_record_and_scores_like_the_card(finished):
    project, _ = finished
    card = pd.read_csv(project / "models/scorecard.csv")
    explained = json.loads((project / "experiments/explanation.json").read_text("utf-8"))
    assert explained["scorecard"]["sql_apart"] <= 1e-9
    assert explained["raised_by_strongest_reason"] >= 0.95
    assert {"field", "bin", "woe", "points", "applicants", "bad_rate"} <= set(card)
    # every applicant of the training set stands in one bin of each of nine fields
    assert card.groupby("field").applicants.sum().to_dict() == dict.fromkeys(
        card.field.unique(), 800
    )
    assert "probability_of_good" in (project / "models/scorecard.sql").read_text("utf-8")


# --- data in which there is nothing ------------------------------------------------------------

HURRY = {"repeats": 1, "folds": 3, "splits": 2}


def shuffle_outcomes(prepared: Path, project: Path) -> None:
    """Of a training set: as many good and bad as there were, whoever they are."""
    shutil.copytree(prepared, project / "data/training")
    file = project / "data/training/y_train.csv"
    outcomes = pd.read_csv(file)
    outcomes.assign(Risk=np.random.default_rng(3).permutation(outcomes.Risk)).to_csv(
        file, index=False
    )


def test_chance_is_called_chance_and_the_same_seed_gives_the_same_tables(
    finished, project, tmp_path
):
    """Once more in another folder, in a cold kernel and without the runner."""
    shuffle_outcomes(finished[0] / "data/training", with_small_models(project))
    settings = (f"{name}={value}" for name, value in HURRY.items())
    words = [word for each in settings for word in ("--set", each)]
    ran = run_all(project, *words, "--only", "03")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    champion = json.loads((project / "experiments/champion.json").read_text("utf-8"))
    assert not champion["better_than_chance"]
    (page,) = project.glob("experiments/runs/*/03_comparison.html")
    text = BeautifulSoup(page.read_text("utf-8"), "html.parser").get_text(" ")
    assert "No model is distinguishable from chance" in text
    pairs = pd.read_csv(project / "experiments/pairs.csv")
    assert set(pairs.verdict) == {"not distinguishable"}

    names = ["results.csv", "pairs.csv", "out_of_fold.csv", "champion.json"]
    paths = {f"{name.partition('.')[0]}_path": str(tmp_path / name) for name in names}
    plainly(project, tmp_path, {"03_comparison": HURRY | paths})
    for name in names:
        assert (tmp_path / name).read_bytes() == (project / "experiments" / name).read_bytes()
