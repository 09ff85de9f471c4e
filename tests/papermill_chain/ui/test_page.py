"""The page that starts runs: who may use it, what it asks, what it shows, and how a run ends."""

import html
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import pytest
from browser import barriers, wait_until
from playwright.sync_api import expect
from toy import REPOSITORY, family, manifests, wait_for, write_notebook

from papermill_chain import cli
from papermill_chain.chain.stages import Stage
from papermill_chain.cli import main
from papermill_chain.runs.lock import only_run

PROGRAM = """
import argparse, sys
from pathlib import Path
from papermill_chain import cli
from papermill_chain.chain.stages import Stage
from papermill_chain.cli import main

own = argparse.ArgumentParser(add_help=False)
own.add_argument("--data")
assert own.parse_known_args()[0].data == "here", "each run is of the data that the page is of"
CHAIN = [
    Stage("1_draw", writes={"path": "draw.txt"}),
    Stage("2_mean", reads={"path": "draw.txt"}, secrets={"key": "MEAN_KEY"}),
]
sys.exit(main(CHAIN, Path(__file__).parent, "Numbers", own_options=own))
"""
DRAW = [
    """\
path: str = "../draw.txt"  # where the numbers go
numbers: list = [1, 2]  # to be <averaged>
seed: int = 7  # of the draw
stamp: str = "-".join("ab")  # of the day
wait: bool = False  # until somebody stops it""",
    """
    import time
    from pathlib import Path
    while wait:
        time.sleep(0.05)
    Path(path).write_text(" ".join(map(str, numbers)))
    """,
]
MEAN = [
    'path: str = "../draw.txt"\nseed: int = 7  # of the mean\nkey: str = ""  # to the vault',
    """
    numbers = [int(each) for each in open(path).read().split()]
    told = {"text": f"the mean is {sum(numbers) / len(numbers):g}", "verdict": "warning"}
    display({"application/vnd.chain.headline+json": told, "text/plain": told["text"]}, raw=True)
    """,
]


@dataclass
class Site:
    """A served page, and a visitor who has been let in."""

    process: subprocess.Popen
    root: Path
    url: str
    cookie: str = ""

    @property
    def host(self) -> str:
        return urlsplit(self.url).netloc

    def ask(self, path: str, form: dict | None = None, **headers: str) -> tuple[int, str, dict]:
        """Ask for a page, or send a form; status, text and headers of the answer."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        sent = {"Host": self.host, "Cookie": self.cookie} | named
        body = None
        if form is not None:
            body = urlencode(form, doseq=True)
            sent["Content-Type"] = "application/x-www-form-urlencoded"
        connection = http.client.HTTPConnection(self.host, timeout=300)
        try:
            connection.request("GET" if body is None else "POST", path, body, sent)
            answer = connection.getresponse()
            return answer.status, answer.read().decode(), dict(answer.headers)
        finally:
            connection.close()

    def send(self, path: str, **changes: object) -> tuple[int, str]:
        """Send the form of the page with some fields changed."""
        fields = Fields(self.ask("/?defaults")[1]).values | changes
        status, text, _ = self.ask(path, fields, Origin=f"http://{self.host}")
        return status, html.unescape(text)

    def progress(self) -> dict:
        return json.loads(self.ask("/progress")[1])

    def ended(self) -> dict:
        """How the run that was started last has ended, once it has."""
        wait_for(lambda: not self.progress()["running"])
        return self.progress()

    def stop(self) -> str:
        """Type Ctrl-C; what is printed then."""
        self.process.send_signal(signal.SIGINT)
        said = self.process.communicate(timeout=300)[1]
        assert self.process.returncode == 0, said
        return said


class Fields(HTMLParser):
    """What a browser would send of the large form if nothing is typed."""

    def __init__(self, page: str):
        super().__init__()
        self.values: dict[str, object] = {}
        self.area = ""
        self.feed(page[page.index('id="parameters"') :])

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        choice = given.get("type") in ("checkbox", "radio")
        if tag == "textarea":
            self.area = given["name"]
        elif tag == "input" and (not choice or "checked" in given):
            self.values[given["name"]] = given.get("value", "")

    def handle_data(self, text):
        if self.area:
            self.values[self.area] = text.removeprefix("\n")
            self.area = ""


def served(root: Path, *options: str) -> Site:
    """Type ``python run_all.py --ui`` and visit the address that it prints."""
    process = subprocess.Popen(
        [sys.executable, "run_all.py", "--ui", "--port", "0", "--data", "here", *options],
        cwd=root,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY), "MEAN_KEY": "a long secret"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    url = re.search(r"http://\S+", process.stdout.readline())
    assert url, process.communicate()[1]
    site = Site(process, root, url[0])
    status, _, headers = site.ask(url[0].partition(site.host)[2])
    assert status == 200
    assert "HttpOnly" in headers["Set-Cookie"] and "SameSite=Strict" in headers["Set-Cookie"]
    site.cookie = headers["Set-Cookie"].partition(";")[0]
    return site


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    root = tmp_path_factory.mktemp("numbers")
    (root / "run_all.py").write_text(PROGRAM)
    write_notebook(root / "notebooks/1_draw.ipynb", *DRAW)
    write_notebook(root / "notebooks/2_mean.ipynb", *MEAN)
    site = served(root)
    yield site
    if site.process.poll() is None:
        site.stop()


@pytest.fixture(scope="module")
def next_site(site):
    """The same page served anew."""
    again = served(site.root)
    yield again
    if again.process.poll() is None:
        again.stop()


def test_nobody_gets_in_without_the_token_or_from_another_page(site):
    stranger = Site(site.process, site.root, site.url)
    for path in ("/", "/?token=wrong", "/progress", "/kept/wrong/index.html", "/nothing"):
        assert stranger.ask(path)[0] == 403, path
    assert stranger.ask("/", Cookie=site.cookie.partition("=")[0] + "=wrong")[0] == 403
    address = site.url.partition(site.host)[2]
    assert stranger.ask(address, Host="evil.example")[0] == 421
    assert site.ask("/", Host=f"evil.example:{site.host.partition(':')[2]}")[0] == 421
    status, page, headers = site.ask("/")
    assert status == 200 and headers["X-Frame-Options"] == "DENY"
    form = Fields(page).values
    ours = f"http://{site.host}"
    for path in ("/start", "/plan", "/stop"):
        for wrong in (
            {"Origin": "http://evil.example"},
            {"Origin": "null"},
            {"Origin": ours, "Sec_Fetch_Site": "cross-site"},
            {"Origin": ours, "Cookie": ""},
        ):
            assert site.ask(path, form, **wrong)[0] == 403, (path, wrong)
        assert site.ask(path, form | {"form": "wrong"}, Origin=ours)[0] == 403
        assert site.ask(path)[0] == 405, "no link starts anything"
    assert not (site.root / "experiments").exists()


def test_the_form_has_each_parameter_and_refuses_as_the_command_line_does(site):
    page = html.unescape(site.ask("/")[1])
    own = page.index('class="name">1_draw')
    shared = page[page.index("Of several notebooks") : own]
    assert re.findall(r"<code>(\w+)</code>", shared) == ["seed"]
    assert "of the draw" in shared and "of the mean" in shared
    named = re.findall(r'data-name="(\w+)"', page[own:])
    assert named == ["numbers", "stamp", "wait"]
    assert "to be &lt;averaged&gt;" in site.ask("/")[1]
    assert "computed: '-'.join('ab')" in page and "MEAN_KEY" in page
    assert Fields(page).values["set:numbers"] == "[1, 2]"
    assert "set:path" not in Fields(page).values and "set:key" not in Fields(page).values

    status, page = site.send("/plan")
    assert status == 200 and page.count("would run: first run") == 2
    # what is wrong with each field is said at it, in the words of the command line
    status, page = site.send("/start", **{"set:seed": "x", "set:numbers": "[1, 2"})
    assert status == 400 and "Nothing was started: 2 to correct" in page
    faults = re.findall(r'class="fault" id="fault-\S+">([^<]*)', page)
    assert faults[0] == "seed=x: seed is of type int in 1_draw"
    assert faults[1].startswith("numbers, line 1: not YAML:")
    assert page.count("aria-invalid=true") == 2 and Fields(page).values["set:seed"] == "x"
    status, page = site.send("/start", which="only")
    assert status == 400 and "choose at least one stage" in page
    status, page = site.send("/plan", which="only", only="2_mean", **{"set:wait": "True"})
    assert status == 400 and "wait is of 1_draw, which this run leaves out" in page
    assert not list(site.root.glob("experiments/runs/*"))


def test_a_run_is_started_followed_and_read(site):
    assert site.send("/start", **{"set:numbers": "[3, 5,\r\n 10]", "set:seed": "8"})[0] == 303
    state = site.ended()
    (run,) = manifests(site.root)
    assert run["status"] == "succeeded" and run["parameters"] == {"numbers": [3, 5, 10], "seed": 8}
    assert f"Run {run['id']} succeeded" in state["summary"]
    assert "the mean is 6" in state["html"] and 'class="verdict warning"' in state["html"]  # 18 / 3
    assert state["lines"][0] == "1_draw started: first run" and "a long secret" not in str(state)
    assert (
        json.loads(site.ask(f"/progress?of={state['of']}&after=3")[1])["lines"]
        == (state["lines"][3:])
    )
    # the form is as it was, and what it would do now is nothing
    fields = Fields(site.ask("/")[1]).values
    assert (fields["set:seed"], Fields(site.ask("/?defaults")[1]).values["set:seed"]) == ("8", "7")

    # for one notebook alone; then those of both, as an earlier run has had them
    assert site.send("/plan", others="2_mean.seat=9")[0] == 400
    asked = {"set:numbers": "[3, 5, 10]", "set:seed": "8", "others": "mean.seed=9"}
    assert "1_draw</dt><dd>up to date" in site.send("/plan", **asked)[1]
    assert site.send("/start", **asked)[0] == 303
    site.ended()
    assert [stage["parameters"]["seed"] for stage in manifests(site.root)[1]["stages"]] == [8, 9]
    first, second = (
        Fields(site.ask(f"/?again={each['id']}")[1]).values for each in manifests(site.root)
    )
    assert (first["set:numbers"], first["set:seed"], first["others"]) == ("[3, 5, 10]", "8", "")
    assert (second["set:numbers"], second["set:seed"]) == ("[3, 5, 10]", "7")
    assert second["others"] == "1_draw.seed=8\n2_mean.seed=9"
    assert f"/?again={run['id']}#parameters" in site.ask("/")[1]
    status, page, _ = site.ask("/?again=nowhere")
    assert status == 400 and "that run is none of the last ones any more" in page

    kept, index = re.search(r'href="(/kept/[^/]+/)(index\.html)"', state["html"]).groups()
    stranger = Site(site.process, site.root, site.url)  # the address is enough, for reading
    for name in (index, f"runs/{run['id']}/2_mean.html"):
        status, page, headers = stranger.ask(kept + name)
        assert status == 200 and "the mean is 6" in page
        assert headers["Content-Security-Policy"].startswith("sandbox allow-scripts ")
        assert "allow-same-origin" not in headers["Content-Security-Policy"]
    experiments = site.root / "experiments"
    (experiments / "out.txt").symlink_to(site.root / "draw.txt")
    (experiments / "model.pkl").write_bytes(b"3 5 10")
    (experiments / ".open-1.html").write_text("3 5 10")  # such as the file with the token
    os.mkfifo(experiments / "pipe.txt")
    for name in (
        "../run_all.py",
        "../draw.txt",
        "%2e%2e/draw.txt",
        "..%2fdraw.txt",
        "runs/../../draw.txt",
        f"/{site.root}/draw.txt",
        "out.txt",
        "pipe.txt",
        "model.pkl",
        ".open-1.html",
        "runs",
        "no%00.txt",
    ):
        status, text, _ = site.ask(kept + name)
        assert status != 200 and "3 5 10" not in text, name
    (experiments / "pipe.txt").unlink()


def test_a_run_is_stopped_and_another_one_is_not_started_beside_it(site):
    with only_run(site.root / "experiments", "a run of somebody else"):
        assert site.send("/start", which="force")[0] == 303
        state = site.ended()
    assert "refused" in state["summary"]
    assert "a run of somebody else, process" in html.unescape(state["html"])
    before = len(manifests(site.root))

    assert site.send("/start", **{"set:wait": "True"})[0] == 303
    wait_for(lambda: "1_draw cell 3/3" in str(site.progress()["lines"]))
    assert site.progress()["running"] and '<progress value="3" max="3"' in site.progress()["html"]
    status, page = site.send("/start")
    assert status == 400 and "a run that was started here is going on" in page
    assert site.send("/stop")[0] == 303
    state = site.ended()
    *_, run = manifests(site.root)
    assert len(manifests(site.root)) == before + 1 and run["status"] == "interrupted"
    assert f"Run {run['id']} interrupted" in state["summary"] and not family(site.root)


def test_ctrl_c_ends_a_run_too_and_the_next_server_shows_it(site, request):
    assert site.send("/start", **{"set:wait": "True"})[0] == 303
    wait_for(lambda: "1_draw cell 3/3" in str(site.progress()["lines"]))
    said = site.stop()
    assert "the run in progress is asked to stop" in said and "interrupted" in said
    *_, run = manifests(site.root)
    assert run["status"] == "interrupted" and not family(site.root)
    again = request.getfixturevalue("next_site")
    assert again.ask("/", Cookie=site.cookie)[0] == 403, "its token is another one"
    assert f"Run {run['id']} interrupted" in again.progress()["summary"]
    assert "wait = True" in again.ask("/")[1]


def test_what_cannot_be_served_is_refused_in_a_sentence(tmp_path, capsys, monkeypatch):
    write_notebook(tmp_path / "notebooks/1_draw.ipynb", *DRAW)

    def refusal(*arguments: str) -> str:
        assert main([Stage("1_draw")], tmp_path, "Numbers", argv=["--ui", *arguments]) == 2
        return capsys.readouterr().err

    assert "chosen on the page; leave out --set" in refusal("--set", "seed=8")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert f"port {port} cannot be used" in refusal("--port", port)
    monkeypatch.setitem(sys.modules, "flask", None)
    assert "has no flask" in refusal() and not (tmp_path / "experiments").exists()


def test_what_a_killed_page_has_left_holds_no_later_one_up(tmp_path, monkeypatch):
    """In a container both have the same process number, and so the same name for their file."""
    write_notebook(tmp_path / "notebooks/1_draw.ipynb", *DRAW)
    left = tmp_path / f"experiments/.open-{os.getpid()}.html"
    left.parent.mkdir()
    left.write_text("of the killed one")
    shown: list[str] = []

    def show(file: Path) -> None:
        shown.append(file.read_text())
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "open_page", show)
    asked = ["--ui", "--open", "--port", "0"]
    assert main([Stage("1_draw", writes={"path": "draw.txt"})], tmp_path, "Numbers", argv=asked)
    assert len(shown) == 1 and "http://127.0.0.1:" in shown[0] and not left.exists()


def test_a_reader_starts_a_run_in_a_browser_and_follows_it_to_its_report(next_site, browser):
    wrong: list[str] = []
    with browser.new_context(viewport={"width": 390, "height": 800}) as tab:
        page = tab.new_page()
        page.on("console", lambda said: wrong.append(said.text))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.goto(next_site.url)
        page.wait_for_url(f"http://{next_site.host}/")
        box = page.get_by_label("numbers")
        box.fill("[2, 4]")
        expect(page.locator("#changed")).to_have_text("Changed: numbers.")
        page.get_by_role("button", name="Start", exact=True).click()
        expect(page.get_by_role("status").first).to_have_text(
            re.compile(r"Run \S+ succeeded after .*"), timeout=300_000
        )
        assert not barriers(page)
        wide = "document.documentElement.scrollWidth"
        assert page.evaluate(wide) == 390
        page.get_by_role("link", name="The notebook 2_mean").click()
        expect(page.get_by_text("the mean is 3").first).to_be_visible()  # 6 / 2
        page.get_by_role("link", name="The notebook 1_draw").first.click()
        expect(page.get_by_role("heading", name="The notebook 1_draw")).to_be_visible()
        page.go_back()
        page.go_back()
        expect(box).to_have_value("[2, 4]")
        assert next_site.stop() == ""
        wait_until(page, lambda: "does not answer" in page.locator("#summary").inner_text())
        refused = [text for text in wrong if "ERR_CONNECTION_REFUSED" not in text]
        assert not refused
