"""Word to an address on the web, in the form that Slack, Teams or a program of one's own takes."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, ProxyHandler, Request, build_opener

from papermill_chain.chain.parameters import ChainError
from papermill_chain.notices.mail import is_loopback
from papermill_chain.notices.message import Notice, NotSent

SLACK = ("hooks.slack.com", "hooks.slack-gov.com")
TEAMS = (".webhook.office.com", ".logic.azure.com", ".api.powerplatform.com")
LONGEST_PART = 2_900  # characters; Slack takes 3,000 in a block
MOST_PARTS = 8  # Teams takes 28 kB in all


@dataclass(frozen=True)
class Webhook:
    """Word to an address; who knows the address may post there, so that it is never shown."""

    shown: str
    address: str

    @property
    def host(self) -> str:
        """The machine that it leads to."""
        return urlsplit(self.address).hostname or ""

    def send(self, notice: Notice, seconds: float) -> None:
        """Post it; NotSent if the server does not take it."""
        content = json.dumps(self.body(notice)).encode()
        headers = {"Content-Type": "application/json", "User-Agent": "papermill-chain"}
        request = Request(self.address, content, headers, method="POST")
        # what is for this machine, perhaps in the open, goes by no proxy
        ways = [_NoRedirects(), *([ProxyHandler({})] if is_loopback(self.host) else [])]
        try:
            with build_opener(*ways).open(request, timeout=seconds):
                pass
        except HTTPError as error:
            error.close()
            elsewhere = " and points to another address" if 300 <= error.code < 400 else ""
            raise NotSent(f"the server answered {error.code}{elsewhere}") from None

    def body(self, notice: Notice) -> dict[str, Any]:
        """What is posted."""
        if self.host in SLACK:
            return _for_slack(notice)
        return _for_teams(notice) if self.host.endswith(TEAMS) else _for_programs(notice)


def webhook_at(address: str, shown: str) -> Webhook:
    """Word to an address on the web; ChainError if it cannot be one."""
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        host = ""
    if not host or not address.isascii() or not address.isprintable() or " " in address:
        raise ChainError(f"--notify {shown}: this is no address on the web")
    if parts.username is not None:
        raise ChainError(f"--notify {shown}: a name or password in an address is not taken")
    if parts.scheme == "http" and not is_loopback(host):
        raise ChainError(f"--notify {shown}: http:// only leads to this machine; give https://")
    return Webhook(shown, address)


class _NoRedirects(HTTPRedirectHandler):
    """What is said of a run goes where the user wants it, and nowhere else."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def _for_slack(notice: Notice) -> dict[str, Any]:
    """Blocks of plain text: nothing that a notebook says becomes a link or calls people."""
    summary = f"{notice.title}: {notice.summary}"
    for character, code in {"&": "&amp;", "<": "&lt;", ">": "&gt;"}.items():
        summary = summary.replace(character, code)
    blocks = [
        {"type": "section", "text": {"type": "plain_text", "text": part, "emoji": False}}
        for part in _parts(notice)
    ]
    return {"text": summary, "mrkdwn": False, "blocks": blocks}


def _for_teams(notice: Notice) -> dict[str, Any]:
    """An Adaptive Card, as Microsoft's workflows take it; its runs of text know no Markdown."""
    body = [
        {"type": "RichTextBlock", "inlines": [_run_of_text(part, is_first=number == 0)]}
        for number, part in enumerate(_parts(notice))
    ]
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": body,
    }
    kind = "application/vnd.microsoft.card.adaptive"
    attachment = {"contentType": kind, "contentUrl": None, "content": card}
    return {"type": "message", "attachments": [attachment]}


def _run_of_text(text: str, *, is_first: bool) -> Mapping[str, str]:
    return {"type": "TextRun", "text": text} | ({"weight": "bolder"} if is_first else {})


def _for_programs(notice: Notice) -> dict[str, Any]:
    """All that is known, by name."""
    return {
        "title": notice.title,
        "summary": notice.summary,
        "run": notice.run,
        "status": notice.status,
        "verdict": notice.verdict,
        "seconds": notice.seconds,
        "reason": notice.reason,
        "failure": notice.failure or None,
        "grid": notice.grid or None,
        "stages": [
            {name: getattr(stage, name) for name in ("name", "status", "verdict", "headline")}
            for stage in notice.stages
        ],
        "figures": {name: asdict(figure) for name, figure in notice.figures.items()},
        "report": notice.report and str(notice.report),
        "index": str(notice.index),
        "text": notice.text,
    }


def _parts(notice: Notice) -> list[str]:
    return [part[:LONGEST_PART] for part in notice.paragraphs()][:MOST_PARTS]
