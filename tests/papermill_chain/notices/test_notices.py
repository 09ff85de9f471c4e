"""--notify: who gets word of which runs, what it says, and that it neither fails nor leaks."""

import json
import sys
from pathlib import Path

import pytest
from toy import HEADLINE, run, write_notebook
from wordservers import closed_port, endless_server, mail_server, web_server

from papermill_chain.chain.parameters import ChainError
from papermill_chain.chain.stages import Stage
from papermill_chain.notices import mail, sending
from papermill_chain.notices.message import notice_of
from papermill_chain.notices.webhook import webhook_at
from papermill_chain.runs.lookup import read_runs
from papermill_chain.started import refuse_incomplete_python

CHAIN = [Stage("1_look", writes={"seen": "seen.txt"}), Stage("2_judge", reads={"seen": "seen.txt"})]
PASSWORD, PATH = "a password of a mail server", "/services/T0/B0/only-we-know"
#: What a notebook may say that is to be no header of a mail, no link and no call to people.
SAID = "<b>Half</b> of 10 & <!channel>\nBcc: everybody@example.org"


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("word") / "project"
    write_notebook(
        root / "notebooks/1_look.ipynb",
        'seen: str = "../seen.txt"',
        """
        import os, pathlib
        secrets = "a password of a mail " + "server", "only-we-" + "know"
        known = [k for k, v in os.environ.items() if any(each in v for each in secrets)]
        pathlib.Path(seen).write_text(f"secrets in the environment: {known}")
        """,
    )
    write_notebook(
        root / "notebooks/2_judge.ipynb",
        'seen: str = "../seen.txt"\nmood: str = "good"',
        f"""
        said = {{"text": {SAID!r}, "verdict": "stop", "figures": {{"share": {{"value": 0.5}}}}}}
        display({{"{HEADLINE}": said, "text/plain": ""}}, raw=True)
        """,
        """
        if mood == "bad":
            raise ValueError(f"the mood is {mood}")
        """,
    )
    return root


def notified(*targets: str) -> list[str]:
    return [part for target in targets for part in ("--notify", target)]


def no_secret_in(root: Path, text: str) -> bool:
    """Whether neither a text nor any file of a project has a secret."""
    files = [file for file in root.rglob("*") if file.is_file()]
    kept = [file.read_text("utf-8", "replace") for file in files]
    assert any('"status": "succeeded"' in each for each in kept)
    return not any(secret in each for secret in (PASSWORD, PATH) for each in [text, *kept])


def test_word_of_a_good_and_of_a_failed_run(project, monkeypatch, capfd):
    """Five targets, of which three fail, each in its way; then nothing to do; then a failure."""
    with mail_server() as letters, web_server() as (web, posted):
        monkeypatch.setenv("SMTP_HOST", "127.0.0.1")
        monkeypatch.setenv("SMTP_PORT", str(letters.port))
        monkeypatch.setenv("SMTP_TLS", "none")
        monkeypatch.setenv("SMTP_USER", "chain@example.org")
        monkeypatch.setenv("SMTP_PASSWORD", PASSWORD)
        monkeypatch.setenv("HOOK", web + PATH)
        closed = closed_port()
        troubled = [f"{web}/500", f"{web}/redirect", f"http://localhost:{closed}{PATH}"]
        to = "mailto:a@example.org,b@example.org?subject=Daily"
        assert run(project, *notified(to, "env:HOOK", *troubled), chain=CHAIN) == 0
        out, err = capfd.readouterr()
        assert "Sent word to mailto:a@example.org,b@example.org\n" in out
        assert "Sent word to env:HOOK\n" in out
        assert f"no word could be sent to {web}/…: the server answered 500" in err
        assert "the server answered 302 and points to another address" in err
        assert f"no word could be sent to http://localhost:{closed}/…: Connection refused" in err
        assert (project / "seen.txt").read_text() == "secrets in the environment: []"
        assert no_secret_in(project, out + err)

        # the mail: to two, signed in, with the report of the stage that says stop
        (letter,) = letters.mails
        assert letters.passwords == [f"\0chain@example.org\0{PASSWORD}"]
        assert [line for line in letters.commands if line.startswith("rcpt")] == [
            "rcpt TO:<a@example.org>",
            "rcpt TO:<b@example.org>",
        ]
        assert letter["Subject"] == "Daily: 2_judge says stop" and letter["Bcc"] is None
        said = letter.get_body().get_content().replace("\r\n", "\n")
        assert "2_judge succeeded, stop: <b>Half</b> of 10 & <!channel> Bcc: everybody" in said
        assert "1_look succeeded\n" in said and "share: 0.5\n" in said
        (report,) = letter.iter_attachments()
        assert report.get_filename() == "2_judge.html"
        newest = read_runs(project / "experiments")[0].folder
        assert report.get_content() == (newest / "2_judge.html").read_text("utf-8")

        # the address: all of it by name, and to nobody else
        assert sorted(path for path, _ in posted) == sorted([PATH, "/500", "/redirect"])
        content = next(each for path, each in posted if path == PATH)
        assert content["status"] == "succeeded" and content["verdict"] == "stop"
        assert content["failure"] is None and content["figures"]["share"]["value"] == 0.5
        assert content["stages"][1]["headline"] == SAID

        # nothing to do: word of it only if asked for
        monkeypatch.setenv("SMTP_PASSWORD", PASSWORD)
        assert run(project, "--quiet", *notified(to), chain=CHAIN) == 0
        assert len(letters.mails) == 1
        monkeypatch.setenv("SMTP_PASSWORD", PASSWORD)
        assert run(project, "--json", *notified(to), "--notify-on", "always", chain=CHAIN) == 0
        assert letters.mails[1]["Subject"] == "Daily: nothing to do, all is up to date"
        event = json.loads(capfd.readouterr().out.splitlines()[-1])
        assert event["event"] == "notified" and event["trouble"] is None

        # a failure: after parameters, those injected and the headline the fourth cell raises; the
        # report is too large for the mail this time
        monkeypatch.setattr(mail, "LARGEST_REPORT", 1000)
        monkeypatch.setenv("SMTP_PASSWORD", PASSWORD)
        bad = ["--set", "mood=bad", "--notify-on", "failure"]
        assert run(project, *bad, *notified(to, web), chain=CHAIN) == 1
        assert letters.mails[2]["Subject"] == "Daily: 2_judge failed"
        text = letters.mails[2].get_content()  # one part: nothing is attached
        assert "in cell 4, under “What it does”: ValueError: the mood is bad" in text
        assert "The report is not attached: it is larger than 0 MB" in text
        assert posted[-1][1]["failure"] == {
            "stage": "2_judge",
            "cell": 4,
            "heading": "What it does",
            "error": "ValueError: the mood is bad",
        }

        # refused: nothing ran, and somebody may wait for it
        assert run(project, "--set", "moot=1", *notified(web), chain=CHAIN) == 2
        assert posted[-1][1]["status"] == "refused" and "moot" in posted[-1][1]["reason"]
        before = len(posted)
        assert run(project, "--dry-run", "--set", "moot=1", *notified(web), chain=CHAIN) == 2
        assert len(posted) == before  # somebody sits before it


def test_chat_programs_get_their_own_form_and_no_links(project):
    notice = notice_of(read_runs(project / "experiments")[-1])
    slack = webhook_at("https://hooks.slack.com/services/x", "").body(notice)
    assert slack["text"] == "Toy: 2_judge says stop"
    assert {block["text"]["type"] for block in slack["blocks"]} == {"plain_text"}
    assert "<!channel>" in slack["blocks"][1]["text"]["text"]  # shown as it is
    for host in ("x.webhook.office.com", "prod-1.westeurope.logic.azure.com"):
        teams = webhook_at(f"https://{host}/x", "").body(notice)
        card = teams["attachments"][0]["content"]
        assert card["type"] == "AdaptiveCard"
        runs = [run for block in card["body"] for run in block["inlines"]]
        assert {run["type"] for run in runs} == {"TextRun"} and "stop" in runs[0]["text"]
    assert "stages" in webhook_at("https://logic.azure.com.example.org/x", "").body(notice)


def test_a_server_that_comes_to_no_end_is_not_waited_for(project, monkeypatch, capfd):
    monkeypatch.setattr(sending, "SECONDS", 0.3)
    with endless_server() as port:
        always = ["--notify-on", "always", *notified(f"http://127.0.0.1:{port}{PATH}")]
        assert run(project, *always, chain=CHAIN[:1]) == 0
    said = f"no word could be sent to http://127.0.0.1:{port}/…: no answer within 0.3 s"
    assert said in capfd.readouterr().err


def test_no_password_travels_in_the_open(project, monkeypatch, capfd):
    """A server without TLS where TLS is asked for, by default and by name, gets no password."""
    with mail_server() as letters:
        for tls, why in {"": "the server offers no STARTTLS", "ssl": "SSL"}.items():
            environment = {"HOST": "localhost", "PORT": letters.port, "TLS": tls}
            environment |= {"USER": "chain@example.org", "PASSWORD": PASSWORD}
            for name, value in environment.items():
                monkeypatch.setenv(f"SMTP_{name}", str(value))
            asked = [*notified("mailto:a@example.org"), "--notify-on", "always"]
            assert run(project, *asked, chain=CHAIN[:1]) == 0
            assert why in capfd.readouterr().err
        assert not letters.passwords and not letters.mails
        assert not any("AUTH" in command.upper() for command in letters.commands)


SMTP = {"HOST": "mail.example.org", "FROM": "chain@example.org"}


@pytest.mark.parametrize(
    ("target", "environment", "why"),
    [
        ("mailto:a@example.org", {}, "set SMTP_HOST"),
        ("mailto:a@example.org", {"HOST": "h"}, "SMTP_FROM is no mail address"),
        ("mailto:a@example.org", SMTP | {"USER": "u"}, "SMTP_USER and SMTP_PASSWORD go together"),
        ("mailto:a@example.org", SMTP | {"PORT": "x"}, "SMTP_PORT is x"),
        ("mailto:a@example.org", SMTP | {"TLS": "no"}, "SMTP_TLS is no"),
        (
            "mailto:a@example.org",
            SMTP | {"USER": "u", "PASSWORD": PASSWORD, "TLS": "none"},
            "would travel to mail.example.org in the open",
        ),
        ("mailto:a", SMTP, "a is no mail address"),
        ("mailto:a@example.org,", SMTP, "nothing is no mail address"),
        ("mailto:a@example.org%0aBcc:b@example.org", SMTP, "is no mail address"),
        ("mailto:a@example.org?subject=x%0aBcc:b@example.org", SMTP, "line break"),
        ("mailto:a@example.org?bcc=b@example.org", SMTP, "not bcc"),
        (f"http://example.org{PATH}", {}, "http:// only leads to this machine"),
        (f"https://user:word@example.org{PATH}", {}, "a name or password"),
        (f"https://example.org:port{PATH}", {}, "no address on the web"),
        (f"https://example.org{PATH} x", {}, "no address on the web"),
        (f"hooks.slack.com{PATH}", {}, "--notify hook… is none that it takes"),
        ("env:NOT_SET", {}, "no variable NOT_SET"),
        (f"https://example.org{PATH}", {"option": "--ask"}, "unrecognized arguments: --ask"),
        (f"https://example.org{PATH}", {"option": f"https://e.org{PATH}"}, "https://e.org/…"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_runs(
    project, monkeypatch, capfd, target, environment, why
):
    for name in ("HOST", "PORT", "TLS", "USER", "PASSWORD", "FROM"):
        monkeypatch.delenv(f"SMTP_{name}", raising=False)
    option = [environment[name] for name in environment if name == "option"]
    for name, value in environment.items():
        monkeypatch.setenv(f"SMTP_{name}", value)
    before = len(list(project.glob("experiments/runs/*")))
    try:
        code = run(project, "--force", *notified(target), *option, chain=CHAIN)
    except SystemExit as left:  # argparse
        code = left.code
    err = capfd.readouterr().err
    assert code == 2 and why in err
    assert PATH not in err and PASSWORD not in err and "user:word" not in err
    assert len(list(project.glob("experiments/runs/*"))) == before


def test_command_that_is_to_be_repeated_shows_no_address(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["run_all.py", "--notify", f"https://e.org{PATH}?key=1"])
    with pytest.raises(ChainError) as refused:
        refuse_incomplete_python(["no_such_module"])
    assert PATH not in str(refused.value) and "https://e.org/…" in str(refused.value)
