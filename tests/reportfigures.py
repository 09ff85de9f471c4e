"""Which file says what a report says: every figure of its sentences, and where it is on record."""

import json
import re

import nbformat
import numpy as np
import pandas as pd
from bs4 import BeautifulSoup

#: The files that hold what a report says.
SOURCES = {
    "01_eda": ["exploration.json"],
    "02_preparation": ["preparation.json"],
    "03_comparison": ["champion.json", "results.csv", "pairs.csv"],
    "04_registration": ["registration.json", "champion.json"],
    "05_validation": ["validation.json", "registration.json"],
    "06_explanation": ["explanation.json", "registration.json"],
    "08_review": ["review.json", "registration.json", "validation.json"],
}
FIGURE = re.compile(r"(?<![\w.,-])([+-]?\d+\.\d{2,3})(?![\w.]*\d)|(?<![\w.,])(\d+(?:\.\d)?) ?%")


def leaves(content):
    """Every number in a file's content."""
    if isinstance(content, dict | list):
        for each in content.values() if isinstance(content, dict) else content:
            yield from leaves(each)
    elif isinstance(content, int | float) and not isinstance(content, bool):
        yield float(content)


def recorded(project, stage, runs="experiments/runs"):
    """The numbers that a run has kept of a stage; where a data set's runs are is to be named."""
    found = []
    for name in SOURCES[stage]:
        (path,) = project.glob(f"{runs}/*/{name}")  # what the run has kept itself
        if path.suffix == ".json":
            found += leaves(json.loads(path.read_text("utf-8")))
        else:
            found += pd.read_csv(path).select_dtypes("number").to_numpy().ravel().tolist()
    return np.array([value for value in found if np.isfinite(value)])


def quoted(project, stage, runs="experiments/runs"):
    """The figures in the computed sentences of a report, as text; what the notebook's own
    prose quotes from the literature is not among them."""
    (page,) = project.glob(f"{runs}/*/{stage}.html")
    soup = BeautifulSoup(page.read_text("utf-8"), "html.parser")
    for code in soup.select("code, table, details, figcaption"):
        code.decompose()
    said = [block.get_text(" ") for block in soup.select(".prose p, .prose li")]
    notebook = nbformat.read(project / "notebooks" / f"{stage}.ipynb", 4)
    written = " ".join(c.source for c in notebook.cells if c.cell_type == "markdown")
    fixed = set(FIGURE.findall(written))
    return [match for text in said for match in FIGURE.findall(text) if match not in fixed]


def unexplained(figures, values):
    """The figures that no recorded value rounds to."""
    odd = []
    for plain, share in figures:
        text, scaled = (plain, values) if plain else (share, 100 * values)
        digits = len(text.partition(".")[2])
        # half a unit of the last digit, and a hair for values that lie just between two
        if not (np.abs(np.abs(scaled) - abs(float(text))) <= 0.5 * 10**-digits + 1e-9).any():
            odd.append(text)
    return odd
