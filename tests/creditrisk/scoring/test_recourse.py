"""What would turn a decline: nothing smaller, nothing that the contract forbids, and it holds."""

from dataclasses import replace
from itertools import combinations, product

import numpy as np
import pytest
from describedloans import field
from drawncontracts import drawn_applications, drawn_contract
from published import CONTRACT, RAW_FILE, trained

from creditrisk.data.applications.domain import domain
from creditrisk.data.applications.frame_codes import frame_codes
from creditrisk.data.encoding import encoder
from creditrisk.data.fields import SpecialCode
from creditrisk.data.quantities import ranges
from creditrisk.data.raw_files.reading import read_raw
from creditrisk.modelling import candidates
from creditrisk.scoring.fast_path import make_scorer
from creditrisk.scoring.reasons import find_reasons
from creditrisk.scoring.recourse import _all_options, find_recourse

RAW = read_raw(RAW_FILE, CONTRACT)[[each.name for each in CONTRACT.fields]]


def small(*fields):
    """The domain of a contract of such fields alone."""
    return domain(replace(CONTRACT, fields=fields))


def weighted(*weights):
    """Probabilities that are a sum over the fields' codes."""
    return lambda codes: np.asarray(codes) @ np.array(weights, float)


AMOUNT = field("integer", name="amount", title="Amount", required=True, direction="riskier")
JOB = field("string", name="job", title="Job", required=True, levels=("a", "b"))
RANK = field("string", name="rank", required=True, levels=("low", "mid", "high"), ordered=True)
KNOWN = {"amount": (0.0, 40.0)}


def test_by_hand():
    """.01 a unit less of amount, .2 for job b; from .30, 0 to .50 is needed.

    From amount 30 and job a (.7 - .30 = .40): amount 20 gives .50, a quarter of the range; job b
    alone gives .60 with effort 1. So both are answers of one column, amount 20 first.
    """
    found = find_recourse(
        np.array([30.0, 0]),
        0.5 - 1e-9,
        small(AMOUNT, JOB),
        lambda codes: 0.7 + weighted(-0.01, 0.2)(codes),
        None,
        KNOWN,
    )
    assert [[(each.field, each.to) for each in one.changes] for one in found] == [
        [("amount", 20)],
        [("job", "b")],
    ]
    assert [one.effort for one in found] == [0.25, 1]
    assert found[0].words == "approved with Amount 20 instead of 30"
    assert found[0].probability == pytest.approx(0.5)


def test_two_columns_only_if_one_does_not_do_and_none_is_an_answer():
    """To .845: amount 0 gives .70, job b .60, both .90; amount 5 with job b .85, 6 with it .84."""
    one = np.array([30.0, 0])
    many = lambda codes: 0.7 + weighted(-0.01, 0.2)(codes)
    (found,) = find_recourse(one, 0.845, small(AMOUNT, JOB), many, None, KNOWN)
    assert [(each.field, each.to) for each in found.changes] == [("amount", 5), ("job", "b")]
    assert found.effort == pytest.approx(25 / 40 + 1)
    assert find_recourse(one, 0.95, small(AMOUNT, JOB), many, None, KNOWN) == ()


def test_what_the_contract_forbids_is_not_advised():
    one, many = np.array([30.0, 0]), lambda codes: 0.7 + weighted(-0.01, 0.2)(codes)
    for fixed in ({"immutable": True}, {"protected": True}):
        (found,) = find_recourse(one, 0.5, small(replace(AMOUNT, **fixed), JOB), many, None, KNOWN)
        assert found.changes[0].field == "job"
    safer = replace(AMOUNT, direction="safer")  # then nobody is told to ask for less
    (found,) = find_recourse(one, 0.5, small(safer, JOB), many, None, KNOWN)
    assert found.changes[0].field == "job"
    blank = np.array([True, False])  # what was not given is not changed
    (found,) = find_recourse(one, 0.5, small(AMOUNT, JOB), many, None, KNOWN, blank)
    assert found.changes[0].field == "job"
    # neither from a code nor to one, nor beyond what training knows
    coded = replace(AMOUNT, special=(SpecialCode(0, "none"),))
    assert not find_recourse(np.array([0.0]), 0.9, small(coded), lambda c: -c[:, 0], None, KNOWN)
    (found,) = find_recourse(np.array([3.0]), 0, small(coded), lambda c: 1.5 - c[:, 0], None, KNOWN)
    assert found.changes[0].to == 1
    # an ordered level moves by steps: mid is half the way
    (found,) = find_recourse(np.array([0.0]), 1, small(RANK), lambda c: c[:, 0], None, {})
    assert (found.changes[0].to, found.effort) == ("mid", 0.5)
    down = replace(RANK, direction="riskier")
    assert not find_recourse(np.array([0.0]), 1, small(down), lambda c: c[:, 0], None, {})


def few_trees(estimator):
    names = [name for name in estimator.get_params() if name.endswith("n_estimators")]
    return estimator.set_params(**dict.fromkeys(names, 20))


def brute_force(scorer, codes):
    """The least effort by number of columns, all mixtures scored; None if there is none."""
    options = _all_options(codes, scorer.domain, scorer.ranges, None)
    for count in (1, 2, 3):
        best = None
        for chosen in combinations(options, count):
            mixtures = np.array(list(product(*(each.codes for each in chosen))))
            efforts = [sum(each) for each in product(*(each.efforts for each in chosen))]
            rows = np.tile(codes, (len(mixtures), 1))
            rows[:, [each.number for each in chosen]] = mixtures
            reached = scorer.from_codes(rows) >= scorer.cutoff
            if reached.any():
                least = float(np.array(efforts)[reached].min())
                best = least if best is None else min(best, least)
        if best is not None:
            return count, best
    return None


@pytest.mark.parametrize("name", ["WoE Scorecard", "Random Forest", "Soft-Voting Blend"])
def test_there_is_nothing_smaller(name):
    """Against all mixtures of a thinned grid: quantities with a narrow range have few values."""
    estimator = few_trees(candidates.estimator(name, CONTRACT, 7))
    known = {"Age": [20, 60], "Credit amount": [1000, 1012], "Duration": [20, 30]}
    scorer = make_scorer(trained(estimator), CONTRACT, ranges=known)
    codes = frame_codes(RAW, scorer._source)
    declined = codes[scorer.from_codes(codes) < scorer.cutoff]
    assert len(declined) > 100
    counts = set()
    for one in declined[:: len(declined) // 15]:
        found, expected = scorer.recourse(one), brute_force(scorer, one)
        counts.add(expected and expected[0])
        if expected is None:
            assert found == ()
            continue
        assert (len(found[0].changes), found[0].effort) == (expected[0], pytest.approx(expected[1]))
        for each in found:
            assert each.probability >= scorer.cutoff
        assert len({tuple(c.field for c in each.changes) for each in found}) == len(found)
    assert len(counts) > 1


@pytest.mark.parametrize("seed", range(3))
def test_on_any_contract_what_is_advised_is_allowed_and_turns_the_decision(seed):
    random = np.random.default_rng(seed)
    contract = drawn_contract(random)
    raw = drawn_applications(contract, 300, random)
    X = encoder(contract).transform(raw)
    rank = X.iloc[:, 0].rank(pct=True).fillna(0.2)
    y = (rank + random.normal(0, 0.3, len(X)) > rank.median()).astype(int)
    estimator = few_trees(candidates.estimator("Random Forest", contract, 1))
    model = candidates.decision_model(encoder(contract), estimator, 0.6)
    model["decide"].fit(X, y)
    scorer = make_scorer(model, contract, ranges=ranges(raw, contract)).taking_blanks()
    codes = frame_codes(raw, scorer.domain)
    declined = codes[scorer.from_codes(codes) < scorer.cutoff][:25]
    turned = 0
    for one in declined:
        for found in scorer.recourse(one):
            turned += 1
            changed = one.copy()
            for change in found.changes:
                number = [each.name for each in contract.fields].index(change.field)
                column = contract.fields[number]
                assert not column.immutable and not column.protected
                assert change.to is not None and change.to != column.unlisted
                value = column.number_of(change.to) if column.is_dated else change.to
                levels = column.levels
                code = float(value if levels is None else levels.index(value))
                if levels is None:
                    low, high = scorer.ranges[column.name]
                    assert low <= code <= high and code not in column.special_values
                if column.direction:
                    assert (code > one[number]) == (column.direction == "safer")
                changed[number] = code
            assert scorer.from_codes(changed[None])[0] == found.probability >= scorer.cutoff
    assert turned


def test_a_reason_never_advises_the_riskier_side_nor_what_cannot_be_chosen():
    """Both columns hold the score down; less of a safer one would score higher, says the model."""
    effects = np.array([[-1.0, -0.5], [1.0, 0.5]])
    one, typical = np.array([30.0, 0]), np.array([10.0, 1])
    allowed = small(replace(AMOUNT, direction="safer"), JOB)
    (reason,) = find_reasons(one, typical, allowed, effects)
    assert reason.field == "job"
    first, _ = find_reasons(one, typical, small(replace(AMOUNT, immutable=True), JOB), effects)
    assert first.words == (
        "Amount is 30; 10, as is usual among approved applicants, scores higher, but cannot be "
        "chosen"
    )


def test_a_value_that_training_has_not_seen_is_told():
    scorer = make_scorer(
        trained(candidates.estimator("Logistic Regression", CONTRACT, 7)),
        CONTRACT,
        ranges={"Duration": [4, 60], "Age": [19, 75]},
    ).taking_blanks()
    rows = RAW.head(3).assign(Duration=[72, 60, 4], Age=[20, 19, 76])
    assert [each.outside for each in scorer.score(rows)] == [("Duration",), (), ("Age",)]
