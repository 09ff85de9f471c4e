"""The checklist of a bundle: what was checked, where it stands, and what was not checked."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup

from creditrisk.data.contract import Json
from creditrisk.evidence.run_files import Evidence
from page_style.style import house_style

PAGES = Path(__file__).parent / "pages"

#: Largest distance of the scorecard's SQL from its model, a rounding.
ROUNDING = 1e-9


class State(StrEnum):
    """Where a question stands."""

    SHOWN = "shown"
    OPEN = "open"  # checked, and not shown or not kept
    FAILED = "failed"
    UNCHECKED = "not checked"


@dataclass(frozen=True)
class Item:
    """One question of a reviewer, and its answer by this run."""

    part: str
    question: str
    state: State
    answer: str
    report: str = ""  # where it stands, in the bundle


_OF_VERDICT = {
    "passed": State.SHOWN,
    "warning": State.OPEN,
    "not judged": State.UNCHECKED,
    "waits for approval": State.OPEN,
    "stop": State.FAILED,
    "failed": State.FAILED,
}


def checklist(evidence: Evidence) -> list[Item]:
    """Every question that the run answers or leaves open, by part.

    A question whose notebook did not run is listed as not checked.
    """
    found = [
        *_data(evidence),
        *_methodology(evidence),
        *_choice(evidence),
        *_gate(evidence),
        *_explanation(evidence),
        *_use(evidence),
        *_limits(evidence),
    ]
    return [_without_dead_link(item, evidence) for item in found]


def page(evidence: Evidence, items: list[Item], signed: tuple[str, str] | None = None) -> str:
    """The checklist as a page.

    Parameters
    ----------
    signed
        Who has signed it and when, as they have it; None leaves a line to sign on.
    """
    environment = Environment(
        loader=FileSystemLoader(PAGES), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    by_part: dict[str, list[Item]] = {}
    for item in items:
        by_part.setdefault(item.part, []).append(item)
    registered = evidence.figures.get("registration", {})
    return environment.get_template("checklist.html.j2").render(
        style=Markup(house_style()),
        run=evidence.run,
        model=registered.get("model"),
        version=registered.get("version"),
        counts={state: sum(item.state == state for item in items) for state in State},
        parts=by_part,
        signed=signed,
        reports=[
            (stage["title"], f"reports/{stage['report']}")
            for stage in evidence.stages
            if f"reports/{stage.get('report')}" in evidence.files
        ],
        files=sorted(evidence.files),
        left_out=evidence.left_out,
    )


def _without_dead_link(item: Item, evidence: Evidence) -> Item:
    report = item.report if item.report in evidence.files else ""
    return Item(item.part, item.question, item.state, item.answer, report)


def _stage(evidence: Evidence, word: str) -> Json:
    """The record of a notebook, by a word of its name; empty if it is not of the run."""
    return next((stage for stage in evidence.stages if stage["name"].endswith(word)), {})


def _report(stage: str) -> str:
    return f"reports/{stage}.html"


def _data(evidence: Evidence) -> Iterator[Item]:
    part, explored = "Data", evidence.figures.get("exploration")
    prepared = evidence.figures.get("preparation")
    raw: dict[str, str] = _stage(evidence, "preparation").get("reads", {})
    files = ", ".join(f"{Path(name).name} (sha256 {sha[:12]})" for name, sha in raw.items())
    yield Item(
        part,
        "Is it known from which files the model was made?",
        State.SHOWN if files else State.UNCHECKED,
        files or "the preparation did not run",
        _report("02_preparation"),
    )
    if explored is None or prepared is None:
        yield Item(part, "Were the data explored?", State.UNCHECKED, "the notebooks did not run")
        return
    gaps = {name: share for name, share in explored["missing"].items() if share}
    named = ", ".join(f"{name} {share:.0%}" for name, share in gaps.items())
    rows = explored["applications"]
    yield Item(
        part,
        "Were missing values looked at?",
        State.SHOWN,
        f"{rows:,} applications; missing: {named or 'nothing'}",
        _report("01_eda"),
    )
    bad = explored["bad_rate"]
    yield Item(
        part,
        "Is the share of bad risks known?",
        State.SHOWN,
        f"{bad['estimate']:.1%} ({bad['low']:.1%} to {bad['high']:.1%})",
        _report("01_eda"),
    )
    alike = prepared["alike"]
    yield Item(
        part,
        "Is nobody both in the training set and in the test set?",
        State.OPEN if alike else State.SHOWN,
        f"{prepared['training']:,} and {prepared['test']:,} applications; "
        f"{alike or 'no'} row{'' if alike == 1 else 's'} alike in both",
        _report("02_preparation"),
    )


def _methodology(evidence: Evidence) -> Iterator[Item]:
    review = evidence.figures.get("review")
    part = "Methodology"
    if review is None:
        yield Item(part, "Were the methodology checks made?", State.UNCHECKED, "08 did not run")
        return
    for check in review["checks"]:
        state = _OF_VERDICT[check["verdict"]]
        yield Item(part, check["check"], state, check["figure"], _report("08_review"))


def _choice(evidence: Evidence) -> Iterator[Item]:
    part, won = "Choice of the model", evidence.figures.get("champion")
    if won is None:
        yield Item(part, "Were models compared?", State.UNCHECKED, "the comparison did not run")
        return
    yield Item(
        part,
        "Were models compared on the same folds?",
        State.SHOWN,
        f"{won['folds']} folds, {won['repeats']} times; the champion is {won['model']}",
        _report("03_comparison"),
    )
    ties = won["not_distinguishable_from"]
    yield Item(
        part,
        "Is the champion better than the others?",
        State.OPEN if ties else State.SHOWN,
        f"not distinguishable from {', '.join(ties)}" if ties else "better than each of them",
        _report("03_comparison"),
    )
    refits = (evidence.figures.get("registration") or {}).get("refits")
    yield Item(
        part,
        "Do decisions stay where the training set is drawn again?",
        State.UNCHECKED if refits is None else State.SHOWN,
        _refits(refits) if refits else "the model was not refitted",
        _report("04_registration"),
    )


def _refits(refits: Json) -> str:
    return (
        f"{refits['turned']:.1%} of what {refits['refits']} refits decide differs from their "
        f"majority; {refits['unsteady']:.1%} of {refits['judged']:,} applicants are decided "
        "otherwise by a fifth of them or more"
    )


def _gate(evidence: Evidence) -> Iterator[Item]:
    part, found = "Promotion gate: the model …", evidence.figures.get("validation")
    if found is None:
        yield Item(part, "Was it validated?", State.UNCHECKED, "the validation did not run")
        return
    where = _report("05_validation")
    for rule in found["rules"]:
        yield Item(part, rule["rule"], _OF_VERDICT[rule["verdict"]], rule["figure"], where)
    for risk in sorted(found["risks"], key=lambda risk: -risk["weight"]):
        yield Item("Risks that the validation names", risk["text"], State.OPEN, "", where)


def _explanation(evidence: Evidence) -> Iterator[Item]:
    part, found = "Explanation", evidence.figures.get("explanation")
    if found is None:
        yield Item(part, "Are decisions explained?", State.UNCHECKED, "06 did not run")
        return
    where = _report("06_explanation")
    yield Item(
        part,
        "Is it known which columns decide?",
        State.SHOWN,
        ", ".join(row["field"] for row in found["importance"][:3]) + " most",
        where,
    )
    raised = found["raised_by_strongest_reason"]
    yield Item(
        part,
        "Does the strongest reason of a decline hold when it is tried?",
        State.UNCHECKED if raised is None else State.SHOWN if raised == 1 else State.OPEN,
        "nobody is declined" if raised is None else f"for {raised:.1%} of {found['declined']:,}",
        where,
    )
    apart = found["scorecard"]["sql_apart"]
    yield Item(
        part,
        "Is the scorecard's query the scorecard?",
        State.SHOWN if apart <= ROUNDING else State.FAILED,
        f"apart by {apart:.1e} at most",
        where,
    )


def _use(evidence: Evidence) -> Iterator[Item]:
    part, found = "Use", evidence.figures.get("validation")
    asked: Json = _stage(evidence, "validation").get("parameters", {})
    for name, question in (
        ("owner", "Does somebody answer for the model?"),
        ("review_by", "Is it said when it is to be reviewed?"),
    ):
        given = asked.get(name)
        state = State.SHOWN if given else State.OPEN
        yield Item(part, question, state, given or "nobody has said", _report("05_validation"))
    promoted, question = _promoted(evidence), "Is it recorded who put it into production, and why?"
    state, log = State.SHOWN if promoted else State.UNCHECKED, "provenance/promotions.jsonl"
    yield Item(part, question, state, promoted or "it was not", log)
    looks = (found or {}).get("looks") or {"looks": 0, "models": 0}
    times, models = looks["looks"], looks["models"]
    yield Item(
        part,
        "Is it recorded how often the test set was looked at?",
        State.SHOWN if times else State.UNCHECKED,
        "once" if times == 1 else f"{times:,} times, models: {models:,}" if times else "it was not",
        _report("05_validation"),
    )
    watched = "monitoring" in evidence.figures
    yield Item(
        part,
        "Is the model watched in use?",
        State.SHOWN if watched else State.UNCHECKED,
        evidence.figures["monitoring"].get("sentence", "see the report")
        if watched
        else "07 has not run on a log of decisions",
        _report("07_monitoring"),
    )


def _promoted(evidence: Evidence) -> str:
    """Who put the run's version into production last, and what has replaced it since."""
    version = evidence.figures.get("registration", {}).get("version")
    mine = [entry for entry in evidence.promotions if entry["to"] == version]
    if not mine:
        return ""
    text = f"{mine[-1]['who']}, {mine[-1]['time'][:10]}: {mine[-1]['reason']}"
    last = evidence.promotions[-1]
    replaced = f"; replaced by version {last['to']} on {last['time'][:10]}"
    return text if last is mine[-1] else text + replaced


def _limits(evidence: Evidence) -> Iterator[Item]:
    for limit in (evidence.figures.get("validation") or {}).get("limitations", ()):
        yield Item("What no figure covers", limit, State.UNCHECKED, "", _report("05_validation"))
