"""Another bank's file and contract, whose names are hostile to whoever shows them."""

import json
from pathlib import Path

import describedloans
import loanfiles
import numpy as np

from creditrisk.cli import main

#: What a file may call its levels, and what a page must show and never run.
HOSTILE = {
    "Ort 001": "<img src=x onerror=alert(1)>",
    "Ort 002": "</script><script>alert(2)</script>",
    "Ort 003": '"><svg onload=alert(3)>',
    "Ort 004": "[x](javascript:alert(4))",
    "Ort 005": "$$ \\frac{1 $$",
    "Ort 006": "`tick` | bar *star* &lt;b&gt;",
    "ja": "<details open ontoggle=alert(5)>ja",
}
YEARS = "<b onclick=alert(8)>Jahre</b>"
#: How many loans a row stands for: every bad one is in the file, and every third good one.
COUNT, GOOD_COUNT = "Anzahl", 3


def put(folder: Path, loans: int) -> np.ndarray:
    """Write a file of so many loans and its contract; the true probability of good of each row."""
    folder.mkdir()
    made = loanfiles.messy(loans)
    cells = made.cells.replace({"Ort": HOSTILE, "Angestellt": HOSTILE})
    cells = cells.rename(columns={"Jahre im Beruf": YEARS})
    bad = (cells["Ausgang"] == "schlecht").to_numpy()
    kept = bad | (np.random.default_rng(4).random(loans) < 1 / GOOD_COUNT)
    cells.insert(0, COUNT, np.where(bad, "1", str(GOOD_COUNT)))
    made = made._replace(cells=cells[kept], probability=made.probability[kept])
    path = made.write(folder / "loans.csv")
    assert main(["contract", "draft", str(path), "--target", "Ausgang"]) == 0
    descriptor = folder / "datapackage.json"
    describedloans.answer(descriptor, "messy")
    package = json.loads(descriptor.read_text("utf-8"))
    fields = {field["name"]: field for field in package["resources"][0]["schema"]["fields"]}
    for name in ("Zinssatz", "Betrag", "Ort"):  # the strongest is in the headline
        fields[name]["title"] = f"<script>alert(6)</script>{name}"
    fields["Ort"]["description"] = "Where? <iframe srcdoc='<script>alert(7)</script>'></iframe>"
    fields["Angestellt"]["protected"] = True
    fields[COUNT].clear()
    fields[COUNT] |= {"name": COUNT, "type": "integer", "role": "weight"}
    fields[COUNT]["constraints"] = {"required": True}
    descriptor.write_text(json.dumps(package), "utf-8")
    return np.asarray(made.probability)
