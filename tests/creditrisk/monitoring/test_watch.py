"""A log judged: its months, its vintages, and the one verdict with cause and remedy."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from describedloans import field

from creditrisk.data.encoding import decode
from creditrisk.data.fields import SpecialCode
from creditrisk.monitoring import months, performance, records, verdict
from creditrisk.monitoring.performance import Calibrated
from creditrisk.monitoring.watch import (
    Baseline,
    first_months,
    known_until,
    prepared,
    recorded,
    watch,
)
from creditrisk.records.log_files import state_of
from creditrisk.reports.findings import monitoring as findings

ASIS = Calibrated(0.0, 1.0, 0.0)


def day(text):
    return pd.Timestamp(text, tz="UTC")


def frame(**columns):
    """Decisions with what every function asks for."""
    size = len(columns["time"])
    plain = {
        "time": pd.Series([day(each) for each in columns.pop("time")]),
        "model_version": ["1"] * size,
        "overridden": [False] * size,
        "outcome": [np.nan] * size,
        "known_since": pd.Series([pd.NaT] * size, dtype="datetime64[us, UTC]"),
        "shadow_probability": [np.nan] * size,
    }
    table = pd.DataFrame(plain | columns)
    table["approved"] = table.score >= 0.5
    return table.assign(final=table.approved, probability=table.score)


def test_a_vintage_by_hand():
    """Four approved of five: two outcomes, one of them bad; expected bad among these two .1 and .3.

    Their mean is .2, its variance (.1 * .9 + .3 * .7) / 4 = .075. The fifth is declined at .4.
    Cost: .1 + .3 + .2 + .2 of bad at 5 and .4 of good at 1, of five applicants.
    """
    decisions = frame(
        time=["2026-01-05"] * 5,
        score=[0.9, 0.7, 0.8, 0.8, 0.4],
        outcome=[1, 0, np.nan, np.nan, np.nan],
        known_since=pd.Series([day("2026-02-01"), day("2026-03-01"), None, None, None]),
    )
    line = months.timeline(decisions)
    assert line.names == ("2026-01", "2026-02", "2026-03")
    found = performance.by_vintage(decisions, line, ASIS, 0.5, 5, 1).loc["2026-01"]
    assert found.approved == 4 and found.known == 0.5 and found.bad_rate == 0.5
    assert (found.at_best, found.at_worst) == (0.25, 0.75)
    assert found.expected == pytest.approx(0.2)
    assert found.expected_high == pytest.approx(0.2 + 1.96 * 0.075**0.5)
    assert found.expected_cost == pytest.approx((5 * 0.8 + 0.4) / 5)
    curves = performance.vintage_curves(decisions, line, 0.5)
    assert curves.loc["2026-01"].tolist() == [0, 0, 0.25]  # one bad of four, after two months
    assert performance.as_expected(found.to_frame().T) == (1, 1)


def test_outcomes_after_the_last_month_are_not_known_yet():
    decisions = frame(
        time=["2026-01-05", "2026-02-05"],
        score=[0.9, 0.9],
        outcome=[1.0, 0.0],
        known_since=pd.Series([day("2026-02-20"), day("2026-04-01")]),
    )
    line = months.timeline(decisions, until_month="2026-02")
    assert known_until(decisions, line).outcome.tolist()[0] == 1
    assert np.isnan(known_until(decisions, line).outcome.tolist()[1])
    with pytest.raises(ValueError, match=r'until_month="may" is no month; write it as "2026-01"'):
        months.timeline(decisions, until_month="may")
    with pytest.raises(ValueError, match="from 2027-01 until 2026-04.*begin in 2026-01"):
        months.timeline(decisions, from_month="2027-01")


def test_volumes_and_refusals_by_hand():
    decisions = frame(time=["2026-01-05", "2026-01-06", "2026-03-05"], score=[0.9, 0.1, 0.7])
    decisions.loc[1, ["overridden", "final"]] = True
    rejected = pd.DataFrame({"time": [day("2026-02-03")] * 2, "reason": ["a: blank", "b: blank"]})
    line = months.timeline(decisions)
    table = months.volumes(decisions, rejected, line)
    assert table.decisions.tolist() == [2, 0, 1] and table.rejected.tolist() == [0, 2, 0]
    assert table.approved["2026-01"] == 0.5 and table.final["2026-01"] == 1.0
    assert "0 to 2 decisions a month" in findings.volumes(table)
    assert "67% of them, from 50% to 100%" in findings.volumes(table)
    reasons = months.rejections(rejected, line)
    assert reasons.loc["a: blank"].tolist() == [0, 1, 0]


class Constant:
    """A model that gives everybody the same probability."""

    def __init__(self, contract):
        self.contract = contract

    def probabilities(self, applications):
        return np.full(len(applications), 0.25)


def log_of(real, rows=40, seed=0, **columns):
    """Rows of the raw file as decisions."""
    contract, X, _ = real
    drawn = np.random.default_rng(seed).integers(0, len(X), rows)
    applications = decode(X.iloc[drawn].reset_index(drop=True), contract)
    return pd.concat([applications, frame(**columns)], axis=1)


def test_what_training_has_not_seen_is_counted():
    """Training knows 1 to 5 and the code -9, and no gap: of January's six 6, -1 and the gap are
    outside, 3 of 6; February's one is inside."""
    limit = field("number", name="limit", title="Limit", special=(SpecialCode(-9, "no card"),))
    times = ["2026-01-05"] * 6 + ["2026-02-05"]
    table = frame(time=times, score=[0.5] * 7, limit=[1, 5, -9, 6, -1, np.nan, 2])
    training = pd.DataFrame({"limit": [1, 5, -9.0]})
    found = months.outside_training(table, training, [limit], months.timeline(table))
    assert found["Limit"].tolist() == found["any"].tolist() == [0.5, 0]


def test_other_versions_decisions_are_scored_anew_unless_a_column_is_missing(real):
    contract = real[0]
    log = log_of(real, 3, time=["2026-01-05"] * 3, score=[0.9, 0.8, 0.7])
    log["outcome_time"], log["model_version"] = log.known_since, ["2", "1", "1"]
    quantity = contract.numbers[0].name
    log[quantity] = log[quantity].astype(float).where([True, True, False])
    assert prepared(log, Constant(contract), "2").score.tolist() == [0.9, 0.25, 0.7]
    assert quantity not in [field.name for field in recorded(log, contract).fields]


def judged(real, decisions, alpha=0.05, shadow_cutoff=None, seed=3):
    contract, X, _ = real
    score = np.random.default_rng(seed).uniform(0.3, 0.95, len(X))
    good = (np.random.default_rng([seed, 1]).random(len(X)) < score).astype(float)
    baseline = Baseline(decode(X, contract), good, score, 0.5, contract)
    line = months.timeline(decisions)
    found = watch(
        known_until(decisions, line),
        baseline,
        line,
        alpha,
        draws=500,
        seed=1,
        shadow_cutoff=shadow_cutoff,
    )
    return found, verdict.judge(found)


def months_of(real, count, n, bad=False, seed=0):
    """Months of decisions like the baseline's, each with outcomes at once; bad: half of the good
    ones turn."""
    generator = np.random.default_rng([seed, 5])
    time = [f"2026-{number + 1:02d}-10" for number in range(count) for _ in range(n)]
    score = generator.uniform(0.3, 0.95, count * n)
    good = generator.random(count * n) < score * (0.5 if bad else 1)
    columns = {"time": time, "score": score, "outcome": good.astype(float)}
    columns["known_since"] = pd.Series([day(each) for each in time])
    return log_of(real, count * n, seed, **columns)


def test_quiet_recalibrate_and_investigate(real):
    decisions = months_of(real, 3, 150)
    found, quiet = judged(real, decisions)
    assert quiet.level == "quiet" and quiet.record["exit_code"] == 0
    assert quiet.sentence == "Quiet: no limit is passed from 2026-01 to 2026-03."
    one = dataclasses.replace(quiet, months=("2026-01",))
    assert one.sentence == "Quiet: no limit is passed in 2026-01."
    assert "probability of 5.0%" in quiet.promise
    assert "In none of 3 months" in findings.relation(found)
    assert "None of 10 went beyond" in findings.drift(found)

    found, worse = judged(real, months_of(real, 3, 150, bad=True))
    assert worse.level == "act" and worse.alarms[0].action == "recalibrate"
    assert "more approved applicants go bad than expected" in worse.sentence
    assert "fewer good than expected" in findings.relation(found)

    field = max(real[0].categories, key=lambda field: len(field.levels))
    broken = decisions.copy()
    broken.loc[broken.time.dt.month == 3, field.name] = field.levels[0]
    found, fault = judged(real, broken)
    assert fault.record["exit_code"] == 4 and fault.alarms[0].action == "investigate data"
    assert f"Act: {field.title} jumped from one month to the next." in fault.sentence
    assert f"**{field.title}**, first in 2026-03" in findings.drift(found)
    table = findings.alarms(fault)
    assert table["first in"][0] == "2026-03" and "PSI" in table.evidence[0]


def test_a_slow_shift_is_looked_at_and_an_old_alarm_is_not_this_years(real):
    """The same change from the first month on is no jump between months but one from training."""
    field = max(real[0].categories, key=lambda field: len(field.levels))
    decisions = months_of(real, 12, 40)
    early = decisions.time.dt.month <= 3
    hit = early & (np.arange(len(decisions)) % 5 == 0)
    decisions.loc[hit, field.name] = field.levels[0]
    found, result = judged(real, decisions)
    assert result.level == "look" and result.alarms[0].action == "look at the mix"
    later = dataclasses.replace(found, months=months.Timeline((*found.months.names, "2027-01")))
    assert verdict.judge(later).level == "quiet"


def test_applicants_are_compared_with_the_first_months_if_training_was_of_others(real):
    """Everybody comes with one level that few of the training sample have, from the start."""
    contract, X, y = real
    field = max(contract.categories, key=lambda field: len(field.levels))
    decisions = months_of(real, 4, 100).assign(**{field.name: field.levels[0]})
    line = months.timeline(decisions)
    score = np.random.default_rng(0).uniform(0.3, 0.95, len(X))
    training = Baseline(decode(X, contract), y.to_numpy(), score, 0.5, contract)
    moved = dataclasses.replace(training, first_months=first_months(decisions, line, 2))
    for baseline, count in ((training, 1), (moved, 0)):
        found = watch(decisions, baseline, line, 0.05, draws=500, seed=1)
        assert found.drift.column[found.drift.alarm].isin([field.title]).any() == count
    assert len(moved.first_months[0]) == 200 and first_months(decisions, line, 0) is None


def test_a_better_challenger_is_to_be_promoted(real):
    decisions = months_of(real, 3, 150)
    decisions["shadow_probability"] = 0.1 + 0.8 * decisions.outcome  # it knows what will come
    found, result = judged(real, decisions, shadow_cutoff=0.5)
    assert result.alarms[0].action == "promote the challenger"
    assert found.challenger_alpha == pytest.approx(0.01)
    assert "better beyond doubt" in findings.shadow(found.comparison, 0.01)
    decisions["shadow_probability"] = decisions.score
    found, result = judged(real, decisions, shadow_cutoff=0.5)
    assert result.level == "quiet"
    assert "not shown to be better" in findings.shadow(found.comparison, 0.01)


def test_without_a_log_there_is_one_sentence_and_no_error(real, tmp_path):
    contract = real[0]
    log = records.read_if_any(tmp_path / "none", contract)
    everything = prepared(log.frame, Constant(contract), "1")
    found, result = judged(real, everything)
    line = found.months
    assert line.names == () and result.level == "quiet"
    assert performance.by_vintage(everything, line, ASIS, 0.5, 5, 1).empty
    assert performance.vintage_curves(everything, line, 0.5).empty
    assert months.volumes(everything, log.rejected, line).empty
    assert findings.headline(result, False, False) == (
        "There is no decision log, so that nothing can be judged yet; "
        "the report says what writes one."
    )
    assert findings.log(everything, "decisions", "1").startswith("There is no decision log")
    assert state_of(tmp_path) == ""


def test_the_state_of_a_log_follows_the_ends_of_its_chains(tmp_path):
    (tmp_path / "a.jsonl.head").write_text("1")
    first = state_of(tmp_path)
    (tmp_path / "a.jsonl.head").write_text("2")
    assert state_of(tmp_path) not in ("", first)
