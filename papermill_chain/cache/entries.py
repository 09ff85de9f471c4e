"""The record of one shared result: what belongs to it, checked before anything of it is used."""

import hmac
import json
import re
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from math import isfinite
from typing import Any

from papermill_chain.cache.key import FORMAT, canonical
from papermill_chain.chain.stages import Stage
from papermill_chain.runs.figures import Figure, read_figures
from papermill_chain.runs.manifest import VERDICTS
from papermill_chain.runs.record_files import file_name, parsed, text_of
from work_units.regular_files import Damaged

MOST_BYTES = 20_000_000  # of an entry; one of a thousand cells has half a million
HASH = re.compile(r"[0-9a-f]{64}")
RUN = re.compile(r"[\w.-]{1,100}", re.ASCII)  # the id of a run, which is shown
SIGNATURE = "signature"


class Refused(ValueError):
    """Why an entry, or a file that it names, is not used."""


@dataclass(frozen=True)
class Stored:
    """A file of a result: where it belongs, and what has to be in it."""

    path: str
    sha256: str
    bytes: int


@dataclass(frozen=True)
class Entry:
    """The result of a stage; `outputs` are by parameter, with their paths below the root."""

    key: str
    stage: str
    run: str  # that has made it
    when: str  # it did, in UTC, as ISO 8601 has it
    notebook: Stored
    outputs: dict[str, Stored]
    seconds: float
    headline: str = ""
    verdict: str = ""
    figures: dict[str, Figure] = field(default_factory=dict)
    cells: list[dict[str, Any]] = field(default_factory=list)
    picture: Stored | None = None
    picture_alt: str = ""

    @property
    def origin(self) -> str:
        """Which run has made it, and when."""
        return f"run {self.run} of {self.when[:10]}"

    @property
    def files(self) -> list[Stored]:
        """All files of the result."""
        return [self.notebook, *self.outputs.values(), *([self.picture] if self.picture else [])]

    def written(self, secret: bytes) -> bytes:
        """The entry as a file; signed if there is a secret."""
        recorded = {"format": FORMAT} | asdict(self)
        if secret:
            recorded[SIGNATURE] = _signature(recorded, secret)
        return json.dumps(recorded, indent=1, ensure_ascii=False).encode()


def read_entry(content: bytes, key: str, stage: Stage, secret: bytes) -> Entry:
    """The entry for a key in the bytes of a file.

    Parameters
    ----------
    stage : whose result it is to be: it may write what that writes, and nothing else.
    secret : with one, only what was signed with it is read.

    Raises
    ------
    Refused
        If it is broken, of another key or form, or not signed as it has to be.
    """
    try:
        recorded = parsed(content, dict)
        if secret:
            _verify(recorded, secret)
        entry = _entry_of(recorded)
    except Damaged as damage:
        raise Refused(f"its entry is broken ({damage})") from damage
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        if isinstance(error, Refused):
            raise
        raise Refused(f"its entry is broken ({type(error).__name__}: {error})") from error
    if (entry.key, entry.stage) != (key, stage.name):
        raise Refused("its entry is that of another result")
    if {name: each.path for name, each in entry.outputs.items()} != dict(stage.writes):
        raise Refused(f"its entry names other files than {stage.name} writes")
    return entry


def entry_in(content: bytes) -> Entry:
    """The entry in the bytes of a file, whoever has written it; Refused if it is broken."""
    try:
        return parsed(content, _entry_of)
    except Damaged as damage:
        raise Refused(str(damage)) from damage


def _entry_of(recorded: Any) -> Entry:
    """An entry as its file has it, every part of the type that it has to be."""
    if recorded["format"] != FORMAT:
        raise ValueError(f"format {recorded['format']!r}, not {FORMAT}")
    stage = file_name(recorded["stage"])
    picture = recorded["picture"]
    return Entry(
        key=_matching(HASH, recorded["key"]),
        stage=stage,
        run=_matching(RUN, recorded["run"]),
        when=_time(recorded["when"]),
        notebook=_stored(recorded["notebook"], f"{stage}.ipynb"),
        outputs={name: _stored(each) for name, each in recorded["outputs"].items()},
        seconds=_seconds(recorded["seconds"]),
        headline=text_of(recorded["headline"]),
        verdict=_verdict(recorded["verdict"]),
        figures=read_figures(recorded["figures"]),
        cells=[dict(cell) for cell in recorded["cells"]],
        picture=picture and _stored(picture, picture_name(stage)),
        picture_alt=text_of(recorded["picture_alt"]),
    )


def picture_name(stage: str) -> str:
    """The file of a headline's picture in the folder of a run."""
    return f"{stage}.headline.png"


def _stored(recorded: Any, path: str = "") -> Stored:
    """A file of a result; with a `path` no other one is taken."""
    size = recorded["bytes"]
    if type(size) is not int or size < 1:
        raise ValueError(f"a file of {size!r} bytes")
    if path and recorded["path"] != path:
        raise ValueError(f"{recorded['path']!r} where {path} belongs")
    return Stored(text_of(recorded["path"]), _matching(HASH, recorded["sha256"]), size)


def _matching(form: re.Pattern[str], recorded: Any) -> str:
    if not form.fullmatch(text_of(recorded)):
        raise ValueError(f"{recorded[:80]!r} is not of the form {form.pattern}")
    return str(recorded)


def _time(recorded: Any) -> str:
    return datetime.fromisoformat(text_of(recorded)).astimezone(UTC).isoformat(timespec="seconds")


def _seconds(recorded: Any) -> float:
    if type(recorded) not in (int, float) or not isfinite(recorded) or recorded < 0:
        raise ValueError(f"{recorded!r} seconds")
    return float(recorded)


def _verdict(recorded: Any) -> str:
    if text_of(recorded) not in VERDICTS:
        raise ValueError(f"the verdict {recorded[:80]!r}")
    return str(recorded)


def _verify(recorded: dict[str, Any], secret: bytes) -> None:
    """Raise Refused for an entry that was not signed with the secret, or altered since."""
    signature = recorded.pop(SIGNATURE, None)
    if not isinstance(signature, str):
        raise Refused("its entry is not signed")
    expected = _signature(recorded, secret)
    if not hmac.compare_digest(signature.encode(), expected.encode()):
        raise Refused("its entry was altered, or signed with another key")


def _signature(recorded: dict[str, Any], secret: bytes) -> str:
    return hmac.digest(secret, canonical(recorded), "sha256").hex()
