"""Posts applications to a server of ours or of MLflow's, and shows what it decided."""

import sys

from creditrisk.data.applications.examples import applications
from creditrisk.data.contract import Json
from creditrisk.serving.client.applications import find_contract, labelled, read
from creditrisk.serving.client.posting import Endpoint, Outcome, post

NAMED = 3  # records that are named of those of which the same is said


def table(outcomes: list[Outcome]) -> str:
    """The decisions as lines of text, each with what it assumes and its reasons below it."""
    lines = [f"{'record':>6}  {'prediction':<12}  {'decision':<8}  {'P(good risk)':>12}"]
    for outcome in outcomes:
        for number, decision in enumerate(outcome.decisions, outcome.first):
            prediction = f"{decision['prediction']} ({'good' if decision['prediction'] else 'bad'})"
            lines.append(
                f"{number:>6}  {prediction:<12}  {decision['decision']:<8}"
                f"  {decision['probability']:>12.4f}"
            )
            notes = [*(decision.get("assumed") or ()), *decision.get("reasons", ())]
            words = [note["words"] for note in notes] + _more(decision)
            lines += [f"{'':8}- {each}" for each in words]
    return "\n".join(lines)


def _more(decision: Json) -> list[str]:
    """What is said of extrapolation and recourse below a decision."""
    beyond = decision.get("outside_training", ())
    lines = [f"{name} is beyond what the model has learned from" for name in beyond]
    recourse = decision.get("recourse")
    if recourse is not None:
        found = [f"recourse: {each['words']}" for each in recourse]
        if not decision.get("recourse_complete", True):
            found.append("recourse: not searched to the end, there may be a smaller change")
        lines += found or ["recourse: none within three columns"]
    return lines


def once(words: list[str]) -> list[str]:
    """What is said of records, each thing once with the numbers of the first records it is of."""
    said: dict[str, list[str]] = {}
    for line in words:
        record, _, text = line.partition(": ")
        if record.startswith("record ") and (number := record[7:]).isdecimal():
            said.setdefault(text, []).append(number)
        else:
            said.setdefault(line, [])
    lines = []
    for text, numbers in said.items():
        first, more = ", ".join(numbers[:NAMED]), len(numbers) - NAMED
        many = "s" if len(numbers) > 1 else ""
        beyond = f" and {more:,} more" if more > 0 else ""
        lines.append(f"record{many} {first}{beyond}: {text}" if numbers else text)
    return lines


def predict(
    path: str | None,
    url: str,
    endpoint: Endpoint,
    contract: str | None,
    token: str | None = None,
    reasons: bool = False,
    recourse: bool = False,
    blank_is_level: bool = False,
) -> int:
    """Send a file's applications, print the decisions, and return the exit code.

    Parameters
    ----------
    path
        JSON or CSV, ``-`` for standard input; None sends three made-up applications.
    contract
        A ``manifest.json`` or ``datapackage.json``, needed for CSV and made-up applications.
    blank_is_level
        Whether a blank in the file stands for the level that the contract names; the server is
        sent that name.

    Raises
    ------
    Unreadable, NoAnswer
    """
    records = applications(find_contract(contract)) if path is None else read(path, contract)
    if blank_is_level:
        records = labelled(records, find_contract(contract))
    outcomes = list(post(records, url, endpoint, token, reasons, recourse))
    if any(outcome.decisions for outcome in outcomes):
        print(table(outcomes))
    for line in once([line for outcome in outcomes for line in outcome.refusal]):
        print(line, file=sys.stderr)
    return 1 if any(outcome.refusal for outcome in outcomes) else 0
