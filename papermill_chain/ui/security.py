"""Who may use the page: whoever has its token, in a browser that was sent here by nobody else.

The page starts programs. So it listens on this machine alone, and is used with a secret that the
terminal shows, since others may have accounts here. A page from elsewhere, which the same browser
shows, is kept out three times: it has no cookie that goes along with its requests, its requests
carry its origin, and it does not know what a form of ours holds. A name of its own that it has made
to point here is no name under which the page answers.
"""

import hmac
import secrets
from dataclasses import dataclass, field

from flask import Request, Response
from werkzeug.exceptions import Forbidden, MisdirectedRequest

#: Of all answers. Scripts and styles are admitted by the page's own policy, by their hash.
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Referrer-Policy": "same-origin",  # with no referrer at all forms would have no origin
    "X-Frame-Options": "DENY",
}
#: Of what runs have left: notebooks have made it, so that it may do nothing in the page's name.
SANDBOX = (
    "sandbox allow-scripts allow-downloads allow-popups"
    " allow-popups-to-escape-sandbox; default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:;"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def _secret() -> str:
    return secrets.token_urlsafe(32)


@dataclass(frozen=True)
class Guard:
    """The secrets of one server, and what it lets in."""

    port: int
    token: str = field(default_factory=_secret)  # opens the page
    cookie_value: str = field(default_factory=_secret)  # shows that somebody had the token
    form: str = field(default_factory=_secret)  # stands in our forms
    files: str = field(default_factory=_secret)  # stands in the addresses of what runs have left

    @property
    def cookie(self) -> str:
        """The name of the cookie; browsers send one to all ports of a machine."""
        return f"chain-{self.port}"

    @property
    def url(self) -> str:
        """What to open in a browser."""
        return f"http://127.0.0.1:{self.port}/?token={self.token}"

    def check_name(self, request: Request) -> None:
        """Raise an error for a request to another name than this machine's own."""
        hosts = {f"{name}:{self.port}" for name in ("127.0.0.1", "localhost")}
        hosts |= {"127.0.0.1", "localhost"} if self.port == 80 else set()
        if request.headers.get("Host", "").lower() not in hosts:
            raise MisdirectedRequest("This page does not answer under that name.")

    def check_visitor(self, request: Request) -> None:
        """Raise an error for a request without the cookie that the token was exchanged for."""
        if not _same(request.cookies.get(self.cookie, ""), self.cookie_value):
            raise Forbidden("Open the address that the terminal shows; it holds a token.")

    def check_form(self, request: Request) -> None:
        """Raise an error for a form that was not sent from the page."""
        site = request.headers.get("Sec-Fetch-Site", "same-origin")
        origin = request.headers.get("Origin", f"http://{request.headers.get('Host')}")
        is_ours = site == "same-origin" and origin == f"http://{request.headers.get('Host')}"
        if not (is_ours and _same(request.form.get("form", ""), self.form)):
            raise Forbidden("This was not sent from the page; load it again.")

    def has_token(self, request: Request) -> bool:
        """Whether a request shows the token."""
        return _same(request.args.get("token", ""), self.token)

    def check_address(self, shown: str) -> None:
        """Raise an error unless an address of what runs have left is one that the page gave out."""
        if not _same(shown, self.files):
            raise Forbidden("This address is of a server that has ended; open the page anew.")

    def admit(self, response: Response) -> Response:
        """An answer that lets a browser in."""
        response.set_cookie(self.cookie, self.cookie_value, httponly=True, samesite="Strict")
        return response


def _same(shown: str, wanted: str) -> bool:
    """Whether two secrets are the same, in a time that does not depend on where they differ."""
    return hmac.compare_digest(shown.encode("utf-8", "replace"), wanted.encode())
