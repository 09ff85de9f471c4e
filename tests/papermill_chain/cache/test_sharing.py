"""Results that runs share: taken only if nothing differs and every byte is as it was put there."""

import hashlib
import hmac
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from cacheproject import CHAIN, KEY, NOTEBOOKS, executed, project, result_in
from toy import REPOSITORY, manifests, run, write_notebook

from papermill_chain.__main__ import begin
from papermill_chain.cache.entries import Refused, Stored
from papermill_chain.cache.results import Cache
from papermill_chain.cache.store import Folder
from papermill_chain.chain.stages import External, Stage
from papermill_chain.execution.processes import Processes


@pytest.fixture(scope="module")
def shared(tmp_path_factory) -> Path:
    """A folder with a cache that a run of the project in `a` has filled."""
    place = tmp_path_factory.mktemp("shared")
    assert run(project(place / "a"), "--quiet", "--cache", str(place / "cache"), chain=CHAIN) == 0
    assert executed(place) == ["1_make", "2_use"]
    return place


@pytest.fixture
def copied(shared, tmp_path) -> Path:
    """The same folder, for a test to change."""
    return Path(shutil.copytree(shared, tmp_path / "copied"))


def entries(cache: Path) -> dict[str, Path]:
    """The file of each entry by its stage."""
    found = {json.loads(file.read_text())["stage"]: file for file in cache.glob("v1/entries/*")}
    assert len(found) == len(list(cache.glob("v1/entries/*")))
    return found


def outlooks(root: Path, cache: object, capsys, *arguments: str, chain=CHAIN) -> list[str]:
    """What --dry-run says of each stage."""
    capsys.readouterr()
    assert run(root, "--dry-run", "--cache", str(cache), *arguments, chain=chain) == 0
    return [line.split(maxsplit=1)[1] for line in capsys.readouterr().out.splitlines()]


@pytest.fixture(params=["folder", "s3"])
def cache(request, tmp_path, monkeypatch):
    """A place for a cache."""
    if request.param == "folder":
        yield str(tmp_path / "cache")
        return
    # late: a store of objects takes long to import, and of the workers one alone needs it
    from moto.server import ThreadedMotoServer
    from s3fs import S3FileSystem

    S3FileSystem.clear_instance_cache()  # another test's has another address
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    S3FileSystem().mkdir("results")
    yield "s3://results/chain"
    S3FileSystem.clear_instance_cache()
    server.stop()


def test_a_second_machine_takes_all_from_the_cache_and_executes_nothing(tmp_path, cache, capsys):
    a, b = project(tmp_path / "a"), project(tmp_path / "b")
    assert run(a, "--quiet", "--cache", cache, chain=CHAIN) == 0
    capsys.readouterr()
    assert run(b, "--cache", cache, chain=CHAIN) == 0
    assert executed(tmp_path) == ["1_make", "2_use"]  # both in a
    (of_a,), (of_b,) = manifests(a), manifests(b)
    day = of_a["started"][:10]
    why = f"first run, from the cache: run {of_a['id']} of {day}"
    assert [(stage["status"], ", ".join(stage["why"])) for stage in of_b["stages"]] == [
        ("cached", why)
    ] * 2
    out = capsys.readouterr().out
    assert out.count(why) == 2 and "It says raw" in out

    folders = [root / "experiments/runs" / of["id"] for root, of in ((a, of_a), (b, of_b))]
    for name in ("1_make.ipynb", "2_use.ipynb", "page.html", "2_use.headline.png"):
        assert (folders[0] / name).read_bytes() == (folders[1] / name).read_bytes()
    for name in ("made/out.txt", "made/page.html"):
        assert (a / name).read_bytes() == (b / name).read_bytes()
    for same in ("basis", "reads", "writes", "kept", "headline", "verdict", "figures", "picture"):
        assert [s[same] for s in of_a["stages"]] == [s[same] for s in of_b["stages"]], same
    assert of_b["stages"][1]["figures"]["letters"]["value"] == 3  # "raw"
    report = (folders[1] / "2_use.html").read_text()
    assert "<dt>letters</dt><dd>3</dd>" in report
    assert f"made by run <code>{of_a['id']}</code>" in report
    assert f"from the cache: run {of_a['id']}" in (b / "experiments/index.html").read_text()

    capsys.readouterr()
    assert begin(["cache", cache, "--max-size", "1MB"]) == 0
    assert "removed 0 results and 0 files" in capsys.readouterr().out
    assert begin(["cache", cache, "--max-size", "0MB"]) == 0
    out = capsys.readouterr().out  # two notebooks, two files, a picture
    assert "removed 2 results and 0 files" in out
    assert "left: 0 results, 0 bytes\n5 such files younger than an hour" in out

    assert run(b, "--quiet", chain=CHAIN) == 0  # all is up to date from here on, also without it
    assert len(manifests(b)) == 1


CHANGES = {
    "an input": lambda root: (root / "raw.csv").write_text("other"),
    "a module": lambda root: (root / "toolbox/words.py").write_text("strip = str.strip"),
    "libraries": lambda root: (root / "uv.lock").write_text("2"),
    "a notebook": lambda root: write_notebook(
        root / "notebooks/1_make.ipynb", *NOTEBOOKS["1_make"], "1"
    ),
    "a parameter": lambda root: ["--set", "twice=true"],
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_makes_a_stage_run_makes_its_result_another_one(change, shared, tmp_path, capsys):
    used, new = Path(shutil.copytree(shared / "a", tmp_path / "a")), project(tmp_path / "new")
    assert outlooks(used, shared / "cache", capsys)[0] == "up to date"
    taken = outlooks(new, shared / "cache", capsys)[0]
    assert taken.startswith("would be taken from the cache (first run): run 2")
    assert "asked for" in outlooks(new, shared / "cache", capsys, "--force")[0]
    for root, why in ((used, "changed"), (new, "first run")):
        arguments = CHANGES[change](root)
        arguments = arguments if isinstance(arguments, list) else []
        outlook = outlooks(root, shared / "cache", capsys, *arguments)[0]
        assert outlook.startswith("would run: ") and "the cache" not in outlook
        assert why in outlook or "twice False → True" in outlook


def test_packages_count_where_no_lock_file_names_them(tmp_path, monkeypatch):
    from papermill_chain.cache import key
    from papermill_chain.runs.manifest import StageRun

    monkeypatch.syspath_prepend(tmp_path)
    keys = set()
    for lock in "", "1":
        for version in "1.0", "2.0":
            about = tmp_path / "some_toy-1.dist-info/METADATA"
            about.parent.mkdir(exist_ok=True)
            about.write_text(f"Metadata-Version: 2.1\nName: some-toy\nVersion: {version}\n")
            key._installed.cache_clear()
            keys.add(key.key_of(StageRun("1", "One", {}, basis={"lock": lock})))
    key._installed.cache_clear()
    assert len(keys) == 3  # two without a lock file, one with it


def altered(file: Path, **changes) -> None:
    """Write other values into an entry, as somebody would who can write to the cache."""
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def out_with(file: Path, **changes) -> dict:
    """What the entry of 1_make says of its only file, with other values."""
    return {"outputs": {"out": json.loads(file.read_text())["outputs"]["out"] | changes}}


BROKEN = {
    "cut off": lambda file: os.truncate(file, 100),
    "empty": lambda file: os.truncate(file, 0),
    "larger than an entry can be": lambda file: os.truncate(file, 30_000_000),
    "a file of no size": lambda file: altered(file, **out_with(file, bytes=0)),
    "a file of half a byte": lambda file: altered(file, **out_with(file, bytes=0.5)),
    "a name for a hash": lambda file: altered(file, **out_with(file, sha256="../entries/x")),
    "nested": lambda file: file.write_text("[" * 100_000),
    "a list": lambda file: file.write_text("[]"),
    "another format": lambda file: altered(file, format=2),
    "another result": lambda file: altered(file, key="0" * 64),
    "another stage": lambda file: altered(file, stage="2_use"),
    "a path above": lambda file: altered(file, **out_with(file, path="../../made/out.txt")),
    "a whole path": lambda file: altered(file, **out_with(file, path="/tmp/out.txt")),
    "another path": lambda file: altered(file, **out_with(file, path="run_all.py")),
    "no outputs": lambda file: altered(file, outputs={}),
    "a wrong type": lambda file: altered(file, headline={"text": 1}),
    "not a number": lambda file: file.write_text(
        file.read_text().replace('"seconds": ', '"seconds": NaN, "s": ', 1)
    ),
    "an odd run": lambda file: altered(file, run="\x1b[2J"),
    "a link": lambda file: (
        shutil.move(file, file.parent.parent / "x"),
        file.symlink_to(file.parent.parent / "x"),
    ),
    "a pipe": lambda file: (file.unlink(), os.mkfifo(file)),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_entry_is_refused(kind, copied, tmp_path, capsys):
    root = project(copied / "b")
    BROKEN[kind](entries(copied / "cache")["1_make"])
    outlook = outlooks(root, copied / "cache", capsys)[0]
    assert outlook.startswith("would run: first run; the cache is not used: its entry ")
    assert "\x1b" not in outlook


def test_damaged_and_lost_files_are_refused_the_stages_run_and_the_cache_is_whole_again(
    copied, capsys
):
    cache, root = copied / "cache", project(copied / "b")
    files = {stage: json.loads(file.read_text()) for stage, file in entries(cache).items()}
    out = cache / "v1/blobs" / files["1_make"]["outputs"]["out"]["sha256"]
    out.write_text("war")  # as long as "raw"
    (cache / "v1/blobs" / files["2_use"]["notebook"]["sha256"]).unlink()
    assert run(root, "--cache", str(cache), chain=CHAIN) == 0
    said = " ".join(capsys.readouterr().out.split())
    not_used = "the result in the cache is not used"
    assert f"1_make: {not_used}: made/out.txt is not what its entry says; it runs" in said
    assert f"2_use: {not_used}: 2_use.ipynb is gone from it; it runs" in said
    assert executed(copied) == ["1_make", "2_use"] * 2
    assert [stage["status"] for stage in manifests(root)[0]["stages"]] == ["succeeded"] * 2
    assert (root / "made/page.html").read_text() == "<p>raw"

    assert out.read_text() == "raw"  # what was damaged has been put there anew
    os.truncate(out, 10**12)  # a terabyte of nothing, which nobody reads to its end
    third = project(copied / "c")
    assert run(third, "--quiet", "--cache", str(cache), chain=CHAIN) == 0
    assert executed(copied)[4:] == ["1_make"]
    assert (third / "made/out.txt").read_text() == "raw"


def test_with_a_key_only_what_was_signed_with_it_is_taken(shared, copied, monkeypatch, capsys):
    cache, root = copied / "cache", project(copied / "b")
    monkeypatch.setenv("PAPERMILL_CHAIN_CACHE_KEY", KEY)
    assert "its entry is not signed" in outlooks(root, cache, capsys)[0]
    write_notebook(
        root / "notebooks/1_make.ipynb",
        *NOTEBOOKS["1_make"],
        "import os\nassert 'PAPERMILL_CHAIN_CACHE_KEY' not in os.environ",
    )
    assert run(root, "--quiet", "--cache", str(cache), "--force", chain=CHAIN) == 0
    assert os.environ["PAPERMILL_CHAIN_CACHE_KEY"] == KEY

    other = Path(shutil.copytree(root / "notebooks", project(copied / "c") / "n").parent)
    shutil.copytree(other / "n", other / "notebooks", dirs_exist_ok=True)
    assert outlooks(other, cache, capsys)[0].startswith("would be taken")
    file = entries_of_run(cache, manifests(root)[0]["id"])["1_make"]
    recorded = json.loads(file.read_text())
    signature = recorded.pop("signature")
    # an independent reading of the form: sorted, no blanks
    plain = json.dumps(recorded, sort_keys=True, separators=(",", ":")).encode()
    assert signature == hmac.new(KEY.encode(), plain, hashlib.sha256).hexdigest()
    altered(file, headline="another one")
    assert "altered, or signed with another key" in outlooks(other, cache, capsys)[0]
    altered(file, headline="", signature=signature)
    assert outlooks(other, cache, capsys)[0].startswith("would be taken")
    monkeypatch.setenv("PAPERMILL_CHAIN_CACHE_KEY", "another key of the tests")
    assert "altered, or signed with another key" in outlooks(other, cache, capsys)[0]
    monkeypatch.setenv("PAPERMILL_CHAIN_CACHE_KEY", "short")
    assert run(other, "--cache", str(cache), chain=CHAIN) == 2
    assert "fewer than 16 characters" in capsys.readouterr().err


def entries_of_run(cache: Path, id: str) -> dict[str, Path]:
    """The entries that one run has written, by stage."""
    found = {file: json.loads(file.read_text()) for file in cache.glob("v1/entries/*")}
    return {entry["stage"]: file for file, entry in found.items() if entry["run"] == id}


def test_what_acts_outside_is_never_taken_and_the_reason_is_said(
    shared, tmp_path, capsys, monkeypatch
):
    monkeypatch.setenv("BANK_TOKEN", "a token that is long enough")
    make, use = CHAIN
    given = {"reads": make.reads, "writes": make.writes}
    stages = {
        "writes outside": Stage("1_make", **given, external=External(check=lambda: "")),
        "changes log in place": Stage("1_make", **given, in_place={"twice": "log"}),
        "is handed a secret": Stage("1_make", **given, secrets={"twice": "BANK_TOKEN"}),
    }
    for why, stage in stages.items():
        outlook = outlooks(shared / "a", shared / "cache", capsys, "--force", chain=[stage, use])
        assert outlook[0].endswith(f"; not cached: {why}"), outlook
    scratch = Stage("1_make", **given, in_place={"twice": "log"}, scratch=["twice"])
    outlook = outlooks(shared / "a", shared / "cache", capsys, "--force", chain=[scratch, use])
    assert "not cached" not in outlook[0]

    # before and after a run: in the picture of the chain, and in the record
    chain, new = [stages["writes outside"], use], project(tmp_path / "new")
    how = ["--cache", str(shared / "cache")]
    assert run(new, "--graph", "--json", *how, chain=chain) == 0
    next_steps = [each["next"] for each in json.loads(capsys.readouterr().out)["stages"]]
    assert next_steps[0]["not_from_the_cache"] == "not cached: writes outside"
    assert run(new, "--quiet", *how, chain=chain) == 0
    (record,) = manifests(new)
    made, used = record["stages"]
    assert (made["status"], used["status"]) == ("succeeded", "cached")  # what it made is the same
    assert made["why"] == ["first run", "not from the cache: writes outside"]


def test_a_cache_that_cannot_be_used_costs_one_sentence(tmp_path, capsys, monkeypatch):
    root = project(tmp_path / "a")
    (tmp_path / "file").write_text("")
    assert run(root, "--cache", str(tmp_path / "file"), chain=CHAIN) == 2
    assert "this is no folder; name a folder or a URL" in capsys.readouterr().err
    assert run(root, "--cache", "nowhere://me:secret@host/x", chain=CHAIN) == 2
    refusal = capsys.readouterr().err
    assert "pip install fsspec s3fs" in refusal and "secret" not in refusal
    assert executed(tmp_path) == []

    cache = tmp_path / "cache"
    (cache / "v1").mkdir(parents=True)
    (cache / "v1/blobs").write_text("in the way")
    monkeypatch.setenv("PAPERMILL_CHAIN_CACHE", str(cache))
    assert run(root, chain=CHAIN) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert said.count("cannot be written to") == 1 and "this run goes on without it" in said
    assert not list(cache.glob("v1/entries/*"))


def test_what_was_changed_while_a_notebook_ran_does_not_go_to_the_cache(tmp_path, capsys):
    root = project(tmp_path / "a")
    rewrite = "pathlib.Path('../toolbox/words.py').write_text('strip = str.upper')"
    write_notebook(root / "notebooks/1_make.ipynb", *NOTEBOOKS["1_make"], rewrite)
    cache = tmp_path / "cache"
    assert run(root, "--cache", str(cache), chain=CHAIN) == 0
    assert "1_make: its result does not go to the cache" in " ".join(
        capsys.readouterr().out.split()
    )
    assert entries(cache).keys() == {"2_use"}


def test_a_run_that_is_stopped_while_it_looks_has_done_nothing(copied, monkeypatch, capsys):
    """A signal arrives in the middle of a look-up, which comes to its end only afterwards."""
    root, stopping = project(copied / "b"), threading.Event()
    find, close = Cache.find, Processes.close

    def slow(self, key, stage, **how):
        os.kill(os.getpid(), signal.SIGINT)
        assert stopping.wait(30)
        return find(self, key, stage, **how)

    def stop(self, *arguments, **how):
        stopping.set()
        close(self, *arguments, **how)

    with monkeypatch.context() as patched:
        patched.setattr(Cache, "find", slow)
        patched.setattr(Processes, "close", stop)
        assert run(root, "--quiet", "--cache", str(copied / "cache"), chain=CHAIN) == 130
    (stopped,) = manifests(root)
    assert [stopped["status"], *(stage["status"] for stage in stopped["stages"])] == [
        "interrupted",
        "not run",
        "not run",
    ]
    assert not (root / "made").exists()
    assert run(root, "--quiet", "--cache", str(copied / "cache"), chain=CHAIN) == 0
    assert executed(copied) == ["1_make", "2_use"]
    only = ("--quiet", "--cache", str(copied / "cache"), "--only", "1_make")
    assert run(root, *only, chain=CHAIN) == 0  # nothing is taken for what is asked for
    assert executed(copied) == ["1_make", "2_use", "1_make"]


WRITER = """
import os, pathlib, signal, sys
from papermill_chain.cache import store
from cacheproject import result_in
place, real = pathlib.Path(sys.argv[1]), os.fsync
for at in range(4):  # there are three files and the entry
    child = os.fork()
    if child == 0:
        left = [at]
        def fsync(file):
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)
            left[0] -= 1
            real(file)
        os.fsync = fsync
        result_in(place, str(at))
        os._exit(0)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
"""


def test_no_link_is_followed_and_no_disk_is_filled(tmp_path):
    entry, cache = result_in(tmp_path, "text"), Cache("cache", Folder(tmp_path / "cache"))
    huge = Stored("made/out.txt", entry.outputs["out"].sha256, 10**18)
    with pytest.raises(Refused, match="it has 1,000,000,000,000,000,000 bytes, and the disk has"):
        cache.fetch({tmp_path / "new/out": huge})
    blob = tmp_path / "cache/v1/blobs" / huge.sha256
    blob.unlink()
    blob.symlink_to(tmp_path / "text out.txt")  # which holds the right bytes
    with pytest.raises(Refused, match="made/out.txt is a link, not a file there"):
        cache.fetch({tmp_path / "new/out": entry.outputs["out"]})


def test_a_writer_killed_anywhere_leaves_no_entry_that_can_be_read(tmp_path):
    paths = [str(REPOSITORY), str(REPOSITORY / "tests")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
    subprocess.run([sys.executable, "-c", WRITER, str(tmp_path)], env=environment, check=True)
    cache = Cache("cache", Folder(tmp_path / "cache"), KEY.encode())
    assert cache.find("0" * 64, CHAIN[0]) is None
    # at 0, 1 and 2 a file was half written; at 3 the entry was
    assert len(list(tmp_path.glob("cache/v1/blobs/.*"))) == 3
    assert len(list(tmp_path.glob("cache/v1/entries/.*"))) == 1


def test_readers_beside_two_writers_find_whole_results_alone(tmp_path):
    cache = Cache("cache", Folder(tmp_path / "cache"), KEY.encode())
    result_in(tmp_path, "first")
    writers = [
        threading.Thread(target=lambda n=n: [result_in(tmp_path, f"{n} {i}") for i in range(20)])
        for n in range(2)
    ]
    for writer in writers:
        writer.start()
    found = set()
    while any(writer.is_alive() for writer in writers):
        entry = cache.find("0" * 64, CHAIN[0])  # it would raise
        cache.fetch({tmp_path / "out": entry.outputs["out"]})
        found.add((tmp_path / "out").read_text())
    assert found and all(text.startswith("made/out.txt ") for text in found)
