"""How far decisions depend on the draw of the training set."""

import numpy as np
import pandas as pd
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression

from creditrisk.modelling.refit_stability import refit_stability, stability_of

NAN = float("nan")


def test_stability_by_hand():
    # Three applicants in six refits. The first is approved by 4 of the 5 that left him out: 1/5
    # is against the majority, and a fifth counts as unsteady. The second by 6 of 6. The third was
    # left out of 4, fewer than five, and is not judged. Mean of 1/5 and 0: .1; 1 of 2 unsteady.
    scores = np.array(
        [
            [0.9, 0.8, 0.1],
            [0.9, 0.8, 0.9],
            [0.9, 0.8, 0.1],
            [0.9, 0.8, 0.9],
            [0.1, 0.8, NAN],
            [NAN, 0.8, NAN],
        ]
    )
    found = stability_of(scores, 0.5)
    assert (found.refits, found.judged) == (6, 2)
    assert found.turned == pytest.approx(0.1) and found.unsteady == 0.5
    # the first's range is from the 5% quantile, .1 + .2 * .8 = .26, to .9, the second's is 0;
    # the median of .64 and 0 is .32
    assert found.spread == pytest.approx(0.32)
    assert found.figures["judged"] == 2
    assert stability_of(scores[:4], 0.5) is None


def test_a_model_that_knows_nothing_is_steady_and_one_that_guesses_is_not():
    generator = np.random.default_rng(1)
    X = pd.DataFrame({"a": generator.normal(size=60), "b": generator.normal(size=60)})
    y = pd.Series(np.repeat([0, 1], 30))
    how = {"refits": 30, "seed": 7, "workers": 1}
    same = refit_stability(DummyClassifier(strategy="prior"), X, y, 0.5, **how)
    assert same.turned == same.unsteady == same.spread == 0  # the draws keep good and bad
    noise = refit_stability(LogisticRegression(), X, y, 0.5, **how)
    assert noise.turned > 0.1 and noise.unsteady > 0.3
    assert noise == refit_stability(LogisticRegression(), X, y, 0.5, **how)
    assert refit_stability(LogisticRegression(), X, y, 0.5, refits=0, seed=7) is None
