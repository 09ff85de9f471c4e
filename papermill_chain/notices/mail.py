"""Word by mail: the server, which the environment names, and the message with the report."""

import os
import smtplib
import ssl
from dataclasses import dataclass, field
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import localtime, make_msgid
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import parse_qs, unquote

from papermill_chain.chain.parameters import ChainError
from papermill_chain.notices.message import Notice, NotSent, short
from work_units.regular_files import open_regular

#: Of an attached report, in bytes; many servers take ten million once it is encoded as text.
LARGEST_REPORT = 7_000_000
PASSWORD = "SMTP_PASSWORD"
PORTS = {"starttls": 587, "ssl": 465, "none": 25}


@dataclass(frozen=True)
class Server:
    """A mail server, as the environment describes it."""

    host: str
    port: int
    tls: str  # one of PORTS
    sender: str
    user: str = ""
    password: str = field(default="", repr=False)

    def connected(self, seconds: float) -> smtplib.SMTP:
        """A connection, in which nothing has been said yet."""
        if self.tls == "ssl":
            context = ssl.create_default_context()
            return smtplib.SMTP_SSL(self.host, self.port, timeout=seconds, context=context)
        return smtplib.SMTP(self.host, self.port, timeout=seconds)


@dataclass(frozen=True)
class Mail:
    """Word by mail to some addresses; `subject` stands in it in the place of the chain's title."""

    shown: str
    addresses: tuple[str, ...]
    subject: str
    server: Server

    def send(self, notice: Notice, seconds: float) -> None:
        """Send it; NotSent if a server does not take it."""
        try:
            with self.server.connected(seconds) as smtp:
                if self.server.tls == "starttls":
                    smtp.starttls(context=ssl.create_default_context())
                if self.server.user:
                    smtp.login(self.server.user, self.server.password)
                refused = smtp.send_message(self.message(notice))
        except smtplib.SMTPException as error:
            raise NotSent(_why(error)) from None
        if refused:
            raise NotSent(f"the server refused {' and '.join(refused)}")

    def message(self, notice: Notice) -> EmailMessage:
        """The message; its headers cannot be added to by what a notebook says."""
        message = EmailMessage(policy=SMTP)
        message["Subject"] = short(f"{self.subject or notice.title}: {notice.summary}")
        message["From"], message["To"] = self.server.sender, ", ".join(self.addresses)
        message["Date"] = localtime()
        message["Message-ID"] = make_msgid(domain=self.server.sender.rpartition("@")[2])
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody's absence is to answer
        text, report, note = notice.text, notice.report, ""
        content = None
        if report:
            content, note = _read(report)
        message.set_content(
            f"{text}\n{note}", cte="quoted-printable"
        )  # not every server takes 8 bits
        if report and content is not None:
            message.add_attachment(
                content,
                maintype="text",
                subtype="html",
                filename=short(report.name),
                params={"charset": "utf-8"},
            )
        return message


def mail_to(target: str, shown: str, server: Server) -> Mail:
    """What `mailto:a@x,b@y?subject=…` asks for; ChainError if it cannot be meant."""
    addresses, _, query = target.partition(":")[2].partition("?")
    asked = parse_qs(query, keep_blank_values=True)
    if other := sorted(asked.keys() - {"subject"}):
        raise ChainError(f"--notify {shown}: it takes ?subject= only, not {' and '.join(other)}")
    to = tuple(unquote(address).strip() for address in addresses.split(","))
    for address in to:
        if not _is_address(address):
            raise ChainError(f"--notify {shown}: {short(address) or 'nothing'} is no mail address")
    subject = " ".join(asked.get("subject", []))
    if not subject.isprintable():
        raise ChainError(f"--notify {shown}: its subject has a line break or another control code")
    return Mail(shown, to, subject, server)


def server_in_environment() -> Server:
    """The mail server; its password is taken out of the environment, so that no notebook has it.

    Raises
    ------
    ChainError
        If it is not described or cannot be meant, or the password would travel in the open.
    """
    password = os.environ.pop(PASSWORD, "")
    host, user = os.environ.get("SMTP_HOST", ""), os.environ.get("SMTP_USER", "")
    sender = os.environ.get("SMTP_FROM") or user
    if not host:
        raise ChainError("--notify mailto: needs a mail server; set SMTP_HOST")
    port = os.environ.get("SMTP_PORT", "")
    tls = os.environ.get("SMTP_TLS") or ("ssl" if port == "465" else "starttls")
    if tls not in PORTS:
        raise ChainError(f"SMTP_TLS is {short(tls)}; it is one of {', '.join(PORTS)}")
    if port and not (port.isdecimal() and 0 < int(port) < 65_536):
        raise ChainError(f"SMTP_PORT is {short(port)}; it is a number from 1 to 65535")
    if not _is_address(sender):
        raise ChainError("SMTP_FROM is no mail address; set it to the one that mails come from")
    if bool(user) != bool(password):
        raise ChainError(f"SMTP_USER and {PASSWORD} go together: set both or neither")
    if password and tls == "none" and not is_loopback(host):
        raise ChainError(
            f"{PASSWORD} would travel to {host} in the open; set SMTP_TLS to starttls or ssl"
        )
    return Server(host, int(port or PORTS[tls]), tls, sender, user, password)


def is_loopback(host: str) -> bool:
    """Whether a host is this machine."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _is_address(text: str) -> bool:
    try:
        address = Address(addr_spec=text)
    except (MessageError, ValueError, IndexError):  # what its parser raises
        return False
    return bool(address.username and address.domain) and text.isascii() and text.isprintable()


def _read(report: Path) -> tuple[bytes | None, str]:
    """A report to attach; or none, and a note why."""
    try:
        with open_regular(report) as file:
            content = file.read(LARGEST_REPORT + 1)
    except OSError as error:
        return None, f"\nThe report is not attached: {error.strerror or error}\n"
    if len(content) > LARGEST_REPORT:
        most = f"{LARGEST_REPORT / 1e6:.0f} MB"
        return None, f"\nThe report is not attached: it is larger than {most}\n"
    return content, ""


def _why(error: smtplib.SMTPException) -> str:
    """Why a server has not taken a mail; not in its own words, which may repeat anything."""
    match error:
        case smtplib.SMTPAuthenticationError():
            return f"the server refuses SMTP_USER with {PASSWORD}"
        case smtplib.SMTPNotSupportedError():
            return "the server offers no STARTTLS or no login; see SMTP_TLS and SMTP_USER"
        case smtplib.SMTPRecipientsRefused():
            return "the server refuses all addresses"
        case smtplib.SMTPResponseException(smtp_code=code):
            return f"the server answered {code}"
        case smtplib.SMTPServerDisconnected():
            return "the server closed the connection"
    return type(error).__name__
