"""What a cell is read as before it runs: parameters with their types, and imports among magics."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from papermill_chain.chain.notebooks import notebook_in, notebook_path
from papermill_chain.chain.parameters import (
    ChainError,
    parameters_in,
    value_in_file,
    value_of,
)
from papermill_chain.chain.python_code import imported_modules


@pytest.mark.parametrize(
    ("type", "text", "value"),
    [
        ("int", "7", 7),
        ("float", "7", 7.0),
        ("int | float", "1e3", 1000.0),
        ("bool", "TRUE", True),
        ("str", "7", "7"),
        ("Optional[int]", "None", None),
        ("'int | None'", "8", 8),
        ("typing.Union[int, str]", "x", "x"),
        ("Literal['mean', 2]", "2", 2),
        ("Annotated[float, 'of all']", ".5", 0.5),
        ("list[int]", "[1, 2]", [1, 2]),
        ("Sequence[str]", "['a']", ["a"]),
        ("tuple[int, ...]", "(1, 2)", [1, 2]),
        ("dict[str, int]", "{'a': 1}", {"a": 1}),
        ("Path", "a/b", "a/b"),
        ("pd.Timestamp", "2024-02-29", "2024-02-29"),
        ("Any", "[1, None]", [1, None]),
        ("Any", "1e999", "1e999"),  # which is no number that JSON has
        ("Any", "{1, 2}", "{1, 2}"),
        ("no type: at all", "3", 3),
    ],
)
def test_a_text_is_read_as_its_parameters_type_wants_it(type, text, value):
    read = value_of(text, type)
    assert read == value and isinstance(read, value.__class__)


@pytest.mark.parametrize(
    ("type", "text"),
    [
        *[("int", "1.5"), ("int", "None"), ("float", "inf"), ("bool", "1")],
        *[("list[int]", "1"), ("dict", "[1]"), ("dict", "{1: 2}"), ("None | bool", "none")],
    ],
)
def test_a_text_of_another_type_is_refused(type, text):
    with pytest.raises(ValueError):
        value_of(text, type)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


@given(JSON)
def test_a_file_gives_any_value_as_it_is_to_what_takes_it(value):
    """And the parameter of a cell with that default has the type that takes it, too."""
    found = parameters_in(f"x = {value!r}", "1.ipynb")["x"]
    assert found.default == value and found.code == ""
    for type in ("Any", found.type):
        given = value_in_file(value, type)
        assert json.dumps(given) == json.dumps(value)


@pytest.mark.parametrize(
    ("cell", "modules"),
    [
        ("%%time\nimport a", ["a"]),
        ("%%bash\nimport b", []),
        ("%%writefile c.py\nimport c", []),
        ("if d:\n    !ls\n    import d", ["d"]),
        ("try:\n    %matplotlib inline\nexcept Exception:\n    import e", ["e"]),
        ("home = %env HOME\nfiles = !ls\nimport f", ["f"]),
        ("import g\ng?\n?g.h\ng.h??", ["g"]),
        ('text = """\n%d and !\n"""\nimport h', ["h"]),
        ("rest = 7 % 4 \\\n    % 3\nimport i", ["i"]),
        ("import re\nre.compile('\\d')\nfrom j import k", ["re", "j", "j.k"]),
        ("if:\n  import l", []),
    ],
)
def test_magics_hide_no_import_and_make_none(cell, modules):
    assert imported_modules(cell) == modules


def test_the_lines_of_a_parameter_cell_are_counted_with_its_magics():
    with pytest.raises(ChainError, match="n.ipynb, parameter cell, line 4: not Python"):
        parameters_in("%matplotlib inline\n\n!ls\na b", "n.ipynb")


def test_a_parameter_cell_may_hold_what_only_ipython_reads():
    assert parameters_in("n = 2  # two\n/print 1", "1.ipynb")["n"].help == "two"


def test_of_a_pair_the_notebook_is_taken(tmp_path):
    (tmp_path / "notebooks").mkdir()
    assert notebook_path(tmp_path, "1").name == "1.ipynb"
    (tmp_path / "notebooks/1.py").touch()
    assert notebook_path(tmp_path, "1").name == "1.py"
    (tmp_path / "notebooks/1.ipynb").touch()
    assert notebook_path(tmp_path, "1").name == "1.ipynb"


@pytest.mark.parametrize(("written", "read"), [("R", "R"), ("Python", "python")])
def test_a_language_keeps_the_name_by_which_papermill_knows_it(written, read):
    about = {"kernelspec": {"name": "k", "language": written}}
    text = json.dumps({"cells": [], "metadata": about, "nbformat": 4, "nbformat_minor": 5})
    assert notebook_in(text, "notebooks/a.ipynb", Path("a.ipynb")).language == read
