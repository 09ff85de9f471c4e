"""Made-up loan files whose truth is known: how each column acts on the risk, and how strongly.

Each of them shows what ordinary loan files hold and the German one does not. Beside the cells comes
the true probability of good of each row, so that a model can be compared with the best possible.

    python tests/loanfiles.py messy loans.csv

writes one of them.
"""

import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd


class LoanFile(NamedTuple):
    """A loan file as text, how it is to be written, and what nobody knows of a real one."""

    cells: pd.DataFrame  # every cell as the file has it
    writing: dict[str, Any]  # keyword arguments of DataFrame.to_csv
    probability: np.ndarray  # of good, one a row
    undated: np.ndarray  # log-odds of good but for the drift, which no application shows

    def write(self, path: Path) -> Path:
        """Write the file and return its path."""
        self.cells.to_csv(path, index=False, **self.writing)
        return path


def continuous(rows: int = 2000, seed: int = 0) -> LoanFile:
    """Mostly fractions; gaps, some of which matter; -999 for "never was late"; 7% go bad.

    The target is ``defaulted``, 1 for bad.
    """
    random = np.random.default_rng(seed)
    age = random.integers(21, 80, rows)
    income = np.exp(random.normal(8.1, 0.6, rows)).round(2)
    utilization = (random.beta(0.8, 1.6, rows) * 1.4).round(4)
    debt_ratio = random.gamma(2.0, 0.18, rows).round(5)
    late = random.poisson(0.35, rows)
    ever_late = random.random(rows) < 0.55
    since = random.integers(0, 120, rows)
    home = random.choice(["MORTGAGE", "OWN", "RENT"], rows, p=[0.5, 0.1, 0.4])
    no_income, no_ratio = random.random(rows) < 0.18, random.random(rows) < 0.05
    log_odds_of_bad = (
        2.2 * utilization
        + 0.8 * np.minimum(late, 4)
        + np.where(ever_late, 0.9 - 0.012 * since, -0.6)
        - 0.02 * (age - 45)
        + np.where(no_income, 0.5, -0.5 * (np.log(income) - 8.1))
        + np.where(no_ratio, 0.0, 0.9 * debt_ratio)
        + 0.3 * (home == "RENT")
    )
    good = _probability(log_odds_of_bad, 0.07)
    cells = pd.DataFrame(
        {
            "age": age.astype(str),
            "monthly_income": np.where(no_income, "NA", _text(income, 2)),
            "utilization": _text(utilization, 4),
            "debt_ratio": np.where(no_ratio, "NA", _text(debt_ratio, 5)),
            "times_late": late.astype(str),
            "months_since_late": np.where(ever_late, since.astype(str), "-999"),
            "home": home,
            "defaulted": np.where(random.random(rows) < good, "0", "1"),
        },
        dtype=object,
    )
    return LoanFile(cells, {}, good, -log_odds_of_bad)


def monthly(rows: int = 2400, seed: int = 0) -> LoanFile:
    """Loans granted in 48 months: the mix and the level of the risk drift; some are running still.

    The month of granting is ``issued`` ("Jan-2016"); the target is ``status``: "Fully Paid" is
    good, "Charged Off" is bad and "Current" is not known yet.
    """
    random = np.random.default_rng(seed)
    month = np.sort(random.integers(0, 48, rows))
    year = month / 12
    issued = pd.to_datetime({"year": 2016 + month // 12, "month": month % 12 + 1, "day": 1})
    score = random.normal(690 - 4 * year, 30).round().clip(580, 850).astype(int)
    amount = (np.exp(random.normal(9.2 + 0.06 * year, 0.6)) / 25).round().astype(int) * 25
    long = random.random(rows) < 0.2 + 0.06 * year
    grade = np.clip((5 + (690 - score) / 25 + random.normal(0, 0.8, rows)) // 1.6, 0, 6)
    born = issued - pd.to_timedelta(random.integers(8000, 24000, rows), unit="D")
    log_odds_of_bad = (
        0.3 * grade - 0.01 * (score - 690) + 0.5 * long + 0.35 * (np.log(amount) - 9.2)
    )
    good = _probability(log_odds_of_bad + 0.25 * year, 0.18)
    ended = np.where(random.random(rows) < good, "Fully Paid", "Charged Off")
    running = random.random(rows) < 0.25 * (month >= 36)
    cells = pd.DataFrame(
        {
            "issued": issued.dt.strftime("%b-%Y"),
            "born": born.dt.strftime("%Y-%m-%d"),
            "credit_score": score.astype(str),
            "amount": amount.astype(str),
            "term": np.where(long, " 60 months", " 36 months"),
            "grade": [chr(ord("A") + int(each)) for each in grade],
            "joint": np.where(random.random(rows) < 0.1, "TRUE", "FALSE"),
            "status": np.where(running, "Current", ended),
        },
        dtype=object,
    )
    return LoanFile(cells, {}, good, -log_odds_of_bad)


def messy(rows: int = 2000, seed: int = 0) -> LoanFile:
    """A spreadsheet's export in German: semicolons, decimal commas, percent signs, umlauts.

    It has numbers of customers, a constant column, free text, hundreds of towns, and an amount that
    is known only after the outcome. The target is ``Ausgang``: "gut" or "schlecht".
    """
    random = np.random.default_rng(seed)
    customer = random.permutation(rows * 7)[:rows] + 100_000
    rate = random.normal(7.5, 2.5, rows).clip(0.9, 19.9).round(1)
    amount = np.exp(random.normal(9.0, 0.8, rows)).round(2)
    days = random.integers(0, 1461, rows)
    opened = pd.Timestamp("2018-01-01") + pd.to_timedelta(days, unit="D")
    employed = random.random(rows) < 0.8
    town = np.minimum(random.zipf(1.6, rows), 400)
    risk_of_town = np.random.default_rng(7).normal(0, 0.5, 401)
    unknown = random.random(rows) < 0.1
    years = random.integers(0, 30, rows)
    log_odds_of_bad = (
        0.25 * (rate - 7.5)
        + 0.4 * (np.log(amount) - 9.0)
        - 0.8 * employed
        + risk_of_town[town]
        + np.where(unknown, 0.4, -0.05 * years)
    )
    good = _probability(log_odds_of_bad, 0.2)
    bad = random.random(rows) >= good
    recovered = np.where(bad, random.uniform(1, 900, rows), 0).round(2)
    words = ["Auto", "Küche", "neu", "gebraucht", "für", "die", "Familie", "Umzug", "Möbel", "bald"]
    sentences = [f"{' '.join(random.choice(words, 6))} {n}" for n in random.integers(1, 9999, rows)]
    cells = pd.DataFrame(
        {
            "Kundennummer": [f"K{number}" for number in customer],
            "Zinssatz": [f"{each}%" for each in _german(rate, 1)],
            "Betrag": _german(amount, 2),
            "Eröffnet": opened.strftime("%d.%m.%Y"),
            "Angestellt": np.where(employed, "ja", "nein"),
            "Ort": [f"Ort {number:03d}" for number in town],
            "Jahre im Beruf": np.where(unknown, "k.A.", years.astype(str)),
            "Währung": "EUR",
            "Verwendung": sentences,
            "Beigetrieben": _german(recovered, 2),
            "Ausgang": np.where(bad, "schlecht", "gut"),
        },
        dtype=object,
    )
    return LoanFile(cells, {"sep": ";", "encoding": "cp1252"}, good, -log_odds_of_bad)


def _probability(log_odds_of_bad: np.ndarray, share_bad: float) -> np.ndarray:
    """Probability of good; the log-odds are shifted until as many as wanted go bad on average."""
    low, high = -30.0, 30.0
    for _ in range(60):
        shift = (low + high) / 2
        bad = 1 / (1 + np.exp(-(log_odds_of_bad + shift)))
        low, high = (shift, high) if bad.mean() < share_bad else (low, shift)
    return np.asarray(1 - bad)


def _text(numbers: np.ndarray, digits: int) -> list[str]:
    return [f"{number:.{digits}f}" for number in numbers]


def _german(numbers: np.ndarray, digits: int) -> list[str]:
    """Numbers with a decimal comma, and points between thousands."""
    swapped = str.maketrans(",.", ".,")
    return [f"{number:,.{digits}f}".translate(swapped) for number in numbers]


if __name__ == "__main__":
    MADE = {"continuous": continuous, "monthly": monthly, "messy": messy}
    MADE[sys.argv[1]]().write(Path(sys.argv[2]))
