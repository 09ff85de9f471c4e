"""--keep: which old runs go, that what rests on one stays, and that a kill leaves no half run."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from toy import RAW, REPOSITORY, make, run

from papermill_chain.chain.stages import Stage
from papermill_chain.reports.index import write_index
from papermill_chain.runs.manifest import Run, StageRun
from papermill_chain.runs.pruning import old_runs, prune
from papermill_chain.runs.records import last_good, remember

CHAIN = [Stage("01_look", reads=RAW)]
CHAIN_AND_PAGES = {"chain": CHAIN, "compare": lambda a, b: (b.folder, [])}
BEGAN = datetime(2020, 1, 1, tzinfo=UTC)
REPORT = 2_000_000  # bytes


def add_run(experiments: Path, number: int, stages: dict[str, str]) -> Run:
    """A run of the past with a report; of its stages, the number of the run that executed each."""
    began = BEGAN + timedelta(days=number)
    folder = experiments / f"runs/{began:%Y%m%d}-000000"
    folder.mkdir(parents=True)
    records = [
        StageRun(name, name, {}, status="succeeded", run=made, report="1.html")
        for name, made in stages.items()
    ]
    old = Run(folder, folder.name, "Toy", began.isoformat(), {}, records, status="succeeded")
    with open(folder / "1.html", "wb") as report:
        report.truncate(REPORT)
    old.save()
    return old


def compared(experiments: Path, a: str, b: str) -> Path:
    page = experiments / f"comparisons/{a}_{b}.html"
    page.parent.mkdir(exist_ok=True)
    page.write_text("compared")
    return page


def listed(experiments: Path) -> set[str]:
    """The runs that the index links to, once it is written as a run of before has left it."""
    write_index(experiments, "Toy", "compare {a} {b}")
    return set(re.findall(r'href="runs/([^/"]+)/', (experiments / "index.html").read_text("utf-8")))


def dead_links(experiments: Path) -> list[str]:
    """The links of the index that lead nowhere, and the pages that its script would open."""
    page = (experiments / "index.html").read_text("utf-8")
    links = [unquote(link) for link in re.findall(r'href="([^"#]+)"', page)]
    pages = json.loads(re.search(r'data-pages="(\[.*?\])"', page)[1].replace("&#34;", '"'))
    links += [f"comparisons/{name}.html" for name in pages]
    assert links
    return [link for link in links if not (experiments / link).exists()]


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    root = make(tmp_path_factory.mktemp("pruned") / "project")
    assert run(root, "--quiet", **CHAIN_AND_PAGES) == 0
    return root


def test_old_runs_go_and_what_rests_on_one_stays(finished, capfd):
    experiments = finished / "experiments"
    new = last_good(experiments)["01_look"].run
    # six old ones, the oldest first: a model's, one that cannot be read, a link, and three plain
    old = [add_run(experiments, number, {"01_look": "x"}) for number in range(6)]
    model, damaged, linked, *plain = [each.folder for each in old]
    (damaged / "manifest.json").write_text("{")
    elsewhere = linked.rename(finished / "elsewhere")
    linked.symlink_to(elsewhere)
    os.link(plain[0] / "1.html", finished / "second name of a report")
    gone_with_it = compared(experiments, plain[1].name, new)
    stays = compared(experiments, model.name, new)
    assert listed(experiments) >= {plain[0].name, plain[1].name}
    keeping = CHAIN_AND_PAGES | {"protected": lambda: [model.name]}

    # nothing would run: of the new one and three plain ones two stay, and the model's
    assert run(finished, "--dry-run", "--keep", "2", **keeping) == 0
    *_, first, second, sums = capfd.readouterr().out.splitlines()
    assert first.endswith(plain[1].name) and second.endswith(plain[0].name)
    # 2.0 MB and a manifest; the other report has a second name, so that nothing is won
    assert sums == "--keep 2 would remove 2 runs, 2.0 MB"
    # a run to come takes a place
    assert run(finished, "--dry-run", "--keep", "2", "--force", **keeping) == 0
    assert "--keep 2 would remove 3 runs, 4.0 MB" in capfd.readouterr().out
    assert all(each.is_dir() for each in [model, damaged, linked, *plain])

    assert run(finished, "--keep", "2", **keeping) == 0
    assert capfd.readouterr().out.splitlines()[-1] == "Removed 2 old runs, 2.0 MB"
    left = {each.name for each in (experiments / "runs").iterdir()}
    assert left == {model.name, damaged.name, linked.name, plain[2].name, new}
    assert (elsewhere / "1.html").stat().st_size == REPORT
    assert stays.exists() and not gone_with_it.exists()
    assert not (experiments / ".pruned").exists() and dead_links(experiments) == []

    # a registry that is out of reach: no run goes, and the exit code stays
    def unknown() -> list[str]:
        raise ConnectionError("no answer")

    assert run(finished, "--keep", "1", **CHAIN_AND_PAGES, protected=unknown) == 0
    assert "--keep 1 has not removed all old runs: no answer" in capfd.readouterr().err
    assert plain[2].is_dir()

    # the last success comes from the new run, and is needed, however many come after it
    later = [add_run(experiments, number, {}) for number in (5000, 6000)]
    assert run(finished, "--keep", "1", "--json", **keeping) == 0
    event = json.loads(capfd.readouterr().out.splitlines()[-1])
    assert event["runs"] == [later[0].id, plain[2].name] and event["megabytes"] == 4.0
    assert (experiments / "runs" / new).is_dir() and later[1].folder.is_dir()

    assert run(finished, "--keep", "1", "--list", **CHAIN_AND_PAGES) == 2
    assert "--keep goes with a run of the chain, not with --list" in capfd.readouterr().err


KILLED = """
import os, sys
from pathlib import Path
from papermill_chain.runs import pruning

def die(*_):
    os._exit(9)

rename, left = os.rename, [int(sys.argv[2])]

def counted(*names):
    left[0] -= 1
    rename(*names) if left[0] >= 0 else os._exit(9)

experiments = Path(sys.argv[1])
os.rename = counted
pruning.shutil.rmtree = die
pruning.prune(experiments, pruning.old_runs(experiments, 1), lambda: None)
"""


@pytest.mark.parametrize("renamed", [1, 9])  # killed before the second, or when both are
def test_next_run_finishes_what_a_killed_one_has_begun(finished, renamed):
    experiments = finished / "experiments"
    new = last_good(experiments)["01_look"].run
    add_run(experiments, 7000 + renamed, {})  # the newest
    for folder in old_runs(experiments, 1):
        shutil.rmtree(folder)
    older = [add_run(experiments, number, {"01_look": "x"}) for number in (20, 40)]
    pages = [compared(experiments, each.id, new) for each in older]
    assert listed(experiments) >= {each.id for each in older}
    killed = [sys.executable, "-c", KILLED, str(experiments), str(renamed)]
    assert subprocess.run(killed, cwd=REPOSITORY, check=False).returncode == 9
    assert [each.folder.exists() for each in older] == [renamed == 1, False]

    assert run(finished, "--quiet", **CHAIN_AND_PAGES) == 0  # without --keep
    assert not (experiments / ".pruned").exists() and dead_links(experiments) == []
    for each, page in zip(older, pages, strict=True):
        assert each.folder.exists() == page.exists()
    if renamed == 1:  # whole: a manifest and a report
        assert len(list(older[0].folder.iterdir())) == 2


@given(
    made=st.lists(st.dictionaries(st.sampled_from("abc"), st.booleans()), max_size=7),
    keep=st.integers(1, 8),
    protected=st.sets(st.integers(0, 6), max_size=2),
)
def test_whatever_runs_there_are_the_needed_ones_stay(made, keep, protected):
    """Of each stage the last success stays, executed or taken over; beside the newest and others.

    `made` has for each run its stages, and whether it executed them itself.
    """
    with tempfile.TemporaryDirectory() as folder:
        experiments = Path(folder)
        makers, runs = {}, []
        for number, stages in enumerate(made):
            runs.append(add_run(experiments, number, {}))
            for name, executed in stages.items():
                if executed or name not in makers:
                    makers[name] = runs[-1].id
                record = StageRun(name, name, {}, status="succeeded", run=makers[name])
                runs[-1].stages.append(record)
            runs[-1].save()
        asked = {runs[number].id for number in protected if number < len(runs)}
        needed = {each.id for each in runs[-keep:]} | asked | set(makers.values())
        going = old_runs(experiments, keep, lambda: asked)
        assert [each.name for each in going] == [
            each.id for each in reversed(runs) if each.id not in needed
        ]
        if going:
            prune(experiments, going, lambda: None)
        assert {each.name for each in experiments.glob("runs/*")} == needed
        assert all((experiments / "runs" / id / "1.html").stat().st_size for id in needed)


def test_record_of_last_successes_counts_as_well(tmp_path):
    """As after a run whose manifest was damaged since, or that was made by hand."""
    first, second = (add_run(tmp_path, number, {}) for number in (0, 1))
    success = StageRun("a", "a", {}, status="succeeded", run=first.id)
    success.basis = {"notebook": "1", "code": {}, "lock": "1", "python": "3"}
    remember(tmp_path, success)
    assert old_runs(tmp_path, 1) == []
    (tmp_path / "stages.json").unlink()
    assert old_runs(tmp_path, 1) == [first.folder] and second.folder.is_dir()
