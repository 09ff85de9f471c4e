"""What --lineage prints: a file, who made it, and from what, back to what came from outside."""

import io
import sys

from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from papermill_chain.lineage.origin import AS_RECORDED, CHANGED, Origin
from papermill_chain.lineage.record import EXTERNAL
from papermill_chain.reports.views import print_event

SHOWN = 12  # characters of a hash


def show_lineage(origin: Origin, json: bool) -> None:
    """Print where a file comes from, for people or as one JSON object."""
    if json:
        files = [_as_json(each) for each in origin.all()]
        print_event("lineage", file=origin.content.path, files=files)
        return
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    Console(highlight=False, markup=False, emoji=False).print(_tree(origin))


def _as_json(origin: Origin) -> dict[str, object]:
    maker = origin.maker
    return {
        **vars(origin.content),
        "bytes": origin.bytes,
        "on_disk": origin.on_disk,
        "made_by": {"stage": maker.name, "run": maker.run} if maker else EXTERNAL,
        "made_from": [vars(each.content) for each in origin.made_from],
    }


def _tree(origin: Origin) -> Tree:
    tree = Tree(_label(origin))
    for each in origin.made_from:
        tree.children.append(_tree(each))
    return tree


def _label(origin: Origin) -> Text:
    """A file in two lines, or three if what lies in its place is not what was recorded."""
    size = f"  {origin.bytes:,} bytes" if origin.bytes is not None else ""
    text = Text(origin.content.path, style="bold")
    text.append(f"\nsha256 {origin.content.sha256[:SHOWN]}{size}  {_from(origin)}", "not bold")
    if origin.on_disk != AS_RECORDED:
        now = "another file lies there now" if origin.on_disk == CHANGED else "it is gone"
        text.append(f"\n! not as it was recorded: {now}", "not bold yellow")
    return text


def _from(origin: Origin) -> str:
    if origin.maker:
        above = ", see above" if origin.repeated else ""
        return f"made by {origin.maker.name} in run {origin.maker.run}{above}"
    return f"{EXTERNAL}, in place of what {origin.replaces} writes" if origin.replaces else EXTERNAL
