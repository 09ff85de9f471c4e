"""Other data sets beside the default one: the twenty-column file, whose levels are codes."""

import pytest
from conftest import ROOT, copy_project, run_all

TWENTY = ROOT / "data/german_credit_20"


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A checkout in which the stages that depend on the file itself have been run."""
    project = copy_project(tmp_path_factory.mktemp("sets") / "project")
    ran = run_all(project, "--quiet", "--data", str(TWENTY), "--only", "01", "--only", "02")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return project


def test_it_has_folders_of_its_own(checkout):
    for file in ("experiments/{}/index.html", "data/training/{}/X_train.csv"):
        assert (checkout / file.format("german_credit_20")).is_file()
        assert not (checkout / file.format(".")).exists()  # the default data set was not run


def test_levels_that_are_codes_are_shown_with_their_words(checkout):
    [report] = (checkout / "experiments/german_credit_20").glob("runs/*/01_eda.html")
    # Of 274 such applicants 135 are bad.
    words = "Bad rate by Checking account: A11: no checking account 49%; A12: below 0 DM 39%"
    assert words in report.read_text("utf-8")
