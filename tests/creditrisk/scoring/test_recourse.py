"""What would turn a decline: nothing smaller, nothing that the contract forbids, and it holds."""

from dataclasses import replace
from itertools import combinations, product

import numpy as np
import pytest
from describedloans import field
from drawncontracts import drawn_applications, drawn_contract
from published import CONTRACT, RAW_FILE, few_trees, trained

from creditrisk.data.applications.domain import domain
from creditrisk.data.applications.frame_codes import frame_codes
from creditrisk.data.encoding import encoder
from creditrisk.data.fields import SpecialCode
from creditrisk.data.quantities import ranges
from creditrisk.data.raw_files.reading import read_raw
from creditrisk.modelling import candidates
from creditrisk.scoring.fast_path import make_scorer
from creditrisk.scoring.reasons import find_reasons
from creditrisk.scoring.recourse import answers, search

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
KNOWN = {"amount": (10.0, 30.0)}


def find(codes, cutoff, allowed, many, ranges, fixed=None):
    """The answers of a model without tables; the search came to its end."""
    finder = answers.RecourseFinder(allowed, cutoff, many, None, ranges)
    found = finder.find(np.array(codes, float), fixed)
    assert found.complete
    return found.smallest


def test_by_hand():
    """.01 a unit less of amount, .2 for job b; .50 is needed.

    From amount 30 and job a (.7 - .30 = .40): amount 20 gives .50, half of the range; job b alone
    gives .60 with effort 1. So both are answers of one column, amount 20 first.
    """
    many = lambda codes: 0.7 + weighted(-0.01, 0.2)(codes)
    found = find([30, 0], 0.5 - 1e-9, small(AMOUNT, JOB), many, KNOWN)
    assert [[(each.field, each.to) for each in one.changes] for one in found] == [
        [("amount", 20)],
        [("job", "b")],
    ]
    assert [one.effort for one in found] == [0.5, 1]
    assert found[0].words == "approved with Amount 20 instead of 30"
    assert found[0].probability == pytest.approx(0.5)


def test_two_columns_only_if_one_does_not_do_and_none_is_an_answer():
    """To .745: amount 10 or job b give .60, both .80; amount 15 with job b .75, 16 with it .74."""
    one = [30, 0]
    many = lambda codes: 0.7 + weighted(-0.01, 0.2)(codes)
    (found,) = find(one, 0.745, small(AMOUNT, JOB), many, KNOWN)
    assert [(each.field, each.to) for each in found.changes] == [("amount", 15), ("job", "b")]
    assert found.effort == pytest.approx(15 / 20 + 1)
    assert find(one, 0.85, small(AMOUNT, JOB), many, KNOWN) == ()


def test_what_the_contract_forbids_is_not_advised():
    one, many = [30, 0], lambda codes: 0.7 + weighted(-0.01, 0.2)(codes)
    for fixed in ({"immutable": True}, {"protected": True}):
        (found,) = find(one, 0.5, small(replace(AMOUNT, **fixed), JOB), many, KNOWN)
        assert found.changes[0].field == "job"
    safer = replace(AMOUNT, direction="safer")  # then nobody is told to ask for less
    (found,) = find(one, 0.5, small(safer, JOB), many, KNOWN)
    assert found.changes[0].field == "job"
    blank = np.array([True, False])  # what was not given is not changed
    (found,) = find(one, 0.5, small(AMOUNT, JOB), many, KNOWN, blank)
    assert found.changes[0].field == "job"
    # neither from a code nor to one, nor beyond what training knows
    coded, known = replace(AMOUNT, special=(SpecialCode(0, "none"),)), {"amount": (0.0, 20.0)}
    assert not find([0], 0.9, small(coded), lambda c: -c[:, 0], known)
    (found,) = find([3], 0, small(coded), lambda c: 1.5 - c[:, 0], known)
    assert found.changes[0].to == 1
    # an ordered level moves by steps: mid is half the way
    (found,) = find([0], 1, small(RANK), lambda c: c[:, 0], {})
    assert (found.changes[0].to, found.effort) == ("mid", 0.5)
    down = replace(RANK, direction="riskier")
    assert not find([0], 1, small(down), lambda c: c[:, 0], {})


def values_and_efforts(field, code, ranges):
    """All values that a column may change to, and the effort of each, from the contract alone."""
    if field.immutable or field.protected:
        return None
    if field.levels is None:
        low, high = ranges[field.name]
        values = np.arange(low, high + 1)
        efforts = np.abs(values - code) / (high - low)
    else:
        values = np.arange(len(field.levels))
        efforts = (
            np.abs(values - code) / (len(values) - 1) if field.ordered else np.ones(len(values))
        )
    sign = {None: 0, "safer": 1, "riskier": -1}[field.direction]
    keep = (values != code) & ((values - code) * sign >= 0)
    known = field.levels is None or code < len(field.levels)
    return (values[keep], efforts[keep]) if known and keep.any() else None


def brute_force(scorer, codes, most):
    """The least effort by number of columns, all mixtures scored; None if there is none."""
    fields = scorer.contract.fields
    found = [values_and_efforts(*each, scorer.ranges) for each in zip(fields, codes)]
    choices = {number: each for number, each in enumerate(found) if each is not None}
    for count in range(1, most + 1):
        best = np.inf
        for numbers in combinations(choices, count):
            mixtures = np.array(list(product(*(choices[number][0] for number in numbers))))
            efforts = np.sum(list(product(*(choices[number][1] for number in numbers))), axis=1)
            rows = np.tile(codes, (len(mixtures), 1))
            rows[:, numbers] = mixtures
            reached = scorer.from_codes(rows) >= scorer.cutoff
            best = min(best, efforts[reached].min(initial=np.inf))
        if best < np.inf:
            return count, pytest.approx(best, abs=1e-12)
    return None


@pytest.mark.parametrize(
    "name", ["Logistic Regression", "WoE Scorecard", "Random Forest", "Soft-Voting Blend"]
)
def test_there_is_nothing_smaller(name):
    """Against all mixtures of all whole numbers; ranges are narrow, so that they can be scored."""
    estimator = few_trees(candidates.estimator(name, CONTRACT, 7))
    known = {"Age": [20, 60], "Credit amount": [2400, 2530], "Duration": [20, 26]}
    scorer = make_scorer(trained(estimator), CONTRACT, ranges=known)
    codes = frame_codes(RAW, scorer._source)
    declined = codes[scorer.from_codes(codes) < scorer.cutoff]
    assert len(declined) > 100
    counts = set()
    for one in declined[:: len(declined) // 12]:
        found, expected = scorer.recourse(one), brute_force(scorer, one, 3)
        counts.add(expected and expected[0])
        smallest = found.smallest
        assert found.complete and len(smallest) <= 3
        if expected is None:
            assert smallest == ()
            continue
        assert (len(smallest[0].changes), smallest[0].effort) == expected
        assert all(each.probability >= scorer.cutoff for each in smallest)
        assert len({tuple(c.field for c in each.changes) for each in smallest}) == len(smallest)
    assert len(counts) > 1


def test_a_search_that_would_take_too_long_ends_and_says_so(monkeypatch):
    """Three quantities of 39 other values each and a model that approves nobody.

    Mixtures: 117 of one column, 3 * 1,521 = 4,563 of two, 59,319 of three. At most 50,000 are
    scored, less the work for boxes.
    """
    scored = []

    def nobody(codes):
        scored.append(len(codes))
        return np.zeros(len(codes))

    fields = [replace(AMOUNT, name=name, direction=None) for name in "abc"]
    known = dict.fromkeys("abc", (0.0, 39.0))
    finder = answers.RecourseFinder(small(*fields), 0.5, nobody, None, known)
    found = finder.find(np.array([20.0, 20, 20]))
    assert (found.smallest, found.complete) == ((), False)
    assert 40_000 < sum(scored) <= 50_000 + search.ROWS
    # what was found before the end is given, and holds
    monkeypatch.setattr(answers, "MOST_WORK", 12_000)
    sooner = replace(finder, many=lambda codes: 0.5 * (codes[:, 0] < 20))
    found = sooner.find(np.array([20.0, 20, 20]))
    assert [each.to for one in found.smallest for each in one.changes] == [19]
    assert not found.complete


def changed(one, recourse, scorer):
    """An application with the changes of a recourse, each of which the contract must allow."""
    changed = one.copy()
    for change in recourse.changes:
        number = [each.name for each in scorer.contract.fields].index(change.field)
        column = scorer.contract.fields[number]
        assert not column.immutable and not column.protected
        assert change.to is not None and change.to != column.unlisted
        value = column.number_of(change.to) if column.is_dated else change.to
        levels = column.levels
        code = float(value if levels is None else levels.index(value))
        if levels is None:
            low, high = scorer.ranges[column.name]
            assert low <= code <= high and code not in column.special_values
            assert not column.whole or code == int(code)
        if column.direction:
            assert (code > one[number]) == (column.direction == "safer")
        changed[number] = code
    return changed


def drawn_values(field, code, ranges, random):
    """Random values to which a quantity may change, as they are stated, and their efforts."""
    low, high = ranges[field.name]
    step = 10.0 ** np.floor(np.log10((high - low) / 10_000))  # 10,000 steps of it at least
    step = max(step, 1.0) if field.whole else step
    steps = random.integers(np.ceil(low / step), np.floor(high / step), 1000, endpoint=True)
    values = np.unique([float(f"{each:.12g}") for each in steps * step])
    values = values[(values != code) & ~np.isin(values, field.special_values)]
    return values, np.abs(values - code) / (high - low)


@pytest.mark.parametrize(
    "name", ["Random Forest", "Spline Logistic Regression", "Soft-Voting Blend"]
)
def test_on_any_contract_it_is_allowed_turns_the_decision_and_no_drawn_value_is_nearer(name):
    random = np.random.default_rng(len(name))
    contract = drawn_contract(random)
    raw = drawn_applications(contract, 300, random)
    X = encoder(contract).transform(raw)
    rank = X.iloc[:, 0].rank(pct=True).fillna(0.2)
    y = (rank + random.normal(0, 0.3, len(X)) > rank.median()).astype(int)
    estimator = few_trees(candidates.estimator(name, contract, 1))
    model = candidates.decision_model(encoder(contract), estimator, 0.6)
    model["decide"].fit(X, y)
    scorer = make_scorer(model, contract, ranges=ranges(raw, contract)).taking_blanks()
    codes = frame_codes(raw, scorer.domain)
    declined = codes[scorer.from_codes(codes) < scorer.cutoff][:25]
    turned = nearer = 0
    for one in declined:
        found = scorer.recourse(one).smallest
        for each in found:
            turned += 1
            after = changed(one, each, scorer)
            assert scorer.from_codes(after[None])[0] == each.probability >= scorer.cutoff
        least = found[0].effort if found and len(found[0].changes) == 1 else np.inf
        for number, column in enumerate(contract.fields):
            if column.levels is None and one[number] not in scorer.domain.states(number):
                values, efforts = drawn_values(column, one[number], scorer.ranges, random)
                rows = np.tile(one, (len(values), 1))
                rows[:, number] = values
                approved = scorer.from_codes(rows) >= scorer.cutoff
                nearer += approved.sum()
                assert efforts[approved].min(initial=np.inf) >= least - 1e-12
    assert turned and nearer


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
