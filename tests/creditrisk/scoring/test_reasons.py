"""Reasons are exact, keep their word and read the same at every interface; what moves the model."""

from dataclasses import replace
from functools import cache
from itertools import permutations, product
from math import factorial

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT
from published import few_trees
from scipy.special import expit, logit
from sklearn.metrics import roc_auc_score

from creditrisk.data.applications.frame_codes import as_stated
from creditrisk.data.applications.record_checks import record_problems
from creditrisk.data.descriptor import read_contract
from creditrisk.data.encoding import encoder, target
from creditrisk.data.raw_files.reading import read_raw
from creditrisk.modelling import candidates
from creditrisk.reports.findings import explanation
from creditrisk.scoring import reasons
from creditrisk.scoring.fast_path import make_scorer
from creditrisk.validation import blanks, inspection
from creditrisk.validation import reasons as reasons_given

CONTRACT = read_contract(ROOT / "data/raw/datapackage.json")
TABLE = read_raw(ROOT / "data/raw/german_credit_data.csv", CONTRACT)
RAW, Y = TABLE[[field.name for field in CONTRACT.fields]], target(TABLE, CONTRACT)
TRAIN, TEST = RAW.index[::5].symmetric_difference(RAW.index), RAW.index[::5]
NAMES = list(RAW)

MOST = "200 DM or more or salary account"  # what the data record as no checking account


@pytest.fixture(scope="module")
def scorer():
    """Name -> the scorer of a candidate that has seen four of five applicants.

    Its forests have few trees, unless it is to be whole.
    """

    @cache
    def fit(name, whole=False):
        ready, estimator = encoder(CONTRACT), candidates.estimator(name, CONTRACT, 7)
        estimator = estimator if whole else few_trees(estimator)
        model = candidates.decision_model(ready, estimator, 0.75)
        model["decide"].fit(ready.transform(RAW.loc[TRAIN]), Y[TRAIN])
        approved = (model.predict(RAW.loc[TRAIN]) == 1) & (Y[TRAIN] == 1)
        usual = reasons.reference(RAW.loc[TRAIN], approved, CONTRACT)
        return make_scorer(model, CONTRACT, name, reference=usual)

    return fit


def declined(scorer, rows=RAW):
    return rows[scorer.probabilities(rows) < scorer.cutoff]


def test_contributions_of_two_fields_worked_out_by_hand():
    # Log-odds: none 2, the first field only 1, the second only -1, both 0; the third is ignored.
    score = {(1, 1): 2.0, (0, 1): 1.0, (1, 0): -1.0, (0, 0): 0.0}

    def many(places):
        return expit([score[tuple(row)] for row in places[:, :2].tolist()])

    found, gains, _ = reasons.field_effects(np.array([0, 0, 0]), np.array([1, 1, 1]), many)
    # First field: it changes 1 - 2 = -1 if it comes first and 0 - -1 = 1 after the second: mean 0.
    # Second field: -1 - 2 = -3 first and 0 - 1 = -1 after the first: mean -2. Together 0 - 2.
    assert found == pytest.approx([0, -2, 0]) and found[2] == 0
    # Alone back at the reference: the first leads to -1 from 0, the second to 1.
    assert gains == pytest.approx([-1, 1, 0])
    same, *_ = reasons.field_effects(np.array([1, 1, 1]), np.array([1, 1, 1]), many)
    assert same.tolist() == [0, 0, 0]


@pytest.mark.parametrize("name", ["Logistic Regression", "WoE Scorecard"])
def test_a_linear_models_contributions_are_differences_of_its_weights(scorer, name):
    additive = scorer(name).taking_blanks()
    regression, codes = additive.tables.members[0], additive.domain.codes
    records = [additive.reference, *as_records(RAW.head(60))]
    places = np.array([codes(record) for record in records])
    shares = np.column_stack([regression.shares(n, column) for n, column in enumerate(places.T)])
    expected = shares[1:] - shares[0]
    found, gains, _ = additive.effects(RAW.head(60))
    assert np.abs(found - expected).max() < 1e-9
    assert np.abs(gains + expected).max() < 1e-9
    assert (found[expected == 0] == 0).all()


def as_stated_records(frame):
    return as_records(as_stated(frame, CONTRACT))


def as_records(frame):
    columns = {name: [None if pd.isna(v) else v for v in frame[name].tolist()] for name in frame}
    return [dict(zip(columns, row)) for row in zip(*columns.values())]


@pytest.mark.parametrize("name", ["Tuned Random Forest", "Soft-Voting Blend"])
def test_contributions_are_shapley_values_by_their_definition(scorer, name):
    """A field's mean gain over all orders: s! (n - s - 1)! of n! have the same s fields before it.

    Each of the 2^9 = 512 sets of fields is scored with the applicant's values, the others as usual.
    """
    model, rows, n = scorer(name), RAW.head(12), len(NAMES)
    usual = pd.DataFrame([model.reference])[NAMES].to_numpy(object)
    sets = list(product([False, True], repeat=n))
    mixed = np.where(np.array(sets)[:, None], rows.to_numpy(object), usual).reshape(-1, n)
    frame = pd.DataFrame(mixed, columns=NAMES).astype(rows.dtypes)
    odds = dict(zip(sets, logit(model.probabilities(frame)).reshape(len(sets), len(rows))))
    expected = np.zeros((len(rows), n))
    for before in sets:
        for number in np.flatnonzero(~np.array(before)):
            share = factorial(sum(before)) * factorial(n - sum(before) - 1) / factorial(n)
            after = (*before[:number], True, *before[number + 1 :])
            expected[:, number] += share * (odds[after] - odds[before])
    assert np.abs(model.effects(rows)[0] - expected).max() < 1e-9


@pytest.mark.parametrize("tables", [True, False])
def test_contributions_add_up_with_tables_or_without_exact_or_sampled(scorer, tables, monkeypatch):
    model, rows = scorer("Soft-Voting Blend", whole=True), RAW.head(25)
    if not tables:  # the pipeline answers; the forest of the blend would only take longer
        model, rows = replace(scorer("Spline Logistic Regression"), tables=None), RAW.head(10)
    assert model.fast == tables
    usual = pd.DataFrame([model.reference])
    apart = logit(model.probabilities(rows)) - logit(model.probabilities(usual))
    exact, gains, no_error = model.effects(rows)
    monkeypatch.setattr(reasons, "EXACT", 2)
    sampled, same_gains, errors = model.effects(rows)
    again, *_ = model.effects(rows)
    for found in (exact, sampled):
        assert np.abs(found.sum(axis=1) - apart).max() < 1e-9
    assert (sampled == again).all() and np.allclose(gains, same_gains, atol=1e-12)
    assert np.abs(sampled - exact).max() < 0.2
    # An additive field changes the score alike in every order, so sampling cannot miss.
    assert (np.abs(sampled - exact).max() > 1e-9) == tables
    # The error that is stated is the one that is made: of so many shares, 95% lie within twice.
    assert not no_error.any() and (errors.max() > 1e-9) == tables
    away = np.abs(sampled - exact)[errors > 1e-9] / errors[errors > 1e-9]
    assert not tables or (len(away) > 100 and 0.9 < np.mean(away < 2) and 0.5 < np.std(away) < 1.5)
    for number, field in enumerate(NAMES):
        changed = rows.assign(**{field: model.reference[field]})
        gained = logit(model.probabilities(changed)) - logit(model.probabilities(rows))
        assert np.abs(gained - gains[:, number]).max() < 1e-9


def test_the_error_of_sampled_shares_is_stated():
    """Of three declined applicants the shares of two are sampled, with errors of .02 and .04."""
    checked = pd.DataFrame({"effect": [-0.4, -0.2, -1.0], "error": [0.02, 0.04, 0.0]})
    error = reasons_given.sampling_error(checked)
    assert error == pytest.approx(
        {
            "applicants": 2,
            "orders": 200,
            "standard_error": 0.03,
            "largest_standard_error": 0.04,
            "share": 0.3,
        }
    )
    text = explanation.sampled_shares(error)
    assert text.startswith("Of 2 of them too many fields differ") and "200 orders" in text
    assert "is 0.030 on average and 0.040 at most, of a share of 0.30" in text
    exact = reasons_given.sampling_error(checked.tail(1))
    assert exact is None and explanation.sampled_shares(exact) == ""


def test_a_walk_through_all_orders_gives_the_same(scorer):
    model = scorer("Tuned Random Forest")
    differ = (RAW != pd.Series(model.reference).where(pd.notna)) & ~(
        RAW.isna() & pd.Series(model.reference).isna()
    )
    row = RAW[differ.sum(axis=1) == 4].head(1)
    players = [name for name in NAMES if differ.loc[row.index[0], name]]
    walks = []
    for order in permutations(players):
        record, scores = dict(model.reference), []
        for name in (None, *order):
            if name is not None:
                record[name] = as_records(row)[0][name]
            scores.append(logit(model.taking_blanks().score(record)[0].probability))
        walks.append(dict(zip(order, np.diff(scores))))
    expected = pd.DataFrame(walks).mean().reindex(NAMES, fill_value=0)
    assert np.abs(model.effects(row)[0][0] - expected).max() < 1e-9


@pytest.mark.parametrize("name", ["Soft-Voting Blend", "Tuned Random Forest", "WoE Scorecard"])
def test_the_top_reason_keeps_its_word_for_declined_test_applicants(scorer, name):
    model = scorer(name)
    measured = reasons_given.top_reasons(model, RAW.loc[TEST])
    assert len(measured) == len(declined(model, RAW.loc[TEST])) > 50
    assert measured.rises.mean() >= 0.95
    row = measured.iloc[0]
    before = RAW.loc[[measured.index[0]]]
    after = before.assign(**{row.field: model.reference[row.field]})
    change = logit(model.probabilities(after)) - logit(model.probabilities(before))
    assert change[0] == pytest.approx(row.gain)
    assert row.turns == (model.probabilities(after)[0] >= model.cutoff)


def test_every_reason_that_is_told_is_true(scorer):
    model = scorer("Soft-Voting Blend")
    rows = declined(model).head(60)
    stated = as_stated(rows, CONTRACT)
    decisions = model.score(stated, reasons=True)
    assert decisions == model.taking_blanks().score(rows, reasons=True)
    assert decisions == model.score(as_records(stated), reasons=True)
    assert [replace(d, reasons=None) for d in decisions] == model.score(stated)
    assert 0 < max(len(d.reasons) for d in decisions) <= 4
    [usual] = as_stated_records(pd.DataFrame([model.reference]))
    for record, decision in zip(as_records(stated), decisions):
        effects = [reason.effect for reason in decision.reasons]
        assert effects == sorted(effects) and all(effect < 0 for effect in effects)
        for reason in decision.reasons:
            assert record[reason.field] == reason.value != reason.better
            assert reason.better == usual[reason.field]
            changed = model.score(record | {reason.field: reason.better})[0]
            assert changed.probability > decision.probability
    assert model.score(usual, reasons=True)[0].reasons == ()


def test_reasons_in_words(scorer):
    model = scorer("WoE Scorecard")
    usual = dict(zip(NAMES, (35, "male", 2, "own", "little", MOST, 2000, 12, "car")))
    model = replace(model, reference=usual | {"Checking account": None})
    poor = usual | {"Checking account": "little", "Duration": 36, "Age": 22}
    [decision] = model.score(poor, reasons=True)
    assert [reason.words for reason in decision.reasons] == [
        (
            "Checking account is little; 200 DM or more or salary account, as is usual among "
            "approved applicants, would score higher"
        ),
        (
            "Duration is 36 months; 12 months, as is usual among approved applicants, would score "
            "higher"
        ),
    ]  # Age, which lowers the score too, is protected: nobody is advised to be somebody else
    [other] = replace(model, reference=usual | {"Saving accounts": "rich"}).score(
        usual | {"Saving accounts": "little"}, reasons=True
    )
    assert other.reasons[0].words.startswith("Savings is little; rich, as is usual")
    gap = replace(model, reference=usual | {"Checking account": "little"})
    [better] = gap.score(usual, reasons=True)  # the most scores higher here, so nothing hurts
    assert better.reasons == ()


def test_the_reference_is_what_is_usual():
    rows = RAW.head(6).assign(Age=[20, 30, 40, 50, 99, 99])
    rows["Checking account"] = [None, None, "little", "rich", "rich", "rich"]
    rows["Housing"] = ["own", "free", "free", "own", "rent", "rent"]
    usual = reasons.reference(rows, np.array([1, 1, 1, 1, 0, 0]), CONTRACT)
    # Of 20, 30, 40, 50 the lower median; two gaps of four; own and free tie, free stands first.
    assert (usual["Age"], usual["Checking account"], usual["Housing"]) == (30, None, "free")
    assert not record_problems(usual, CONTRACT.taking_blanks())
    assert reasons.reference(rows, np.zeros(6), CONTRACT) is None


def test_importance_is_the_loss_of_area_by_dealing_out(scorer):
    model, rows, y = scorer("Soft-Voting Blend"), RAW.loc[TEST], Y[TEST]
    found = inspection.importance(model, rows, y, repeats=5).set_index("field")
    assert found.index[0] == "Checking account" and found.low.iloc[0] > 0
    assert ((found.low < found.loss) & (found.loss < found.high)).all()
    generator, whole = np.random.default_rng(7), roc_auc_score(y, model.probabilities(rows))
    losses = []
    for _ in range(5):  # Age comes first in the contract, so these are its draws
        dealt = rows.assign(Age=rows.Age.to_numpy()[generator.permutation(len(rows))])
        losses.append(whole - roc_auc_score(y, model.probabilities(dealt)))
    assert found.loss["Age"] == pytest.approx(np.mean(losses))


def test_dependence_sensitivity_and_edges(scorer):
    model, rows = scorer("Logistic Regression"), RAW.loc[TEST]
    checking = inspection.dependence(model, rows, "Checking account")
    assert checking.value.tolist() == ["little", "moderate", "rich", None]
    nobody = rows.assign(**{"Checking account": None})
    assert checking.probability.iloc[-1] == pytest.approx(model.probabilities(nobody).mean())
    duration = inspection.dependence(model, rows, "Duration")
    assert (duration.value.iloc[0], duration.value.iloc[-1]) == (1, 120)
    assert duration.probability.is_monotonic_decreasing and (duration.low < duration.high).all()

    steady = inspection.sensitivity(model, rows).set_index(["field", "change"])
    longer = rows.assign(Duration=[round(value * 1.1) for value in rows.Duration])
    before, after = model.probabilities(rows), model.probabilities(longer)
    row = steady.loc[("Duration", "+10%")]
    assert row.applicants == (longer.Duration != rows.Duration).sum()
    assert row.mean_change * row.applicants == pytest.approx((after - before).sum())
    turned = ((before >= 0.75) != (after >= 0.75)).sum()
    assert row.flipped * row.applicants == pytest.approx(turned)
    # Up from little and moderate; rich has no better level, a gap none beside it.
    movable = rows["Checking account"].isin(["little", "moderate"]).sum()
    assert steady.applicants[("Checking account", "+1 level")] == movable
    # As missing, all who stated it; that it is tried shows what a blank would be worth.
    stated = rows["Checking account"].notna()
    gone, whole = model.probabilities(nobody), model.probabilities(rows)
    turned = ((gone >= 0.75) != (whole >= 0.75))[stated]
    row = steady.loc[("Checking account", "missing")]
    assert row.applicants == stated.sum() and row.flipped == pytest.approx(turned.mean())
    assert not {"Sex", "Housing", "Purpose"} & set(steady.index.get_level_values(0))

    empty = blanks.blanks(model, rows, Y[TEST]).set_index("field")
    asked = ((whole < 0.75) & stated).to_numpy()
    assert empty.index.tolist() == ["Saving accounts", "Checking account", "all of these"]
    row, turned = empty.loc["Checking account"], asked & (gone >= 0.75)
    assert (row.declined, row.turned) == (asked.sum(), turned.sum()) and row.turned > 0
    assert row.bad == (np.asarray(Y[TEST])[turned] == 0).sum() > 0
    assert (row.turned_share, row.bad_share) == (row.turned / row.declined, row.bad / row.turned)
    assert (row.approved, row.approved_if_blank) == ((whole >= 0.75).mean(), (gone >= 0.75).mean())
    assert row.today == "refused; missing is stated as “200 DM or more or salary account”"
    assert empty.approved_if_blank["all of these"] > row.approved_if_blank

    ends = inspection.extrapolation(model, rows, RAW.loc[TRAIN]).set_index(["field", "limit"])
    end = ends.loc[("Duration", 120)]
    ninety = [model.probabilities(rows.assign(Duration=v)).mean() for v in (120, int(end.seen))]
    assert end.seen == RAW.Duration[TRAIN].max()
    assert end.mean_change == pytest.approx(ninety[0] - ninety[1]) and end.mean_change < -0.1
