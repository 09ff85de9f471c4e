"""The decision lab: what it counts, that a browser counts the same, and that all can use it."""

import json

import numpy as np
import pandas as pd
import pytest
from browser import barriers, visit
from conftest import ROOT
from playwright.sync_api import expect

from creditrisk.data.contract import ContractError
from creditrisk.data.descriptor import read_contract
from creditrisk.metrics import costs
from creditrisk.metrics.decision_rule import figures_at
from creditrisk.reports.decision_lab import shown, write_lab
from creditrisk.reports.test_scores import read_scores, write_scores
from creditrisk.validation.fairness import disparity

CONTRACT = read_contract(ROOT / "data/raw/datapackage.json")
VERSION = {
    "model": "Credit_Risk_Model",
    "version": 3,
    "champion": "Blend",
    "chain_run": "20260101-120000",
    "cutoff": 0.7,
    "cost_bad_accepted": 5.0,
    "cost_good_rejected": 1.0,
}
READ = """all => all.map(each => [
    each.closest("[data-group]")?.dataset.group ?? "", each.dataset.figure, each.dataset.form,
    each.dataset.value, each.textContent.replace(" ▼", ""),
])"""

SET = """values => Object.entries(values).forEach(([id, value]) => {
    document.getElementById(id).value = value;
    document.getElementById(id).dispatchEvent(new Event("input"));
})"""


def applicants(n, seed, levels=("a", "b", "c")):
    """Made-up outcomes, scores that tell something of them, with ties, and two groupings."""
    random = np.random.default_rng(seed)
    y = (random.random(n) < 0.7).astype(int)
    score = np.where(
        random.random(n) < 0.5, random.beta(2 + 2 * y, 3), random.beta(2 + 2 * y, 3).round(2)
    )
    rarer = 1 / np.arange(1, len(levels) + 1) ** 2
    one = pd.Series(random.choice(levels, n, p=rarer / rarer.sum()))
    two = pd.Series(np.where(random.random(n) < 0.6, "male", "female"))
    return y, score, {"Kind": one, "Sex": two, "Kind and Sex": one + ", " + two}


def lab(place, y, score, groups, **changed):
    path = place / "lab.html"
    write_lab(path, y, score, groups, VERSION | changed)
    return path


def differences(page, expected):
    """Where the page's figures are not those of Python, to the last bit and in their words."""
    found = page.eval_on_selector_all("[data-figure]", READ)
    assert {name for group, name, *_ in found if not group} == set(expected) - {"groups"}
    odd = []
    for group, name, form, value, text in found:
        value_here = (expected["groups"][int(group)] if group else expected)[name]
        read = float(value) if value else None
        if read != value_here or text != shown(value_here, form):
            odd.append((group, name, value, text, value_here))
    return odd


def set_to(page, **setting):
    for control, value in setting.items():
        page.fill(f"#{control}", str(value))


# --- the figures --------------------------------------------------------------------------------


def test_figures_of_twenty_applicants_by_hand():
    # 12 good: 9 score .8, 3 score .4; 8 bad: 5 score .6, 3 score .2. Approved from .6 on: 9 + 5.
    y = np.repeat([1, 1, 0, 0], [9, 3, 5, 3])
    score = np.repeat([0.8, 0.4, 0.6, 0.2], [9, 3, 5, 3])
    # "a" are 10: 6 good at .8, 4 bad at .6; "b" 10: 3 good at .8, 3 at .4, 1 bad at .6, 3 at .2
    group = pd.Series(["a"] * 6 + ["b"] * 6 + ["a"] * 4 + ["b"] * 4)
    now = figures_at(y, score, {"Sex": group}, 0.6, (5, 1))
    assert (
        now["good_approved"],
        now["bad_approved"],
        now["good_declined"],
        now["bad_declined"],
    ) == (9, 5, 3, 3)
    assert now["approved"] == 14 / 20 and now["bad_among_approved"] == 5 / 14
    assert now["cost"] == pytest.approx((5 * 5 + 1 * 3) / 20)  # 1.40
    assert now["cost_of_everybody"] == pytest.approx(2.0) and now[
        "cost_of_nobody"
    ] == pytest.approx(0.6)
    assert (now["good_share_approved"], now["bad_share_approved"]) == (9 / 12, 5 / 8)
    # From .61 to .80 the 9 good remain: 3 good declined, no bad approved, 3 / 20.
    assert now["lowest_cost"] == pytest.approx(0.15) and now["lowest_cutoff"] == 0.61
    assert now["break_even"] == now["break_even_score"] == pytest.approx(5 / 6)
    assert [(row["group"], row["approvals"], row["approved"]) for row in now["groups"]] == [
        ("a", 10, 1.0),
        ("b", 4, 0.4),
    ]
    assert [row["ratio"] for row in now["groups"]] == [1.0, 0.4]
    assert now["cost_low"] is None  # 3 good declined are too few

    # At 10% bad: .1 × 5/8 bad approved and .9 × 9/12 good approved are .0625 and .675 of all.
    now = figures_at(y, score, {"Sex": group}, 0.6, (5, 1), 0.1)
    assert now["approved"] == pytest.approx(0.7375)
    assert now["bad_among_approved"] == pytest.approx(0.0625 / 0.7375)
    assert now["cost"] == pytest.approx(5 * 0.0625 + 0.9 * 3 / 12)
    # Odds of good at .1 are 9, here 1.5: 6 times. Break-even odds 5 are odds 5/6 here, so 5/11.
    assert now["break_even"] == pytest.approx(5 / 6) and now["break_even_score"] == pytest.approx(
        5 / 11
    )
    # Of "b": 6 good weigh .9/.6 = 1.5 each, 4 bad .1/.4 = .25; approved are 3 good and 1 bad.
    assert now["groups"][1]["approved"] == pytest.approx((3 * 1.5 + 0.25) / (6 * 1.5 + 4 * 0.25))
    # Approving everybody costs .5, nobody .9; from .21 on three bad are gone, 5 × .0625 = .3125;
    # from .61 on all bad are gone and 3 good with them, .9 × 3/12 = .225.
    assert now["lowest_cost"] == pytest.approx(0.225) and now["lowest_cutoff"] == 0.61


def test_interval_of_the_cost_by_hand():
    # 100 good of whom 20 are declined, 50 bad of whom 10 are approved, prices 4 and 1
    y, score = (
        np.repeat([1, 1, 0, 0], [80, 20, 10, 40]),
        np.repeat([0.9, 0.1, 0.9, 0.1], [80, 20, 10, 40]),
    )
    now = figures_at(y, score, {}, 0.5, (4, 1))
    # cost 60/150 = .4; mean square (16 × 10 + 20) / 150 = 1.2; variance (1.2 - .16) / 150,
    # SD .083267
    assert [now["cost_low"], now["cost"], now["cost_high"]] == pytest.approx(
        [0.4 - 0.163200, 0.4, 0.4 + 0.163200], abs=1e-6
    )
    now = figures_at(y, score, {}, 0.5, (4, 1), 0.5)
    # p = q = .2: cost 4 × .5 × .2 + .5 × .2 = .5; variance 4 × .16/50 + .25 × .16/100 = .0132,
    # SD .114891
    assert [now["cost_low"], now["cost"], now["cost_high"]] == pytest.approx(
        [0.5 - 0.225183, 0.5, 0.5 + 0.225183], abs=1e-6
    )


def test_figures_agree_with_those_of_the_validation():
    y, score, groups = applicants(400, 5)
    for cutoff in (0.3, 0.55, 0.8):
        now = figures_at(y, score, groups, cutoff, (3, 2))
        assert now["cost"] == costs.expected_cost(y, score, [cutoff], 3, 2)[0]
        row = costs.decisions_by_cutoff(y, score, [cutoff]).iloc[0]
        assert (now["approved"], now["bad_among_approved"]) == (
            row.approved,
            row.bad_among_approved,
        )
        for name, group in groups.items():
            theirs = disparity.impact_ratios(score >= cutoff, group).ratio.to_dict()
            ours = {
                row["group"]: row["ratio"]
                for row in now["groups"]
                if row["grouping"] == name and row["ratio"] not in (None, 1.0)
            }
            assert ours == pytest.approx(theirs)
    own = figures_at(y, score, groups, 0.5, (3, 2), float((y == 0).mean()))
    same = figures_at(y, score, groups, 0.5, (3, 2))
    for name in ("approved", "bad_among_approved", "cost", "lowest_cost", "break_even_score"):
        assert own[name] == pytest.approx(same[name])


@pytest.mark.parametrize(
    "prices, rate", [((0, 0), None), ((-1, 2), None), ((5, 1), 0.0), ((5, 1), 1.0)]
)
def test_what_makes_no_sense_is_refused(prices, rate):
    with pytest.raises(ValueError, match="cost_bad_accepted is|real_bad_rate is"):
        figures_at([1, 0], [0.6, 0.4], {}, 0.5, prices, rate)


def test_only_good_applicants_stand_for_no_other_bad_rate():
    with pytest.raises(ValueError, match="all applicants are good"):
        figures_at([1, 1], [0.6, 0.4], {}, 0.5, (5, 1), 0.1)


# --- the file of scores ---------------------------------------------------------------------------


def test_scores_come_back_from_their_file_to_the_last_bit(tmp_path):
    rows = [
        [30, "male", 2, "own", np.nan, "little", 1500, 12, "car"],
        [30, "male", 2, "own", np.nan, "little", 1500, 12, "car"],
        [61, "female", 0, "free", "rich", np.nan, 800, 6, "vacation/others"],
    ]
    frame = pd.DataFrame(rows, columns=[field.name for field in CONTRACT.fields])
    score, effects = (
        np.array([0.1 + 0.2, 1 / 3, 2**-40]),
        np.random.default_rng(1).normal(size=(3, 9)),
    )
    write_scores(tmp_path / "scores.csv", frame, np.array([1, 0, 1]), score, effects, CONTRACT)
    text = (tmp_path / "scores.csv").read_text("utf-8").splitlines()
    assert text[1].startswith("30,male,2,own,,little,1500,12,car,good,0.30000000000000004,")
    read = read_scores(tmp_path / "scores.csv")
    assert list(read.columns[:11]) == [*frame.columns, "Risk", "probability_of_good"]
    assert (read.probability_of_good == score).all() and list(read.Risk) == ["good", "bad", "good"]
    assert (read.filter(like="effect: ").to_numpy() == effects).all()
    pd.testing.assert_frame_equal(read[frame.columns], frame, check_dtype=False)
    write_scores(tmp_path / "none.csv", frame, np.array([1, 0, 1]), score, None, CONTRACT)
    assert read_scores(tmp_path / "none.csv").filter(like="effect: ").isna().all(axis=None)


def test_a_file_without_scores_is_refused(tmp_path):
    with pytest.raises(ContractError, match="run the chain again from 06_explanation on"):
        read_scores(tmp_path / "scores.csv")
    (tmp_path / "scores.csv").write_text("Age,Risk,probability_of_good\n30,good,0.5\n", "utf-8")
    with pytest.raises(ContractError, match="holds no scores with the shares of all fields"):
        read_scores(tmp_path / "scores.csv")


# --- the page -------------------------------------------------------------------------------------


def test_the_browser_reckons_as_python_does(browser, tmp_path):
    """Thirty settings at random, each figure compared bit by bit and in its words."""
    y, score, groups = applicants(200, 1)
    random = np.random.default_rng(2)
    wrong, settings = [], 0
    with visit(browser, lab(tmp_path, y, score, groups)) as page:
        assert not differences(page, figures_at(y, score, groups, 0.7, (5, 1)))
        for number in range(30):
            slide = "-slider" * (number % 2)  # by turns with the sliders and typed
            digits = 2 if slide else int(random.integers(2, 8))
            cutoff = round(float(random.uniform(0.01, 0.99)), digits)
            prices = [
                float(price) for price in random.uniform(0.1, 20, 2).round(1 if slide else digits)
            ]
            percent = round(float(random.uniform(0.1, 60)), 1 if slide else digits)
            values = dict(
                zip(("cutoff", "bad", "good", "rate"), map(repr, (cutoff, *prices, percent)))
            )
            page.evaluate(SET, {f"{control}{slide}": value for control, value in values.items()})
            rate = percent / 100
            if number % 5 == 0:
                page.check("#own")
                rate = None
            found = differences(page, figures_at(y, score, groups, cutoff, tuple(prices), rate))
            wrong += [(cutoff, prices, rate, each) for each in found]
            settings += 1
    assert settings == 30 and not wrong


def test_halves_are_rounded_as_python_does(browser, tmp_path):
    """16 applicants: shares of 1/16 are 6.25%, ratios and costs end in halves of a digit."""
    y = np.tile([1, 1, 1, 0], 4)
    score = np.arange(16) / 16 + 1 / 32
    wrong, groups = [], {"All": pd.Series(["x"] * 16)}
    with visit(browser, lab(tmp_path, y, score, groups)) as page:
        for place in range(16):
            cutoff = place / 16 + 0.03
            page.evaluate(SET, {"cutoff": str(cutoff), "bad": "0.125", "good": "0.0625"})
            wrong += differences(page, figures_at(y, score, groups, cutoff, (0.125, 0.0625)))
        assert page.inner_text("[data-figure=approved]") == "6.2%"  # one of 16; half to even
    assert not wrong


def test_a_setting_is_kept_linked_and_reset(browser, tmp_path):
    y, score, groups = applicants(120, 3)
    path = lab(tmp_path, y, score, groups)
    with visit(browser, path) as page:
        page.focus("#cutoff-slider")
        page.keyboard.press("ArrowRight")
        assert page.input_value("#cutoff") == "0.71"
        set_to(page, bad=7.25, rate=5)
        page.keyboard.press("Tab")  # leaving the field keeps the setting at once
        assert page.url.endswith("#cutoff=0.71&bad=7.25&good=1&rate=5")
        page.reload()
        expected = figures_at(y, score, groups, 0.71, (7.25, 1), 0.05)
        assert not differences(page, expected)
        assert page.inner_text("#told").endswith(f"an applicant costs {expected['cost']:.3f}.")
        page.click("#copy")
        expect(page.locator("#said")).not_to_be_empty()
        if page.is_visible("#link"):  # where the browser refuses its clipboard
            assert page.input_value("#link") == page.url
        page.click("#reset")
        assert not differences(page, figures_at(y, score, groups, 0.7, (5, 1)))
        assert page.url.endswith("#cutoff=0.7&bad=5&good=1") and page.is_checked("#own")
        page.goto(f"{path.as_uri()}#cutoff=2&bad=x&good=&rate=-1&odd=1")  # no setting at all
        assert not differences(page, figures_at(y, score, groups, 0.7, (5, 1)))
        names, empty = "Object.getOwnPropertyNames(window).sort()", page.context.new_page()
        (tmp_path / "empty.html").write_text("<!DOCTYPE html><title>empty</title>", "utf-8")
        empty.goto((tmp_path / "empty.html").as_uri())
        assert page.evaluate(names) == empty.evaluate(names)  # the script makes nothing global


def test_what_cannot_be_reckoned_with_is_said(browser, tmp_path):
    y, score, groups = applicants(120, 4)
    with visit(browser, lab(tmp_path, y, score, groups)) as page:
        page.fill("#cutoff", "3")
        assert page.get_attribute("#cutoff", "aria-invalid") == "true"
        assert page.inner_text("#fault") == "A number from 0.01 to 0.99, please."
        assert not differences(page, figures_at(y, score, groups, 0.7, (5, 1)))
        page.keyboard.press("Tab")
        assert page.input_value("#cutoff") == "0.7" and page.inner_text("#fault") == ""
        set_to(page, bad=0, good=0)
        assert page.inner_text("#fault") == "Set one of the two costs above 0."
        assert page.inner_text("[data-figure=cost]") == "–" and not page.is_visible("#costs .dot")


ALL = np.linspace(0.05, 0.95, 40)
ODD = {
    "only good": (np.ones(40, int), ALL, {"Sex": pd.Series(["m", "f"] * 20)}),
    "only bad": (np.zeros(40, int), ALL, {"Sex": pd.Series(["m", "f"] * 20)}),
    "one group": (np.tile([1, 0], 20), ALL, {"Sex": pd.Series(["m"] * 40)}),
    "nothing protected": (np.tile([1, 0], 20), ALL, {}),
    "small groups": (
        np.tile([1, 0], 20),
        ALL,
        {"Kind": pd.Series([*range(31), *[31] * 9]).astype(str)},
    ),
    "one score": (np.tile([1, 0], 20), np.full(40, 0.5), {"Sex": pd.Series(["m", "f"] * 20)}),
    "one applicant": (np.array([1]), np.array([1.0]), {"Sex": pd.Series(["m"])}),
}


@pytest.mark.parametrize("kind", ODD)
def test_odd_data_gives_a_page(kind, browser, tmp_path):
    y, score, groups = ODD[kind]
    with visit(
        browser, lab(tmp_path, y, score, groups, cutoff=0.05 if kind == "one group" else 0.7)
    ) as page:
        for cutoff in (0.02, 0.5, 0.98):
            set_to(page, cutoff=cutoff)
            assert not differences(page, figures_at(y, score, groups, cutoff, (5, 1)))
            assert "NaN" not in page.inner_html(".lab")
        assert page.is_disabled("#rate") == ("only" in kind or kind == "one applicant")
        if kind == "small groups":
            assert page.inner_text("#main").count("fewer than 10: too few to tell") == 32


def test_words_from_data_do_nothing(browser, tmp_path):
    attack = "</script><script>alert(1)</script><img src=x onerror=alert(1)><!--"
    groups = {attack: pd.Series([attack, "b"] * 20)}
    path = lab(
        tmp_path, np.tile([1, 0], 20), ALL, groups, model=attack, champion=attack, chain_run=attack
    )
    with visit(browser, path) as page:
        assert page.inner_text("tr[data-group='0'] th") == attack
        assert page.locator("img").count() == 0 and page.locator("script").count() == 2


def test_twenty_thousand_applicants_move_smoothly(browser, tmp_path):
    y, score, groups = applicants(20_000, 6, levels=tuple("abcdefgh"))
    path = lab(tmp_path, y, score, groups)
    assert path.stat().st_size < 3_000_000
    with visit(browser, path) as page:
        took = page.evaluate("""() => {
            const slider = document.getElementById("cutoff-slider");
            return Array.from({ length: 60 }, (_, i) => {
                const started = performance.now();
                slider.value = 0.2 + i / 100;
                slider.dispatchEvent(new Event("input"));
                document.body.getBoundingClientRect();  // the layout is part of it
                return performance.now() - started;
            });
        }""")
        assert np.quantile(took, 0.1) < 50  # most wait for other processes on a busy machine
        assert not differences(page, figures_at(y, score, groups, 0.79, (5, 1)))


@pytest.mark.parametrize("width, scheme", [(1280, "light"), (390, "dark")])
def test_the_lab_of_a_run(width, scheme, finished, browser):
    """What the chain has written says what its validation says, and everybody can read it."""
    project, _ = finished
    (path,) = project.glob("experiments/runs/*/decision_lab.html")
    test = json.loads((path.parent / "validation.json").read_text("utf-8"))["test"]
    rule = json.loads((path.parent / "registration.json").read_text("utf-8"))
    table = read_scores(path.parent / "test_scores.csv")
    y, score = (table.Risk == "good").astype(int).to_numpy(), table.probability_of_good.to_numpy()
    groups = disparity.groupings(table, CONTRACT)
    prices = rule["cost_bad_accepted"], rule["cost_good_rejected"]
    now = figures_at(y, score, groups, rule["cutoff"], prices)
    assert (now["cost"], now["approved"]) == (test["cost"], test["approved"])
    assert (now["applicants"], now["bad"]) == (test["rows"], test["bad"])
    # the shares of the fields add up to how far the score is from that of the usual applicant
    odds = np.log(score / (1 - score)) - table.filter(like="effect: ").sum(axis=1)
    assert np.ptp(odds) < 1e-9
    with visit(browser, path, width=width, color_scheme=scheme) as page:
        assert not differences(page, now)
        set_to(page, cutoff=0.5, bad=10, good=2, rate=5)
        assert not differences(page, figures_at(y, score, groups, 0.5, (10, 2), 0.05))
        assert not barriers(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
