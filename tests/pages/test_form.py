"""The form and the API's description in a browser."""

import json
import re
import shutil
import sqlite3

import pytest
from browser import barriers
from drawncontracts import RECORDS, every_type_model
from playwright.sync_api import Page, expect
from published import CONTRACT, ONE, THREE, publish
from servers import in_a_thread

from creditrisk.scoring.sources.loading import load_scorer
from creditrisk.serving.api.app import create_app
from creditrisk.serving.model_reload import log_standing, serve_from

STOPPED = "Version 1 did not pass the gate and is not in production; nothing is."


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return publish(tmp_path_factory.mktemp("model") / "models", "Logistic Regression", 1)


@pytest.fixture(scope="module")
def server(folder):
    with in_a_thread(create_app(serve_from(str(folder)))) as running:
        yield running


@pytest.fixture
def tab(browser, server):
    """A page of the server, which asks nobody else and complains of nothing but a refusal."""
    wrong: list[str] = []
    with browser.new_context(viewport={"width": 1280, "height": 900}) as context:
        page = context.new_page()
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on(
            "console",
            lambda said: (
                said.type in ("error", "warning")
                and "422" not in said.text
                and wrong.append(said.text)
            ),
        )
        page.on(
            "request",
            lambda asked: asked.url.startswith("http://127.0.0.1") or wrong.append(asked.url),
        )
        page.goto(server.url)
        yield page
    assert not wrong


def fill(page: Page, record: dict) -> None:
    for name, value in record.items():
        place = page.locator(f'[name="{name}"]')
        if place.evaluate("place => place.tagName") == "SELECT":
            place.select_option("" if value is None else str(value))
        else:
            place.fill("" if value is None else str(value))


def test_an_example_is_filled_in_and_decided_beside_the_form(tab, folder):
    scorer = load_scorer(folder)
    for record in (ONE, None, THREE):  # the button goes through the three examples
        tab.get_by_role("button", name="Fill in an example").click()
        if record is None:
            continue
        shown = {name: tab.locator(f'[name="{name}"]').input_value() for name in record}
        assert shown == {name: str(value) for name, value in record.items()}
        tab.get_by_role("button", name="Decide").click()
        (expected,) = scorer.score([record], reasons=True)
        result = tab.locator("#result")
        expect(result.locator("h2")).to_have_text(expected.decision.capitalize())
        expect(result).to_contain_text(f"good risk: {100 * expected.probability:.1f}%")
        for reason in expected.reasons:
            expect(result).to_contain_text(reason.words)
        assert tab.locator("#application").bounding_box()["x"] < result.bounding_box()["x"]
        scale = tab.locator(".scale").bounding_box()
        mark, bar = (tab.locator(f".scale .{part}").bounding_box() for part in ("mark", "bar"))
        inner = scale["width"] - 2
        assert mark["x"] - scale["x"] == pytest.approx(0.7 * inner, abs=2)
        assert bar["width"] == pytest.approx(expected.probability * inner, abs=2)
        expect(tab.locator(".mark-name")).to_have_text("approved from 70.0%")


def test_faults_are_said_in_words_at_their_field(tab):
    fill(tab, ONE | {"Age": 17, "Purpose": None, "Job": None, "Duration": None})
    tab.get_by_role("button", name="Decide").click()
    expect(tab.locator("#result h2")).to_have_text("Please correct what is marked")
    faults = {
        place.get_attribute("data-field"): place.inner_text()
        for place in tab.locator(".fault:not(:empty)").all()
    }
    assert faults == {
        "Age": "This is out of range; allowed 18 to 120 years.",
        "Job": "Choose one of unskilled and not resident; unskilled and resident; skilled; "
        "highly qualified, self-employed or manager.",
        "Duration": "Give a whole number, 1 to 120 months.",
        "Purpose": "Choose one of business, car, domestic appliances, education, "
        "furniture/equipment, radio/TV, repairs, vacation/others.",
    }
    expect(tab.locator("[name=Age]")).to_be_focused()
    fill(tab, ONE)
    tab.get_by_role("button", name="Decide").click()
    expect(tab.locator("#result h2")).to_have_text(re.compile("Approve|Decline"))
    expect(tab.locator(".fault:not(:empty)")).to_have_count(0)


def test_choices_are_in_words(tab):
    job = tab.locator("[name=Job] option").all_inner_texts()
    assert job[:2] == ["choose", "0: unskilled and not resident"] and len(job) == 5
    for field in CONTRACT.categories:
        texts = tab.locator(f'[name="{field.name}"] option').all_inner_texts()
        assert texts[0] == "choose" and len(texts) == 1 + len(field.choices)
        assert texts[-1] == field.worded(field.choices[-1])


# Colours do not depend on the width, nor widths on the colours.
@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (1280, "light")])
def test_form_and_description_fit_and_everybody_can_read_them(tab, server, width, scheme):
    tab.set_viewport_size({"width": width, "height": 900})
    tab.emulate_media(color_scheme=scheme)
    for path in ("/docs", "/"):
        tab.goto(server.url + path)
        if path == "/":
            fill(tab, ONE | {"Age": 17})
            tab.get_by_role("button", name="Decide").click()
            expect(tab.locator(".fault:not(:empty)")).to_have_count(1)
            assert barriers(tab) == []
            fill(tab, ONE)
            tab.get_by_role("button", name="Decide").click()
            expect(tab.locator(".scale")).to_be_in_viewport()
        paper = tab.evaluate("getComputedStyle(document.body).backgroundColor")
        assert paper == {"light": "rgb(255, 255, 255)", "dark": "rgb(21, 25, 30)"}[scheme]
        assert tab.evaluate("document.documentElement.scrollWidth") <= width
        assert barriers(tab) == []


def test_the_description_shows_an_example_and_the_threshold(tab, server, folder):
    (expected,) = load_scorer(folder).score([ONE])
    tab.goto(f"{server.url}/docs")
    percent, side = 100 * expected.probability, "at or above" if expected.prediction else "below"
    text = f"The answer: {expected.decision}, as {percent:.1f}% is {side} the 70% from which"
    expect(tab.get_by_text(text)).to_be_visible()
    answer = json.loads(tab.locator("pre").nth(1).inner_text())
    assert (answer["probability"], answer["cutoff"]) == (expected.probability, 0.7)


def test_a_model_that_is_not_in_production_says_so_on_every_page(
    folder, tab, tmp_path, monkeypatch, caplog
):
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"):  # another test may have set them
        monkeypatch.delenv(name, raising=False)
    shutil.copytree(folder, tmp_path / "models")
    store = sqlite3.connect(tmp_path / "mlflow.db")
    with store:
        store.execute("create table registered_model_aliases (name, alias, version)")
        store.execute("create table model_versions (name, version, current_stage)")
        store.execute("create table model_version_tags (name, version, key, value)")
        name = "Credit_Risk_Model"
        store.execute("insert into model_versions values (?, 1, 'None')", [name])
        stopped = [name, "gate_result", "stopped"]
        store.execute("insert into model_version_tags values (?, 1, ?, ?)", stopped)
    store.close()
    monkeypatch.chdir(tmp_path)
    served = serve_from("models")
    log_standing(served.use)
    of_model = [each for each in caplog.records if each.module == "model_reload"]  # no request
    assert [(each.message, each.why) for each in of_model] == [("not in production", STOPPED)]
    with in_a_thread(create_app(served)) as running:
        for path in ("/docs", "/"):
            tab.goto(running.url + path)
            expect(tab.get_by_role("note")).to_have_text(STOPPED)
        tab.get_by_role("button", name="Fill in an example").click()
        tab.get_by_role("button", name="Decide").click()
        expect(tab.locator("#result .notice")).to_have_text(STOPPED)
        assert running.get("/ready")[1]["why"] == STOPPED


def test_what_the_form_sends_is_what_was_filled_in_for_every_type(tab, tmp_path):
    folder = every_type_model(tmp_path / "models")
    scorer = load_scorer(folder)
    with in_a_thread(create_app(serve_from(str(folder)))) as running:
        tab.goto(running.url)
        for record in RECORDS:
            for name, value in record.items():
                place = tab.locator(f'[name="{name}"]')
                state = tab.locator(f'[data-state-of="{place.get_attribute("id")}"]')
                stated = value in (None, -999, "no income") and state.count()
                if state.count():
                    state.select_option(json.dumps(value) if stated else "")
                if stated:
                    expect(place).to_be_disabled()
                elif isinstance(value, bool):
                    place.select_option(json.dumps(value))
                else:
                    fill(tab, {name: value})
            with tab.expect_request("**/predict*") as sent:
                tab.get_by_role("button", name="Decide").click()
            assert sent.value.post_data_json == record
            (expected,) = scorer.score([record])
            said = f"good risk: {100 * expected.probability:.1f}%"
            expect(tab.locator("#result")).to_contain_text(said)
        assert barriers(tab) == []
        tab.get_by_role("button", name="Fill in an example").click()
        tab.get_by_role("button", name="Decide").click()
        expect(tab.locator("#result h2")).to_have_text(re.compile("Approve|Decline"))
