"""Stages that only run with something, and verdicts that have an exit code of their own."""

import pytest
from toy import HEADLINE, make, manifests, run, write_notebook

from papermill_chain.chain.stages import Stage

WATCH = Stage("05_watch", only_with="log")
CHAIN = [Stage("01_look", reads={"raw": "data/raw.csv"}), WATCH]
CODES = {"05_watch": {"warning": 3, "stop": 4}}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A project with a stage that gives whatever verdict it is asked for."""
    root = make(tmp_path_factory.mktemp("watched") / "project")
    cell = f"""
        from IPython.display import display
        told = {{"text": "Act: up by 1.5. Look.", "verdict": verdict}}
        display({{"{HEADLINE}": told, "text/plain": ""}}, raw=True)
        """
    write_notebook(root / "notebooks/05_watch.ipynb", 'verdict: str = "passed"', cell)
    return root


def started(root, *arguments) -> tuple[int, list[str]]:
    """The exit code, and the stages of the newest run."""
    code = run(root, *arguments, chain=CHAIN, exit_codes=CODES)
    return code, [stage["name"] for stage in manifests(root)[-1]["stages"]]


def test_a_stage_waits_for_what_it_is_only_with_unless_it_is_named(root):
    assert started(root) == (0, ["01_look"])
    assert started(root, "--only", "05", "--set", "verdict=warning") == (3, ["05_watch"])
    (root / "log").mkdir()
    # 05 has run with another verdict than its default: it runs again, and 01 is up to date
    assert started(root) == (0, ["01_look", "05_watch"])


def test_the_code_of_a_verdict_stands_while_the_stage_is_up_to_date(root, capsys):
    (root / "log").mkdir(exist_ok=True)
    assert started(root, "--set", "verdict=stop")[0] == 4
    # the last line has the words of the page
    assert "\n05_watch: Act: up by 1.5; why: " in capsys.readouterr().out
    runs = len(manifests(root))
    assert started(root, "--set", "verdict=stop")[0] == 4
    assert len(manifests(root)) == runs, "there was nothing to do"
    assert run(root, "--set", "verdict=stop", chain=CHAIN) == 0, "codes are asked for"
