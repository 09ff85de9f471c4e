"""Protected columns stay out of the models unless one is brought in, and what that costs."""

import numpy as np
import pandas as pd
import pytest
from published import CONTRACT

from creditrisk.data.contract import ContractError
from creditrisk.data.encoding import encoder
from creditrisk.metrics.intervals import Interval
from creditrisk.modelling.refits import Plan, cost_of_leaving_out


@pytest.mark.parametrize(
    ("exclude", "use", "left_out"),
    [
        ([], [], ["Age", "Sex"]),
        (["Job"], [], ["Age", "Sex", "Job"]),
        (["Sex"], [], ["Age", "Sex"]),
        ([], ["Age"], ["Sex"]),
        (["Purpose"], ["Sex", "Age"], ["Purpose"]),
    ],
)
def test_protected_columns_are_left_out_unless_brought_in(exclude, use, left_out):
    assert CONTRACT.left_out(exclude, use) == left_out


@pytest.mark.parametrize(
    ("exclude", "use", "problem"),
    [
        ([], ["Job"], "'Job' is no protected column"),
        ([], ["sex"], "'sex' is no protected column; did you mean 'Sex'?"),
        (["Sex"], ["Sex"], "'Sex' is also to be left out"),
        (["Jobs"], [], "'Jobs' is no column of an application"),
        ([field.name for field in CONTRACT.fields], [], "no column would be left"),
    ],
)
def test_a_name_that_cannot_be_meant_is_refused(exclude, use, problem):
    with pytest.raises(ContractError, match="Remedy: choose from") as refused:
        CONTRACT.left_out(exclude, use)
    assert problem in str(refused.value)


def applications(n: int) -> tuple[pd.DataFrame, pd.Series]:
    """Applications in which one protected column decides nearly everything, and no other does."""
    generator = np.random.default_rng(5)
    sex = generator.choice(["female", "male"], n)
    raw = pd.DataFrame(
        {
            field.name: generator.choice(np.array(field.levels, dtype=object), n)
            if field.levels
            else generator.integers(field.minimum, field.maximum, n, endpoint=True)
            for field in CONTRACT.fields
        }
    ).assign(Sex=sex)
    good = (sex == "male") ^ (generator.random(n) < 0.1)
    return encoder(CONTRACT).transform(raw), pd.Series(good.astype(int))


@pytest.mark.parametrize("use", [[], ["Sex", "Age"]])
def test_what_a_column_is_worth_is_found_from_both_sides(use):
    """The same model is fitted with the column and without, whichever of the two is the plan."""
    X, y = applications(300)
    plan = Plan(CONTRACT, 3, 1, 7, CONTRACT.left_out([], use), 0)
    models = [model for model in plan.models() if model.name == "Logistic Regression"]
    by_fold = plan.run(models, X, y).fold_measures()
    found = cost_of_leaving_out(plan, "Logistic Regression", by_fold, X, y)
    assert list(found) == ["Sex", "Sex and Age"]  # categories first
    gap = found["Sex"]
    # nine in ten follow sex, so with it the ROC-AUC is about .9, without it about .5
    assert isinstance(gap, Interval) and -0.5 < gap.estimate < -0.3 and gap.high < 0
