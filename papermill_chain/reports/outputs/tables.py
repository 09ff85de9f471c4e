"""Tables of a page: wide ones scroll inside themselves, columns of numbers stand on the right."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # loaded when a report is written
    from bs4 import BeautifulSoup, Tag

LONG = 30  # letters: a column with less is not broken, one with more does not shrink for ever
INTERVAL = re.compile(r"\([^()]*\d[^()]* to [^()]*\)")
NUMBER = re.compile(
    r"[-−+]?[\d.,\s]*\d(e[-+]?\d+)?(\s*±\s*[\d.,]+)?\s*%?(\s*\([-−+\d.,%]+\sto\s[-−+\d.,%]+\))?"
    r"|[-−]?inf|nan|<NA>|NaT|",
    re.IGNORECASE,
)


def tidy_tables(body: BeautifulSoup) -> None:
    """Let wide tables scroll inside themselves, and set columns of numbers to the right."""
    for table in body("table"):
        name = table.caption.get_text(" ", strip=True) if table.caption else "Table"
        frame = {"class": "table", "role": "region", "tabindex": "0", "aria-label": name}
        table.wrap(body.new_tag("div", attrs=frame))
        _join_headers(table)
        _keep_intervals(table)
        rows = [row(["td", "th"], recursive=False) for row in table("tr")]
        width = max(map(len, rows), default=0)
        rows = [row for row in rows if len(row) == width]  # not headers that span columns
        for column in zip(*rows):
            data = [cell for cell in column if cell.find_parent("thead") is None]
            if data and all(NUMBER.fullmatch(cell.get_text(strip=True)) for cell in data):
                kinds = (
                    ["number", "interval"] if any("\xa0to" in str(c) for c in data) else ["number"]
                )
                for cell in column:
                    cell["class"] = [*cell.get("class", []), *kinds]
            else:
                is_long = any(len(cell.get_text(strip=True)) > LONG for cell in data)
                for cell in column:
                    cell["class"] = [*cell.get("class", []), "text" if is_long else "word"]


def _keep_intervals(table: Tag) -> None:
    """Keep the ends of an interval on one line: it may follow its figure below, but not in two."""
    for cell in table("td"):
        if cell.string and INTERVAL.search(cell.string):
            whole = INTERVAL.sub(lambda ends: ends[0].replace(" ", "\xa0"), cell.string)
            cell.string = whole


def _join_headers(table: Tag) -> None:
    """Put the name of a frame's index, for which pandas adds a line, in the empty corner."""
    lines = [line(["th", "td"]) for line in table.select("thead tr")]
    if len(lines) != 2 or len(lines[0]) != len(lines[1]):
        return
    above, below = ([cell.get_text(strip=True) for cell in line] for line in lines)
    named = sum(map(bool, below))
    if any(above[:named]) or any(below[named:]) or not all(above[named:]):
        return
    for corner, name in zip(lines[0][:named], lines[1]):
        corner.replace_with(name)
    table.select("thead tr")[1].decompose()
