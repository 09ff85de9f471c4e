"""Key figures as data: how they are read, shown, and compared."""

import pytest

from papermill_chain.runs.figures import Figure, difference, read_figures

OLD_TEXT = "0.757 (0.681 to 0.833)"  # as runs made before figures were data have it


@pytest.mark.parametrize(
    ("recorded", "figure", "number", "shown"),
    [
        ({"value": 0.75, "low": 0.68, "high": 0.8}, Figure(0.75, 0.68, 0.8), 0.75, None),
        ({"value": 12.5, "unit": "%"}, Figure(12.5, unit="%"), 12.5, "12.5 %"),
        ({"value": "Forest", "low": None}, Figure("Forest"), None, "Forest"),
        (0.776123, Figure(0.776123), 0.776123, "0.7761"),
        (1_234_567.8, Figure(1_234_567.8), 1_234_567.8, "1,234,568"),
        (800, Figure(800), 800.0, "800"),
        (7_200, Figure(7_200), 7_200.0, "7,200"),
        (7_234.04, Figure(7_234.04), 7_234.04, "7,234"),
        (True, Figure("True"), None, "True"),
        (OLD_TEXT, Figure(OLD_TEXT), None, OLD_TEXT),
        ({"value": [1], "low": "x", "unit": None}, Figure("[1]"), None, "[1]"),
    ],
)
def test_a_figure_is_read_and_shown(recorded, figure, number, shown):
    assert read_figures({"name": recorded}) == {"name": figure}
    assert figure.number == number
    assert str(figure) == (shown or "0.750 (0.680 to 0.800)")


def test_what_is_no_number_is_left_out_and_what_has_no_names_is_refused():
    assert read_figures({"a": float("nan"), "b": {"value": float("inf")}}) == {}
    with pytest.raises(TypeError):
        read_figures([1])


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        (Figure(0.75714, 0.68, 0.83), Figure(0.76821, 0.7, 0.84), "+0.011"),
        (Figure(0.625), Figure(0.6), "−0.025"),
        (Figure(0.6), Figure(0.61), "+0.01"),
        (Figure(12_345.6), Figure(12_350.2), "+5"),
        (Figure(800), Figure(900), ""),
        (Figure("Forest"), Figure(0.7), ""),
        (Figure(0.5, unit="s"), Figure(0.5, unit="ms"), ""),
    ],
)
def test_a_difference_has_the_decimals_that_are_shown(before, now, expected):
    assert difference(before, now) == expected
