"""What --lineage prints: a file, who made it, and from what, back to what came from outside."""

import io
import sys

from rich.console import Console
from rich.table import Table
from rich.text import Text

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
    console = Console(highlight=False, markup=False, emoji=False)
    console.print(_table([origin]))
    for made in _makers_first_to_last(origin):
        if made.maker:
            source = "from" if made.made_from else "from no file"
            maker = f"made by {made.maker.name} in run {made.maker.run} {source}"
            console.print(maker, style="bold")
        if made.made_from:
            console.print(_table(made.made_from))


def _as_json(origin: Origin) -> dict[str, object]:
    maker = origin.maker
    return {
        **vars(origin.content),
        "bytes": origin.bytes,
        "on_disk": origin.on_disk,
        "made_by": {"stage": maker.name, "run": maker.run} if maker else EXTERNAL,
        "made_from": [vars(each.content) for each in origin.made_from],
    }


def _makers_first_to_last(origin: Origin) -> list[Origin]:
    """A file of each stage that had a part in it, the last stage first."""
    found: dict[tuple[str, str | None], Origin] = {}

    def visit(made: Origin) -> None:
        for each in made.made_from:
            visit(each)
        if made.maker and not made.repeated:
            found.setdefault((made.maker.name, made.maker.run), made)

    visit(origin)
    return list(reversed(found.values()))


def _table(origins: list[Origin]) -> Table:
    """Files, a line each: path, hash, size, who made it, and whether it is still that."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(overflow="fold")
    for _ in range(2):
        table.add_column(no_wrap=True, justify="right")
    table.add_column()
    for origin in origins:
        size = f"{origin.bytes:,} bytes" if origin.bytes is not None else ""
        table.add_row(
            f"  {origin.content.path}", origin.content.sha256[:SHOWN], size, _from(origin)
        )
    return table


def _from(origin: Origin) -> Text:
    if origin.maker:
        text = Text(f"of {origin.maker.name}")
    elif origin.replaces:
        text = Text(f"{EXTERNAL}, in place of what {origin.replaces} writes")
    else:
        text = Text(EXTERNAL)
    if origin.on_disk != AS_RECORDED:
        now = "another file lies there now" if origin.on_disk == CHANGED else "it is gone"
        text.append(f"  ! {now}", "yellow")
    return text
