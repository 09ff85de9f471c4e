"""Another data set beside the default one: the twenty-column file, whose levels are codes."""

from conftest import ROOT
from plainpapermill import plainly

TWENTY = ROOT / "data/german_credit_20"


def test_levels_that_are_codes_are_shown_with_their_words(project, tmp_path):
    """By 01 itself, with plain papermill."""
    paths = {
        "raw_path": str(TWENTY / "german_credit_20.csv"),
        "datapackage_path": str(TWENTY / "datapackage.json"),
        "exploration_path": str(tmp_path / "exploration.json"),
    }
    plainly(project, tmp_path, {"01_eda": paths})
    # Of 274 such applicants 135 are bad.
    words = "Bad rate by Checking account: A11: no checking account 49%; A12: below 0 DM 39%"
    assert words in (tmp_path / "01_eda.ipynb").read_text("utf-8")
    assert (tmp_path / "exploration.json").stat().st_size
    assert not (project / "experiments").exists()
