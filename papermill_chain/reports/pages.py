"""Pages that need nothing but themselves: templates filled, with their style and script inside."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from datetime import datetime
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from page_style.style import house_style
from papermill_chain.reports.screen import duration

if TYPE_CHECKING:  # loaded when a page is written
    from jinja2 import Environment
    from markupsafe import Markup

TEMPLATES = Path(__file__).parent / "templates"


def filled(template: str, **shown: object) -> str:
    """A template as a page with its style and script inside; its policy admits no other script.

    A template may have a style and a script of its own beside it, which then follow those of all
    pages.
    """
    style, script = (_for_all_and_for(template, kind) for kind in ("css", "js"))
    digest = b64encode(sha256(script.encode()).digest()).decode()
    shown |= {"style": _markup(style), "script": _markup(script)}
    return rendered(template, script_hash=f"sha256-{digest}", **shown)


def rendered(template: str, **shown: object) -> str:
    """A template as it is filled, such as a part of a page."""
    text: str = _templates().get_template(template).render(**shown)
    return text


@cache  # an index is written after each report
def _templates() -> Environment:
    """The templates of pages, compiled when they are used first."""
    from jinja2 import Environment, FileSystemLoader

    templates = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    templates.filters.update(
        words=_words,
        moment=_moment,
        duration=duration,
        rank=_rank,
        for_css=_for_css,
        json=json.dumps,
    )
    return templates


def _for_all_and_for(template: str, kind: str) -> str:
    """The style or script of all pages, and after it that of one template, if it has one."""
    names = dict.fromkeys(["report", template.partition(".")[0]])
    files = [TEMPLATES / f"{name}.{kind}" for name in names]
    texts = [file.read_text(encoding="utf-8") for file in files if file.exists()]
    return "".join([house_style(), *texts] if kind == "css" else texts)


def _markup(html: str) -> Markup:
    """HTML of our own making, or made harmless: it needs no further escape."""
    from markupsafe import Markup

    return Markup(html)


def _words(name: str) -> str:
    """The name of a parameter as a reader's words; a path is called by what lies there."""
    return name.removesuffix("_path").removesuffix("_html").replace("_", " ")


def _for_css(text: str) -> str:
    """A name that may stand between the quotes of a style sheet; of any other, nothing."""
    return text if re.fullmatch(r"[\w.-]*", text) else ""


def _rank(status: str) -> int:
    """Where a status stands among others when they are sorted: what needs a look comes first."""
    ranks = ["failed", "interrupted", "unreadable", "running", "succeeded"]
    return ranks.index(status) if status in ranks else len(ranks)


def _moment(time: datetime) -> str:
    """A time that reads the same everywhere."""
    return f"{time:%Y-%m-%d %H:%M} UTC"
