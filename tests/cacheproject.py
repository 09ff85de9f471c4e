"""A project of two notebooks whose results are shared, and results that no notebook has made."""

import hashlib
from pathlib import Path

from toy import write_notebook

from papermill_chain.cache.entries import Entry, Stored
from papermill_chain.cache.results import Cache
from papermill_chain.cache.store import Folder
from papermill_chain.chain.stages import Stage

#: Both notebooks leave a line outside of the project each time that they are executed.
EXECUTED = "import pathlib\npathlib.Path('../../executed').open('a').write('{} ')"
PNG = "iVBORw0KGgo="  # how a picture begins, in base64: \x89 P N G \r \n \x1a \n
NOTEBOOKS = {
    "1_make": [
        'raw: str = "../raw.csv"\nout: str = "../made/out.txt"\ntwice: bool = False',
        EXECUTED.format("1_make"),
        "from toolbox import words\ntext = words.strip(pathlib.Path(raw).read_text())",
        "pathlib.Path(out).write_text(text * (1 + twice))",
    ],
    "2_use": [
        'out: str = "../made/out.txt"\npage: str = "../made/page.html"',
        EXECUTED.format("2_use"),
        "text = pathlib.Path(out).read_text()\npathlib.Path(page).write_text(f'<p>{text}')",
        (
            "found = {'text': f'It says {text}', 'figures': {'letters': {'value': len(text)}},\n"
            f"         'verdict': 'warning', 'picture': {{'png': '{PNG}', 'alt': 'nothing'}}}}\n"
            "display({'application/vnd.chain.headline+json': found, 'text/plain': ''}, raw=True)"
        ),
    ],
}
CHAIN = [
    Stage("1_make", reads={"raw": "raw.csv"}, writes={"out": "made/out.txt"}),
    Stage("2_use", {"out": "made/out.txt"}, {"page": "made/page.html"}, kept=["page"]),
]
KEY = "a key of the tests alone"


def project(root: Path, raw: str = "raw") -> Path:
    """A project of the two notebooks, in a folder of its own."""
    for name, cells in NOTEBOOKS.items():
        write_notebook(root / "notebooks" / f"{name}.ipynb", *cells)
    (root / "toolbox").mkdir()
    (root / "toolbox/__init__.py").write_text("")
    (root / "toolbox/words.py").write_text("def strip(text):\n    return text.strip()\n")
    (root / "raw.csv").write_text(raw)
    (root / "uv.lock").write_text("1")
    return root


def executed(place: Path) -> list[str]:
    """Which notebooks were executed in the projects below a folder, one after the other."""
    return (place / "executed").read_text().split() if (place / "executed").exists() else []


def result_in(place: Path, text: str, key: str = "0" * 64) -> Entry:
    """Put a result of 1_make into the cache in a folder, all of whose three files hold a text."""
    stored, files = {}, {}
    for path in "1_make.ipynb", "made/out.txt", "1_make.headline.png":
        content = f"{path} {text}".encode()
        file = place / f"{text} {Path(path).name}"
        file.write_bytes(content)
        stored[path] = Stored(path, hashlib.sha256(content).hexdigest(), len(content))
        files[file] = stored[path]
    entry = Entry(
        key,
        "1_make",
        text.replace(" ", "-"),
        "2026-01-01T00:00:00+00:00",
        stored["1_make.ipynb"],
        {"out": stored["made/out.txt"]},
        seconds=1.0,
        picture=stored["1_make.headline.png"],
    )
    Cache("cache", Folder(place / "cache"), KEY.encode()).put(entry, files)
    return entry
