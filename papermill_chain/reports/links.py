"""Links between the pages of a run: what leads nowhere is text, and a link again once it leads."""

import re
from html import unescape
from pathlib import Path
from urllib.parse import unquote

from papermill_chain.runs.files import write_whole
from papermill_chain.runs.manifest import Run

#: The attribute that names the page of a run to which a link may lead; no data can give it.
OF_RUN = "data-of-run"
INDEX = "../../index.html"  # there as soon as a run has ended
_LINK = re.compile(rf'<a\b[^>]*\s{OF_RUN}="(?P<page>[^"]+)"[^>]*>')
_HREF = re.compile(r'\shref="[^"]*"')


def mend_links(run: Run) -> None:
    """Have the reports and other pages in a run's folder link to what is there, nothing else.

    All pages that lie there, since a runner may have been killed before it had recorded its last.
    """
    folder = run.folder
    for file in sorted(folder.glob("*.html")):
        if not file.is_file():
            continue
        page = file.read_text(encoding="utf-8")
        mended = _LINK.sub(lambda link: _mended(link, folder), page)
        if mended != page:  # the file may be that of an earlier run as well: it gets a new one
            write_whole(file, mended)


def _mended(link: re.Match[str], folder: Path) -> str:
    """A link's opening tag, with its address only if the page is there."""
    page = unquote(unescape(link["page"]).partition("#")[0])
    without = _HREF.sub("", link[0])
    if page != INDEX and not (folder / page).is_file():
        return without
    return link[0] if without != link[0] else f'{without[:-1]} href="{link["page"]}">'
