"""What the command line says of a request that it does not understand."""

import pytest

from creditrisk.cli import main


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
