"""How well other columns tell protected groups apart."""

import numpy as np
import pandas as pd
import pytest
from published import CONTRACT

from creditrisk.data.encoding import decode, encoder
from creditrisk.validation.fairness import proxies
from creditrisk.validation.fairness.proxies import proxy_columns, proxy_table


@pytest.fixture(autouse=True)
def few_shuffles(monkeypatch):
    """Each is as many fits as what it is compared with; two have a mean near a half."""
    monkeypatch.setattr(proxies, "SHUFFLES", 2)


def encoded(frame):
    return encoder(CONTRACT).transform(frame)


def planted(real, agreeing=0.8):
    """The German applicants, drawn anew by sex, whose housing tells it for most of them."""
    frame, generator = decode(real[1], real[0]), np.random.default_rng(4)
    sex = generator.choice(["female", "male"], len(frame), p=[0.4, 0.6])
    told = np.where(sex == "female", "rent", "own")
    own = generator.choice(["rent", "own"], len(frame))
    housing = np.where(generator.random(len(frame)) < agreeing, told, own)
    return frame.assign(Sex=pd.Series(sex).astype(frame.Sex.dtype), Housing=housing)


def test_a_planted_proxy_is_found_and_named(real):
    frame = planted(real)
    table = proxy_table(frame, encoded(frame), CONTRACT, ["Age", "Sex"], seed=7).set_index("column")
    by_sex = table.loc["Sex"]
    # Each sex has its own housing with .8 + .2 / 2, so that housing alone ranks by .9.
    assert by_sex.group == "female" and by_sex.low > 0.8 and by_sex.high < 0.95
    assert 0.4 < by_sex.shuffled < 0.6
    columns = proxy_columns(frame, CONTRACT, ["Age", "Sex"], seed=7)
    first = columns[columns.protected == "Sex"].iloc[0]
    assert first.column == "Housing" and abs(first.roc_auc - 0.9) < 0.03
    others = columns[(columns.protected == "Sex") & (columns.column != "Housing")]
    assert others.roc_auc.max() < 0.6 and set(others.column).isdisjoint({"Sex", "Age"})
    # A model that does not use the housing cannot read the sex from it.
    without = proxy_table(frame, encoded(frame), CONTRACT, ["Age", "Sex", "Housing"], seed=7)
    hidden = without.set_index("column").loc["Sex"]
    assert hidden.low < 0.5 and hidden.roc_auc < 0.6


def test_a_protected_column_is_no_predictor_of_another(real):
    """The young are all women, and nothing else tells them."""
    frame, generator = decode(real[1], real[0]), np.random.default_rng(4)
    age = generator.choice([20, 40], len(frame))
    sex = pd.Series(np.where(age == 20, "female", "male")).astype(frame.Sex.dtype)
    frame = frame.assign(Age=age, Sex=sex)
    table = proxy_table(frame, encoded(frame), CONTRACT, ["Age"], seed=7)
    assert len(table) == 2 and (table.low < 0.5).all() and (table.roc_auc < 0.6).all()


def test_groups_that_are_too_small_are_left_out(real):
    frame = decode(real[1], real[0]).iloc[:60].assign(Age=[20] * 19 + [40] * 41)
    table = proxy_table(frame, encoded(frame), CONTRACT, ["Age", "Sex"], seed=7)
    assert "Age" not in set(table.column)
    assert "Age" not in set(proxy_columns(frame, CONTRACT, ["Age", "Sex"], seed=7).protected)
