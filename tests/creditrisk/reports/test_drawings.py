"""Figures as drawings: colours of the page, values to point at, a second one for phones."""

import re
from xml.etree import ElementTree as xml

import pytest
from matplotlib.pyplot import close
from pandas import DataFrame

from creditrisk.reports import plots
from creditrisk.reports.drawings import drawing, narrow_drawing, percents, values_at

SVG = "{http://www.w3.org/2000/svg}"


def bars():
    """Two bars, and a value with what looks like markup at the first."""
    plots.use_house_style()
    made, ax = plots.figure(height=2.5)
    plots.class_balance(ax, 3, 1)
    values_at(ax, [3, float("nan"), 99], [0, 1, 1], ["3 <b>good</b>", "nowhere", "far outside"])
    plots.set_titles(ax, "A quarter went bad", "4 applicants")
    return made


@pytest.fixture
def figure():
    yield bars()
    close("all")


def texts(root):
    return {"".join(each.itertext()) for each in root.iter(f"{SVG}text")}


def test_a_drawing_has_the_pages_colours_its_text_and_its_values(figure):
    text = drawing(figure)
    root = xml.fromstring(text)
    said = texts(root)
    assert {"A quarter went bad", "4 applicants", "good", "bad", "3 (75%)", "1 (25%)"} <= said
    shown = [each.text for each in root.iter(f"{SVG}title")]
    assert "3 <b>good</b>" in shown and "nowhere" not in shown
    assert "var(--figure-good, #0173b2)" in text and "var(--figure-bad, " in text
    plain = text.replace("var(--figure-good, #0173b2)", "")
    assert "#0173b2" not in plain and "font-family: 'DejaVu" not in plain
    assert drawing(bars()) == text  # the same figure is the same to the last byte


def test_a_narrow_drawing_fits_a_phone_and_says_the_same(figure):
    wide = texts(xml.fromstring(drawing(figure)))
    narrow = xml.fromstring(narrow_drawing(figure))
    # 4.2 inches at 72 points
    assert narrow.get("viewBox").split()[2] == "302.4"
    named = {text for text in wide if re.search("[a-z]", text)}  # an axis has its own numbers
    assert named <= texts(narrow)


def test_names_too_long_for_a_phone_leave_the_wide_drawing_alone(figure):
    figure.axes[0].set_yticks([0], ["a level " * 9])
    assert "a level a level" in drawing(figure) and narrow_drawing(figure) == ""


def test_marks_of_shares_have_the_decimals_that_they_need(figure):
    assert [percents(n) for n in (-0.0, 0.05, 3 * 0.025, 1.0)] == ["0%", "5%", "7.5%", "100%"]
    (ax,) = figure.axes
    plots.two_samples(ax, DataFrame({"training": [0.0, 0.1], "test": [0.0, 0.1]}), "share")
    ax.set_xticks([0.05, 0.075])
    assert [mark.get_text() for mark in ax.get_xticklabels()] == ["5%", "7.5%"]  # not 8%
