"""What the command line says of a request that it does not understand."""

import warnings

import pytest

from creditrisk.cli import main
from creditrisk.serving import http_server


@pytest.mark.parametrize(
    ("asked", "usage"),
    [
        (["predict", "--models", "models/mine", "loans.csv"], "usage: creditrisk predict"),
        (["contract", "draft", "loans.csv", "--target", "b", "--x"], "creditrisk contract draft"),
        (["verify-log", "--x"], "usage: creditrisk "),
    ],
)
def test_an_option_that_a_command_does_not_know_is_refused_with_what_it_knows(asked, usage, capsys):
    with pytest.raises(SystemExit) as refusal:
        main(asked)
    said = capsys.readouterr().err
    assert refusal.value.code == 2 and usage in said


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        (["serve", "--decision-log", ""], "decision-log"),
        (["predict", "--data", ""], "data"),
        (["outcomes", "add", "outcomes.csv", "--log", ""], "log"),
        (["serve", "--allow-host", "loans.example", "--allow-host", ""], "allow-host"),
    ],
)
def test_an_empty_value_is_refused_and_does_not_mean_the_default(asked, name, capsys):
    with pytest.raises(SystemExit) as refusal:
        main(asked)
    assert refusal.value.code == 2
    assert f"{name} is empty; give a value, or leave it out" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (["--port", "http"], "argument --port: give 0 to 65535"),
        (["--watch", "often"], "argument --watch: give 0.1 to 86400 seconds"),
    ],
)
def test_what_is_no_number_is_refused_with_what_is_allowed(asked, words, capsys):
    with pytest.raises(SystemExit) as refusal:
        main(["serve", *asked])
    assert refusal.value.code == 2 and words in capsys.readouterr().err


@pytest.mark.parametrize("token", ["tök€n", "s3cret\n", " s3cret"])
@pytest.mark.parametrize("command", ["serve", "predict"])
def test_a_token_that_no_request_can_carry_is_refused(command, token, monkeypatch, capsys):
    monkeypatch.setenv("CREDITRISK_TOKEN", token)
    assert main([command]) == 2
    assert "CREDITRISK_TOKEN holds what no request can carry" in capsys.readouterr().err


@pytest.mark.parametrize("host", ["ü..x", "a name.invalid"])
def test_a_host_that_nobody_knows_is_refused(host):
    with pytest.raises(OSError, match="(?i)name"):
        http_server._listeners(None, {}, host, 0, 1)


def test_a_server_starts_where_every_warning_is_an_error():
    sockets: dict = {}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (listener,) = http_server._listeners(lambda environ, answer: [], sockets, "127.0.0.1", 0, 1)
    assert listener.effective_host == "127.0.0.1"
    for each in list(sockets.values()):
        each.close()


@pytest.mark.parametrize(
    "url", ["http://ü..x", "http://127.0.0.1:1/ü", "http://127.0.0.1:1/a b", "http://h:x"]
)
def test_what_is_no_address_is_refused_at_once(url, capsys):
    assert main(["predict", "--url", url]) == 2
    assert f"{url} is no address of a server" in capsys.readouterr().err


def test_a_port_that_is_taken_is_refused_with_what_to_do(monkeypatch, capsys):
    def taken(*arguments, **more):
        raise OSError(98, "Address already in use")

    monkeypatch.setattr(http_server, "serve", taken)
    assert main(["serve", "--port", "8001"]) == 2
    assert capsys.readouterr().err == (
        "creditrisk: cannot listen on 127.0.0.1:8001 ([Errno 98] Address already in use); "
        "choose with --host and --port\n"
    )
