"""Simulated decisions: the real scorer's, reproducible, and changed only as the story says."""

import numpy as np
import pandas as pd
import pytest
from published import CONTRACT, RAW_FILE, publish
from sklearn.metrics import roc_auc_score

from creditrisk import cli
from creditrisk.data.applications.frame_codes import as_stated
from creditrisk.data.raw_files.reading import read_raw
from creditrisk.monitoring.population import Population
from creditrisk.monitoring.records import read_decisions
from creditrisk.monitoring.simulated_log import NotWritten, write_simulation
from creditrisk.monitoring.simulation import SHIFTS, simulate
from creditrisk.scoring.sources.loading import load_scorer
from creditrisk.serving.replay import replay

FIELDS = [field.name for field in CONTRACT.fields]


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> tuple[Population, str]:
    names = {1: "WoE Scorecard", 2: "Logistic Regression"}
    folders = [
        publish(tmp_path_factory.mktemp("model") / name, name, number)
        for number, name in names.items()
    ]
    scorer, shadow = (load_scorer(folder) for folder in folders)
    made = Population.of(scorer, read_raw(RAW_FILE, CONTRACT), CONTRACT, shadow)
    return made, str(folders[0])


@pytest.fixture
def population(models) -> Population:
    return models[0]


@pytest.fixture
def folder(models) -> str:
    return models[1]


def drawn(population, shift="none", **more) -> pd.DataFrame:
    arguments = {"months": 24, "per_month": 500, "seed": 3, "outcomes": "all", "maturity": 0}
    return simulate(population, shift=shift, **arguments | more)


def test_the_real_scorers_decide_and_the_seed_repeats_all(population):
    frame = drawn(population, per_month=20)
    pd.testing.assert_frame_equal(frame, drawn(population, per_month=20))
    assert not frame.equals(drawn(population, per_month=20, seed=4))
    for model, column in (
        (population.scorer, "probability"),
        (population.shadow, "shadow_probability"),
    ):
        decisions = model.score(as_stated(frame[FIELDS], CONTRACT))
        answers = [each.probability for each in decisions]
        np.testing.assert_allclose(frame[column], answers, atol=1e-15)
    assert (frame["approved"] == (frame["probability"] >= population.scorer.cutoff)).all()
    assert (frame["model_version"] == "1").all() and (frame["shadow_version"] == "2").all()
    assert frame["simulated"].all() and frame["id"].is_unique
    assert frame["time"].is_monotonic_increasing
    months = frame["time"].dt.strftime("%Y-%m").value_counts()
    assert len(months) == 24 and (months == 20).all()
    assert min(months.index) == "2024-01" and max(months.index) == "2025-12"


def test_outcomes_mature_and_only_the_approved_have_one(population):
    frame = drawn(population, months=14, outcomes="approved", maturity=12)
    # Of fourteen months the first two are a year old at the end.
    old = frame["time"] < pd.Timestamp("2024-03-01", tz="UTC")
    assert (frame["outcome"].notna() == (old & frame["approved"])).all()
    known = frame[frame["outcome"].notna()]
    later = known["outcome_time"] - known["time"]
    assert later.min() > pd.Timedelta(days=360) and later.max() < pd.Timedelta(days=372)
    assert (frame["outcome_time"].notna() == frame["outcome"].notna()).all()
    everybody = drawn(population, months=14, outcomes="all", maturity=12)
    assert (everybody["outcome"].notna() == old).all()


@pytest.mark.parametrize("shift", SHIFTS)
def test_nothing_changes_before_its_month(population, shift):
    quiet, shifted = drawn(population), drawn(population, shift)
    before = quiet["time"] < pd.Timestamp("2025-01-01", tz="UTC")
    inputs = [*FIELDS, "probability"]
    pd.testing.assert_frame_equal(quiet.loc[before, inputs], shifted.loc[before, inputs])
    changed = [name for name in FIELDS if not quiet[name].equals(shifted[name])]
    column = population.faulty[shift][0] if shift in population.faulty else None
    # A fault of the data changes its column alone; riskier applicants are other applicants.
    expected = {"mix": FIELDS, "recoded": [column], "broken-feed": [column]}.get(shift, [])
    assert changed == expected


def halves(frame: pd.DataFrame, figure) -> tuple[float, float]:
    second = frame["time"] >= pd.Timestamp("2025-01-01", tz="UTC")
    return figure(frame[~second]), figure(frame[second])


def bad_rate(frame: pd.DataFrame) -> float:
    return 1 - frame["outcome"].mean()


def excess(frame: pd.DataFrame) -> float:
    """Bad outcomes beyond those that the probabilities promise, as a share of all."""
    return bad_rate(frame) - (1 - frame["probability"].mean())


def auc(frame: pd.DataFrame) -> float:
    return roc_auc_score(frame["outcome"], frame["probability"])


def test_each_shift_is_what_it_says(population):
    # 6,000 outcomes a half: a rate's standard error is at most .0065, .026 is four of them.
    near = pytest.approx
    quiet = drawn(population)
    assert halves(quiet, excess) == (near(0, abs=0.026), near(0, abs=0.026))
    mix = drawn(population, "mix")
    before, after = halves(mix, bad_rate)
    assert after > before + 0.08 and halves(mix, excess)[1] == near(0, abs=0.026)
    rising = drawn(population, "rising-bad-rate")
    assert halves(rising, excess)[1] > 0.05
    relation = drawn(population, "relation")
    before, after = halves(relation, bad_rate)
    assert after == near(before, abs=0.026)
    before, after = halves(relation, auc)
    assert after < before - 0.1
    for shift in ("recoded", "broken-feed"):
        before, after = halves(drawn(population, shift), auc)
        assert after < before
    half = drawn(population, "broken-feed", strength=0.5)
    name, faulty = population.faulty["broken-feed"]
    second = half["time"] >= pd.Timestamp("2025-01-01", tz="UTC")
    stuck = half.loc[second, name] == faulty.applicants[name].iloc[0]
    own = (population.recorded.applicants[name] == faulty.applicants[name].iloc[0]).mean()
    assert stuck.mean() == near(0.5 + own / 2, abs=0.026)


def test_what_cannot_be_simulated_is_refused(population):
    with pytest.raises(ValueError, match="months is 0; give 1 or more"):
        drawn(population, months=0)
    with pytest.raises(ValueError, match="shift is 'fog'; allowed none, mix"):
        drawn(population, "fog")
    with pytest.raises(ValueError, match="from_month is 13, after the last of the months"):
        drawn(population, "mix", months=12)
    with pytest.raises(ValueError, match="strength is 2; give 0 to 1"):
        drawn(population, strength=2)


def test_what_is_written_is_read_again_and_replayed(population, folder, tmp_path):
    frame = drawn(population, "recoded", months=14, per_month=30, outcomes="approved", maturity=12)
    write_simulation(frame, population, CONTRACT, tmp_path / "out")
    again = read_decisions(tmp_path / "out", CONTRACT).frame
    # The file of outcomes has days, as a bank's would.
    day = frame["outcome_time"].dt.floor("D")
    pd.testing.assert_frame_equal(again, frame.assign(outcome_time=day))
    assert frame["outcome"].notna().sum() > 20
    for id in frame["id"].iloc[[0, -1]]:
        assert replay(id, str(tmp_path / "out/simulated.jsonl"), folder).same
    with pytest.raises(NotWritten, match="is there already"):
        write_simulation(frame, population, CONTRACT, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_simulation_from_the_command_line(folder, tmp_path, capsys):
    contract = ["--contract", str(RAW_FILE.with_name("datapackage.json"))]
    command = ["simulate", "--models", folder, *contract]
    command += ["--months", "14", "--per-month", "5", "--shift", "mix", "--out"]
    out = tmp_path / "out"
    assert cli.main([*command, str(out)]) == 0
    told = capsys.readouterr().out
    outcomes = (out / "outcomes.csv").read_text().splitlines()[1:]
    assert told.startswith(f"70 simulated decisions in {out / 'simulated.jsonl'}")
    assert f"{len(outcomes)} outcomes known" in told and outcomes
    # All outcomes are known already: adding them again changes nothing.
    again = ["outcomes", "add", str(out / "outcomes.csv"), "--log", str(out), *contract]
    assert cli.main(again) == 0
    assert capsys.readouterr().out == f"0 outcomes recorded, {len(outcomes)} known already\n"
    for refused in ([*command, str(out)], [*command, str(tmp_path / "b"), "--strength", "2"]):
        assert cli.main(refused) == 2
        assert capsys.readouterr().err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
