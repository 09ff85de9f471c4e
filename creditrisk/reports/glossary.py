"""What the columns of a report's tables are called, how they are written, and what they mean.

One place for all terms: a table shows a term's name as its head, and its meaning to whoever points
at it.
"""

from dataclasses import dataclass
from html import escape

SHARE = "{:.1%}"


@dataclass(frozen=True)
class Term:
    """A term of the field as a reader meets it."""

    name: str
    meaning: str = ""
    form: str = ""  # as in str.format; empty for texts and counts


_BY_CHANCE = "0 is chance, 1 perfect."
_OF_GOOD = "Of the applicants who turned out good, the share that is approved."
_OF_BAD = "Of the applicants who turned out bad, the share that is approved."

#: By the names of columns in frames.
TERMS = {
    "accuracy": Term("accuracy", "The share of applicants classed rightly at the cut-off."),
    "precision": Term("precision", "Of those classed as good, the share that is."),
    "recall": Term("recall", "Of the good, the share that is classed as good."),
    "f1": Term("F1", "The harmonic mean of precision and recall."),
    "roc_auc": Term(
        "ROC-AUC",
        "The chance that a random good applicant scores above a random bad one; 0.5 is a coin.",
    ),
    "gini": Term("Gini", f"Twice the ROC-AUC less one. {_BY_CHANCE}"),
    "ks": Term(
        "KS",
        "Kolmogorov-Smirnov: the largest gap between the shares of good and of bad below a score.",
    ),
    "brier": Term(
        "Brier", "The mean squared distance between probability and outcome; lower is better."
    ),
    "log_loss": Term(
        "log loss", "The mean surprise at the outcomes, given the probabilities; lower is better."
    ),
    "fit_seconds": Term("fit, s", "Mean seconds of one fit.", "{:.2f}"),
    "bad_rate": Term("bad rate", "The share of loans that went bad.", SHARE),
    "woe": Term(
        "WoE",
        "Weight of evidence: the log of the share of all good over the share of all bad in a group;"
        " above 0 speaks for a good risk.",
        "{:+z.2f}",
    ),
    "iv": Term(
        "IV",
        "Information value: what a group adds to how differently good and bad are spread.",
        "{:.3f}",
    ),
    "psi": Term(
        "PSI",
        "Population stability index: how far two samples differ in a column; 0 is the same.",
        "{:.3f}",
    ),
    "slope": Term(
        "calibration slope",
        "1 if probabilities are as spread as they should be; below, too extreme.",
    ),
    "mean_change": Term(
        "mean change", "By how much the probability of good changes on average.", "{:+z.3f}"
    ),
    "largest_change": Term(
        "largest change", "The change of the applicant it moves most.", "{:+z.3f}"
    ),
    "flipped": Term("decided otherwise", "The share whose decision turns over.", SHARE),
    "seen": Term("training reaches", "The value nearest to the limit in the training set."),
    "p_corrected": Term(
        "p, corrected", "Chance of such a difference without a real one, for all pairs (Holm)."
    ),
    "gained": Term("ROC-AUC gained", "The difference of the ROC-AUCs, with a 95% interval."),
    "bad_so_far": Term("bad, so far", "Of all bad, the share at or below this band."),
    "good_so_far": Term("good, so far", "Of all good, the share at or below this band."),
    "tpr": Term("good approved", _OF_GOOD),
    "fpr": Term("bad approved", _OF_BAD),
    "predicted": Term("predicted good", "The mean probability of good.", SHARE),
    "observed": Term("observed good", "The share that turned out good.", SHARE),
    "odds_ratio": Term(
        "odds ratio",
        "Odds of approval of the group over those of the other, within strata (Mantel-Haenszel).",
    ),
    "p_of_all": Term(
        "p, for all rows",
        "Chance of such a difference without a real one, corrected for the number of rows (Holm).",
        "{:.3f}",
    ),
    "worth": Term(
        "worth",
        "How many equally weighted applicants would be as uncertain as the weighted ones (Kish).",
    ),
    "with recourse": Term(
        "with recourse", "Of the declined, the share that a change of three columns would approve."
    ),
    "columns changed": Term(
        "columns changed", "How many columns the smallest change takes, where there is one."
    ),
    "excess": Term(
        "excess log loss",
        "The mean log loss beyond the one that the scores imply if they are right, once their "
        "line of calibration is straightened; 0 is right.",
        "{:+z.3f}",
    ),
    "test_excess": Term(
        "excess on test", "The excess log loss of the test rows, which had no part.", "{:+z.3f}"
    ),
    "p_of_found": Term(
        "p, for all found",
        "Chance of such an excess on the test set if the scores are right, corrected for the "
        "number of segments found (Holm).",
        "{:.3f}",
    ),
    "shares": Term(
        "predicted, observed", "The mean probability of good, and the share that turned out good."
    ),
    "test_shares": Term(
        "predicted, observed on test",
        "The same two shares of the test applicants in the segment.",
    ),
    "p_value": Term("p", "Chance of such a difference between two samples of one population."),
    "share_missing": Term("share missing", "The share of applications without a value.", SHARE),
    "different_settings": Term("different settings", "How many the folds of this model chose."),
    "own_settings_kept": Term("settings kept", "Folds in which the search chose the default ones."),
}
_BY_NAME = {term.name: term for term in TERMS.values()}


def term(column: object) -> Term:
    """The term for a column, by its name in a frame or in a table; any other is called as it is."""
    name = str(column)
    return TERMS.get(name) or _BY_NAME.get(name) or Term(name)


def heading(column: object) -> str:
    """A column's head as HTML, with what it means for whoever points at it."""
    of = term(column)
    shown = escape(of.name)
    return f'<abbr title="{escape(of.meaning)}">{shown}</abbr>' if of.meaning else shown
