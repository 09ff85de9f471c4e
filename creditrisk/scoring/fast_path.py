"""The scorer of a fitted pipeline; its tables are used if they answer like scikit-learn."""

import logging
from dataclasses import dataclass, replace

import numpy as np
from sklearn.pipeline import Pipeline

from creditrisk.data.applications.domain import Domain, domain
from creditrisk.data.applications.record_checks import record_problems
from creditrisk.data.contract import Contract
from creditrisk.data.encoding import matrix_columns
from creditrisk.data.fields import Value
from creditrisk.modelling.columns import NotTabulated, probes
from creditrisk.scoring.lookup_tables import Forest, LookupTables
from creditrisk.scoring.scorer import ModelRefused, Scorer, good_probability
from creditrisk.scoring.tabulation import tabulate

#: Largest distance of a table's answer from scikit-learn's, a rounding; 0 for forests.
BOUND = 1e-12

_log = logging.getLogger(__name__)


def make_scorer(
    pipeline: Pipeline,
    contract: Contract,
    name: str = "",
    sha256: str = "",
    reference: dict[str, Value] | None = None,
    ranges: dict[str, list[float]] | None = None,
) -> Scorer:
    """A scorer of a fitted pipeline, with lookup tables if they give the pipeline's answers.

    Parameters
    ----------
    pipeline
        As :func:`creditrisk.modelling.candidates.decision_model` makes it, fitted.
    name, sha256
        Of the model, as :class:`~creditrisk.scoring.scorer.Scorer` shows them.
    reference
        The application that reasons compare with, see :func:`creditrisk.scoring.reasons.reference`.
    ranges
        Of the quantities in training, by column: the lowest and the highest value.

    Raises
    ------
    ModelRefused
        If the pipeline is of another kind or was made for another contract.
    """
    if reference is not None and record_problems(reference, contract.taking_blanks()):
        raise ModelRefused("the contract does not allow the model's reference application")
    try:
        encode, decide = pipeline.named_steps["encode"], pipeline.named_steps["decide"]
        columns, cutoff = list(encode.get_feature_names_out()), float(decide.threshold)
    except (AttributeError, KeyError, TypeError) as error:
        raise ModelRefused("the file holds no encoder followed by a decision") from error
    if columns != matrix_columns(contract) or columns != list(decide.feature_names_in_):
        raise ModelRefused("the model's columns are not those of its contract")
    allowed = domain(contract)
    known = {name: (float(low), float(high)) for name, (low, high) in (ranges or {}).items()}
    scorer = Scorer(
        name, None, None, sha256, cutoff, contract, pipeline, allowed, None, reference, known
    )
    fast = scorer
    try:
        fast = replace(scorer, tables=tabulate(decide.estimator_, allowed))
    except NotTabulated as reason:
        _log.info("The fast path is not used, scikit-learn answers: %s.", reason)
    expected = _pipeline_answers(fast)
    if fault := _difference(scorer, expected):
        raise ModelRefused(f"the model reads applications otherwise than its contract: {fault}")
    if fault := _difference(fast, expected):
        _log.warning("THE FAST PATH IS REFUSED, scikit-learn answers: %s.", fault)
        return scorer
    return fast


def golden_codes(
    allowed: Domain, tables: LookupTables | None = None, draws: int = 300, seed: int = 7
) -> np.ndarray:
    """Applications that cover the contract: every level and state, quantities far and near.

    Parameters
    ----------
    tables
        Of a model; then the values on both sides of its cuts are among them.
    draws
        Number of random applications, and of cuts.

    Returns
    -------
    ndarray of float, shape (n, fields)
        Their codes.
    """
    random = np.random.default_rng(seed)
    by_field = []
    for number, field in enumerate(allowed.contract.fields):
        values = np.array(allowed.states(number))
        if field.levels is None:
            values = np.append(values, _quantities(allowed, number, tables, draws, random))
        by_field.append(values)
    rows = max(draws, *map(len, by_field))
    # Each value once, in random company.
    drawn = [
        random.permutation(np.append(values, random.choice(values, rows - len(values))))
        for values in by_field
    ]
    return np.column_stack(drawn)


def _quantities(
    allowed: Domain,
    number: int,
    tables: LookupTables | None,
    draws: int,
    random: np.random.Generator,
) -> np.ndarray:
    """Values of a quantity: the ends of its range, random ones, and those beside some cuts."""
    field = allowed.contract.fields[number]
    ends = probes(field)
    known = tables.cuts(number) if tables is not None else np.empty(0)
    if len(known) > draws:
        known = random.choice(known, draws, replace=False)
    low, high = (known.min(), known.max()) if len(known) else (ends[0], ends[-1])
    drawn = random.uniform(low, high, draws)
    beside = [known, np.floor(known) + 1 if field.whole else np.nextafter(known, np.inf)]
    values = np.concatenate([ends, drawn, *beside])
    values = np.unique(np.floor(values) if field.whole else values)
    return np.array([value for value in values.tolist() if field.takes(value)])


@dataclass(frozen=True)
class _Answers:
    """The golden applications and scikit-learn's answers to them."""

    golden: np.ndarray  # codes, (n, fields)
    expected: np.ndarray  # probability of a good risk, (n,)
    approved: np.ndarray  # bool, (n,)


def _pipeline_answers(scorer: Scorer) -> _Answers:
    golden = golden_codes(scorer.domain, scorer.tables)
    frame = scorer.domain.frame(golden)
    expected = good_probability(scorer.pipeline, frame)
    return _Answers(golden, expected, scorer.pipeline.predict(frame) == 1)


def _difference(scorer: Scorer, reference: _Answers) -> str | None:
    """How a scorer's answers to the golden applications differ from its pipeline's, if they do."""
    golden = reference.golden
    answers, bound = {"together": scorer.from_codes(golden)}, BOUND
    if scorer.tables is not None:
        one_by_one = [scorer.tables.one(codes) for codes in golden.tolist()]
        answers["one by one"] = np.array(one_by_one)
        if all(type(member) is Forest for member in scorer.tables.members):
            bound = 0.0
    for way, found in answers.items():
        apart = np.abs(found - reference.expected).max()
        if not apart <= bound:
            return f"asked {way}, it is off by up to {apart:.1e}"
        if ((found >= scorer.cutoff) != reference.approved).any():
            return f"asked {way}, it decides differently"
    return None
