"""Signals, deaths, full disks and rivals: the last good files stay, and nothing is left behind."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from toy import (
    REPOSITORY,
    family,
    make,
    manifests,
    registry_of,
    run,
    start,
    wait_for,
    write_notebook,
)

from papermill_chain.chain.stages import Stage
from papermill_chain.cli import main
from papermill_chain.runs import files

pytestmark = pytest.mark.skipif(os.name == "nt", reason="neither flock nor signals")


def under_way(root: Path) -> subprocess.Popen:
    """A run that makes its model, with a fork of the kernel and a process of another session."""
    runner = start(root, "--only", "3", "--set", "mood=late", start_new_session=True)
    wait_for(lambda: list(root.glob("experiments/runs/*/late")) or runner.poll() is not None)
    assert runner.poll() is None, runner.communicate()
    return runner


@pytest.fixture
def copies(good_toy, tmp_path):
    """A function that makes copies of a project whose chain has run once."""

    def copied(name: str) -> Path:
        root = tmp_path / name / "project"
        shutil.copytree(good_toy, root.parent)
        return root

    return copied


def test_a_signal_ends_all_and_the_record_says_so(copies):
    """Three runs at once, each stopped by another signal; each answers with 128 + its number."""
    roots = {name: copies(name) for name in ("SIGINT", "SIGTERM", "SIGHUP")}
    runners = {name: under_way(root) for name, root in roots.items()}
    # the warm process, its watcher, the kernel, its fork, and the process in a session of its own
    assert all(len(family(root)) >= 5 for root in roots.values())
    assert all(list(registry_of(root).glob("* open")) for root in roots.values())
    for name, runner in runners.items():
        asked = time.monotonic()
        runner.send_signal(getattr(signal, name))
        _, errors = runner.communicate(timeout=300)
        assert time.monotonic() - asked < 150  # the notebook would take twice as long
        assert (runner.returncode, errors) == (128 + getattr(signal, name), "")
        assert not family(roots[name])
    for name, root in roots.items():
        told = manifests(root)[-1]
        assert [told["status"], told["stages"][0]["status"]] == ["interrupted", "interrupted"]
        assert told["stages"][0]["error"]["evalue"] == f"stopped by {name}"
        folder = root / "experiments/runs" / told["id"]
        assert f"stopped by {name}" in (folder / "03_model.html").read_text()
        assert f"runs/{told['id']}/03_model.html" in (root / "experiments/index.html").read_text()
        assert [path.name for path in registry_of(root).iterdir()] == ["model"]
        assert (root / "models/model.txt").read_text() == "good"
        assert not (folder / "staged").exists()


@pytest.mark.parametrize("whole_group", [False, True])
def test_a_killed_runner_leaves_no_process_and_the_next_run_repairs(copies, whole_group):
    root = copies("killed")
    runner = under_way(root)
    kill = os.killpg if whole_group else os.kill
    kill(runner.pid, signal.SIGKILL)
    runner.communicate()
    wait_for(lambda: not family(root))
    told = manifests(root)[-1]
    assert told["status"] == "running" and (root / "models/model.txt").read_text() == "good"
    assert list(registry_of(root).glob("* open"))
    experiments = root / "experiments"
    halves = [experiments / ".stages.json.0123abcd"]  # as a kill leaves them while one is written
    halves += [experiments / "runs" / told["id"] / ".manifest.json.4567cdef"]
    for half in halves:
        half.write_text("{")
    assert run(root, "--quiet") == 0  # all is up to date: only the repairs are to be made
    assert not any(half.exists() for half in halves)
    assert told["id"] in (experiments / "index.html").read_text()
    assert [manifest["id"] for manifest in manifests(root)][-1] == told["id"]
    repaired = manifests(root)[-1]
    assert [repaired["status"], repaired["stages"][0]["status"]] == ["interrupted", "interrupted"]
    assert repaired["finished"] and not (root / "experiments/runs" / told["id"] / "staged").exists()
    assert [path.name for path in registry_of(root).iterdir()] == ["model"]


def test_of_four_first_starts_one_runs_and_three_refuse_at_once(tmp_path):
    root = make(tmp_path / "project")
    rivals = [start(root, "--set", "meet=true") for _ in range(4)]
    answers = [rival.communicate(timeout=300) for rival in rivals]
    assert sorted(rival.returncode for rival in rivals) == [0] + [75] * 3
    winner = next(rival for rival in rivals if rival.returncode == 0)
    for rival, (_, errors) in zip(rivals, answers, strict=True):
        if rival is not winner:
            assert f", process {winner.pid}, is going on in this checkout" in errors
    assert [told["status"] for told in manifests(root)] == ["succeeded"]


def test_a_refusal_names_the_run_that_holds_the_checkout(copies, capsys):
    root = copies("held")
    first = under_way(root)
    asked = time.monotonic()
    assert run(root, "--only", "4") == 75
    assert time.monotonic() - asked < 150  # the other one takes twice as long
    told = manifests(root)[-1]
    assert f"run {told['id']}, process {first.pid}, is going on" in capsys.readouterr().err
    first.kill()
    first.communicate()
    assert run(root, "--only", "4", "--quiet") == 0  # the lock of the dead holds nobody up


def test_a_set_of_files_is_published_whole_or_not_at_all(tmp_path):
    new, old, journal = tmp_path / "new", tmp_path / "old", tmp_path / "journal"
    for folder, name in [(new, "a"), (new, "b"), (new, "c"), (old, "a")]:
        folder.mkdir(exist_ok=True)
        (folder / name).write_text(f"{folder.name} {name}")
    (old / "c").mkdir()
    with pytest.raises(OSError, match="c"):
        files.publish({new / name: old / name for name in "abc"}, journal)
    assert {path.name for path in old.iterdir()} == {"a", "c"} and not journal.exists()
    assert (old / "a").read_text() == "old a"


def test_a_publication_cut_by_a_kill_is_taken_back(tmp_path, monkeypatch):
    """Killed before each of its steps, from the first name kept aside to the last file moved."""
    steps = ["_keep_aside", "_move", "_move", "_move"]  # a is there and kept aside; then a, b, c
    for cut in range(len(steps)):
        folder = tmp_path / str(cut)
        new, old, journal = folder / "new", folder / "old", folder / "journal"
        new.mkdir(parents=True)
        old.mkdir()
        places = {new / name: old / name for name in "abc"}
        for file in new / "a", new / "b", new / "c", old / "a":
            file.write_text(f"{file.parent.name} {file.name}")
        if (child := os.fork()) == 0:
            left = [cut]

            def until_cut(step, left=left):
                def counted(*arguments):
                    if left[0] == 0:
                        os.kill(os.getpid(), signal.SIGKILL)
                    left[0] -= 1
                    return step(*arguments)

                return counted

            for name in set(steps):
                setattr(files, name, until_cut(getattr(files, name)))
            files.publish(places, journal)
            os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
        assert journal.exists()
        files.take_back(journal, places.values())
        assert [path.name for path in old.iterdir()] == ["a"] and not journal.exists()
        assert (old / "a").read_text() == "old a"


DISKS = {  # what is a disk of its own, the arguments of the run, and what its error says
    "models": (["--only", "3", "--set", "mood=huge"], "No space left on device: "),
    "models read-only": (["--only", "3"], "Read-only file system: "),
    "experiments/runs": (["--force"], "No space left on device: "),
    "experiments read-only": (["--force"], "Read-only file system: "),
}
MOUNT = """
    cp -r "{place}" "{place}.kept" && size=$(($(du -sk "{place}" | cut -f1) + 60)) &&
    mount -t tmpfs -o size=${{size}}k tmpfs "{place}" &&
    cp -r "{place}.kept/." "{place}" || exit 99
    if [ "{read_only}" ]; then mount -o remount,ro "{place}"; fi
"""
#: Run each project; print exit code, messages and the models, which nobody else sees.
RUNS = """
import io, json, sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
import toy
ended = []
for root, *arguments in json.loads(sys.argv[1]):
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()) as said:
        code = toy.run(Path(root), *arguments)
    models = {path.name: path.read_text() for path in Path(root, "models").iterdir()}
    ended.append([code, said.getvalue(), models])
print(json.dumps(ended))
"""


def test_a_disk_that_takes_no_more_is_named_and_nothing_is_lost(copies):
    """Each folder in turn is a disk of its own, read-only or with 60 KB left; the model has 400."""
    roots = {disk: copies(disk.replace("/", " ")) for disk in DISKS}
    models = {path.name: path.read_text() for path in (roots["models"] / "models").iterdir()}
    script = ""
    for disk, root in roots.items():
        name, _, read_only = disk.partition(" ")
        script += MOUNT.format(place=root / name, read_only=read_only)
    script += f'exec "{sys.executable}" -c "$1" "$2"'
    runs = json.dumps([[str(root), *DISKS[disk][0]] for disk, root in roots.items()])
    paths = os.pathsep.join([str(REPOSITORY), str(REPOSITORY / "tests")])
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, "sh", RUNS, runs],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
        env=os.environ | {"PYTHONPATH": paths},
    )
    assert (done.returncode, done.stderr) == (0, "")
    for disk, (code, said, seen) in zip(DISKS, json.loads(done.stdout), strict=True):
        assert code == 1, (disk, said)
        assert DISKS[disk][1] in " ".join(said.split()) and "Traceback" not in said, (disk, said)
        assert seen == models, disk
        assert not family(roots[disk])


def test_an_index_without_the_newest_run_is_written_anew(copies):
    """As it is where the disk was full when all else of that run was done."""
    root = copies("index")
    index, newest = root / "experiments/index.html", manifests(root)[-1]["id"]
    whole = index.read_text()
    assert newest in whole
    index.write_text(whole.replace(newest, "another"))
    assert run(root, "--quiet") == 0
    assert newest in index.read_text() and len(manifests(root)) == 1, "there was nothing to run"
    written = index.stat().st_mtime_ns
    assert run(root, "--quiet") == 0
    assert index.stat().st_mtime_ns == written, "one that is whole is left alone"


def test_a_missing_folder_is_made_and_a_file_in_its_place_is_named(tmp_path, capsys):
    write_notebook(tmp_path / "notebooks/1.ipynb", 'out: str = "x"', "open(out, 'w').write('1')")
    chain = [Stage("1", writes={"out": "deep/er/out"})]
    (tmp_path / "deep").write_text("in the way")
    assert main(chain, tmp_path, "Toy", argv=["--quiet"]) == 1
    assert f"{tmp_path}/deep" in capsys.readouterr().err
    (tmp_path / "deep").unlink()
    assert main(chain, tmp_path, "Toy", argv=["--quiet"]) == 0
    assert (tmp_path / "deep/er/out").read_text() == "1"
