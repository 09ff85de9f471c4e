"""What a model is for is what its descriptor says, on the card and on the form."""

import copy

import pytest
from published import CONTRACT, put, trained

from creditrisk.data.contract import Contract
from creditrisk.data.descriptor import parse_contract
from creditrisk.modelling import candidates
from creditrisk.serving.api.app import create_app
from creditrisk.serving.model_reload import serve_from
from creditrisk.validation.model_card import as_html, write_card

OWN = "Decides on consumer loans up to 50,000; not on <mortgages>."
ESCAPED = OWN.replace("<", "&lt;").replace(">", "&gt;")
ENDS = {f"{name}{end}": 0.5 for name in ("roc_auc", "ks", "brier") for end in ("", "_low", "_high")}
COSTS = {f"{name}{end}": 0.5 for name in ("cost", "approved") for end in ("", "_low", "_high")}
TEST = ENDS | COSTS | {"rows": 200, "bad": 60, "gini": 0, "calibration_slope": None}
REGISTRATION = {
    "model": "Loans",
    "version": 1,
    "champion": "Logistic Regression",
    "training_rows": 800,
    "training_sha256": "0" * 64,
    "exclude": [],
    "cutoff": 0.7,
    "cost_bad_accepted": 5,
    "cost_good_rejected": 1,
} | ENDS
VALIDATION = {
    "result": "passed",
    "verdict": "",
    "test": TEST | {"bad_among_approved": None},
    "looks": {"looks": 1, "models": 1},
    "rules": [],
    "groups": [],
    "impact_ratios": [],
    "opportunity_ratios": [],
    "risks": [],
    "limitations": [],
}


def with_purpose(purpose: str | None) -> Contract:
    """The German contract, with another purpose or none."""
    package = copy.deepcopy(CONTRACT.package)
    package["resources"][0].pop("purpose")
    if purpose is not None:
        package["resources"][0]["purpose"] = purpose
    return parse_contract(package)


@pytest.fixture(scope="module")
def pipeline():
    return trained(candidates.estimator("Logistic Regression", CONTRACT, 7))


@pytest.mark.parametrize(
    ("contract", "expected"),
    [
        (CONTRACT, "whole life on public data. It must not be used to decide about people"),
        (with_purpose(OWN), ESCAPED),
        (with_purpose(None), "is not stated"),
    ],
    ids=["german", "own", "none"],
)
def test_card_and_form_say_what_the_descriptor_says(contract, expected, pipeline, tmp_path):
    card = as_html(write_card(contract, REGISTRATION, VALIDATION))
    folder = put(tmp_path / "models", pipeline, 1, contract=contract.package)
    form = create_app(serve_from(str(folder))).test_client().get("/").text
    for page in (card, form):
        assert expected in " ".join(page.split())
        if contract is not CONTRACT:
            assert "public data" not in page and "decide about people" not in page
    assert "Population: Borrowers of a large regional bank" in card


def test_a_card_of_weighted_applicants_says_what_they_are_worth():
    weighted = VALIDATION["test"] | {"applications": 2426.0, "effective_rows": 265.88}
    said = "they stand for 2,426 applications and are worth 266 of equal weight. They had no part"
    for test, has in ((weighted, True), (VALIDATION["test"], False)):
        card = write_card(CONTRACT, REGISTRATION, VALIDATION | {"test": test})
        assert (said in " ".join(card.split())) == has
