"""How large outputs, notebooks and pages may become, and what is cut off beyond that.

A cell may print for ever, or show a table of a million rows. What goes beyond a limit is counted
and dropped; a note below the cell names both sizes and the option that sets the limit.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

MB = 1_000_000
MOST_OUTPUTS = 1_000  # of one cell
MOST_LINES = 100_000  # that a cell prints
LONGEST_MESSAGE = 2_000  # characters of an error's message
LONGEST_TRACEBACK = 50_000  # characters of it
STREAM = re.compile(rb'"name": ?"(stdout|stderr)"')  # in a packed message
BYTES_OF_LINE = 14  # what a notebook adds to each line of a text: quotes, comma and indentation


@dataclass(frozen=True)
class Limits:
    """The most bytes of one output, of all outputs in a notebook, and of what a page shows."""

    output: int = 8 * MB
    notebook: int = 32 * MB
    page: int = 16 * MB


@dataclass
class CellOutputs:
    """What the outputs of a cell come to, in bytes."""

    count: int = 0
    stream: str = ""  # that the last output is of, if it is of one: what is printed next joins it
    lines: int = 0  # printed
    full: set[str] = field(default_factory=set)  # streams of which something was cut
    shown: dict[str, int] = field(default_factory=dict)  # by stream; of other outputs under ""
    stored: int = 0  # in the file
    dropped: int = 0
    why: str = ""

    @property
    def note(self) -> str:
        """What was cut, or nothing."""
        if not self.dropped:
            return ""
        kept = sum(self.shown.values())
        return f"[output of {size_text(kept + self.dropped)} cut to {size_text(kept)}: {self.why}]"


class OutputBudget:
    """What the outputs of a notebook may still take; it cuts messages of a kernel to that."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.cells: dict[int, CellOutputs] = {}

    def cleared(self, cell: int) -> None:
        """A cell has taken back its outputs."""
        self.cells[cell] = CellOutputs()

    def admits(self, kind: str, content: dict[str, Any], cell: int) -> bool:
        """Cut a message to what may be kept of it; whether anything is left.

        Parameters
        ----------
        kind : the type of the message, such as "stream".
        content : of the message, which is changed in place.
        cell : the index of the cell it belongs to.
        """
        outputs = self.cells.setdefault(cell, CellOutputs())
        if kind == "error":
            content["evalue"] = str(content["evalue"])[:LONGEST_MESSAGE]
            content["traceback"] = _last_characters(content["traceback"], LONGEST_TRACEBACK)
            return True
        if kind.startswith("comm"):  # the state of widgets, which no page shows
            return stored_size(content.get("data")) <= self.limits.output
        stream = content["name"] if kind == "stream" else ""
        is_new = kind != "update_display_data" and (not stream or stream != outputs.stream)
        if is_new and outputs.count >= MOST_OUTPUTS:
            forms = content["data"].values() if "data" in content else [content["text"]]
            outputs.dropped += sum(map(shown_size, forms))
            outputs.why = f"a cell may have {MOST_OUTPUTS:,} outputs"
            return False
        cut = self._cut_stream if kind == "stream" else self._cut_data
        admitted = cut(content, outputs)
        if admitted and is_new:
            outputs.count, outputs.stream = outputs.count + 1, stream
        return admitted

    def has_room_for(self, packed: bytes, cell: int) -> bool:
        """Whether anything could be kept of what is printed, by the message before it is unpacked.

        A process that prints for ever would else be read more slowly than it prints, and what is
        yet to be read would fill the memory.
        """
        name = STREAM.search(packed)
        return not name or cell not in self.cells or name[1].decode() not in self.cells[cell].full

    def skip(self, packed: bytes, cell: int) -> None:
        """Count what is printed, but not kept, by its message, without what JSON adds to it."""
        frame = len(json.dumps({"name": "stdout", "text": ""}))
        self.cells[cell].dropped += len(packed) - packed.count(b"\\") - frame

    def note(self, cell: int) -> str:
        """What was cut of a cell's outputs, or nothing."""
        return self.cells[cell].note

    def _left(self) -> int:
        """The bytes that the notebook's file may still grow by."""
        return self.limits.notebook - sum(cell.stored for cell in self.cells.values())

    def _cut_stream(self, content: dict[str, Any], outputs: CellOutputs) -> bool:
        """Keep the beginning of what is printed, and nothing of what comes after a cut."""
        name, text = content["name"], content["text"]
        if name in outputs.full:
            outputs.dropped += shown_size(text)
            content["text"] = ""
            return False
        left = self.limits.output - outputs.shown.get(name, 0)
        lines = _first_lines(text, MOST_LINES - outputs.lines)
        kept = _beginning(lines, left, self._left())
        if dropped := shown_size(text) - shown_size(kept):
            outputs.dropped += dropped
            outputs.full.add(name)
            few = f"a cell may print {MOST_LINES:,} lines"
            outputs.why = few if kept == lines else self._why(shown_size(lines) > left)
        content["text"] = kept
        outputs.shown[name] = outputs.shown.get(name, 0) + shown_size(kept)
        outputs.stored += stored_size(kept)
        outputs.lines += kept.count("\n")
        return bool(kept)

    def _cut_data(self, content: dict[str, Any], outputs: CellOutputs) -> bool:
        """Keep the forms of an output that are not too large, such as the text beside HTML."""
        for mime, shown in list(content["data"].items()):
            size, left = shown_size(shown), self._left()
            if size > self.limits.output or stored_size(shown) > left:
                outputs.dropped += size
                outputs.why = self._why(size > self.limits.output)
                del content["data"][mime]
            else:
                outputs.shown[""] = outputs.shown.get("", 0) + size
                outputs.stored += stored_size(shown)
        return bool(content["data"])

    def _why(self, output_is_too_large: bool) -> str:
        if output_is_too_large:
            return f"--max-output is {size_text(self.limits.output)}"
        return f"--max-notebook is {size_text(self.limits.notebook)}"


def shown_size(value: Any) -> int:
    """The bytes of an output."""
    return len((value if isinstance(value, str) else json.dumps(value)).encode(errors="replace"))


def stored_size(value: Any) -> int:
    """The bytes of an output in the file of a notebook."""
    text = json.dumps(value, ensure_ascii=False).encode(errors="replace")
    return len(text) + BYTES_OF_LINE * (1 + text.count(b"\\n"))


def size_text(size: int) -> str:
    """A number of bytes as one reads it."""
    for unit, name in ((MB, "MB"), (1000, "kB")):
        if size >= 0.9995 * unit:  # 999,900 bytes are 1 MB, and not 1e+03 kB
            return f"{size / unit:.3g} {name}" if size < 1000 * unit else f"{size / unit:,.0f} MB"
    return f"{size} bytes"


def limits_of(options: Mapping[str, Any]) -> Limits:
    """The limits that a command line asks for, in MB."""
    asked = {name: options.get(f"max_{name}") for name in ("output", "notebook", "page")}
    return Limits(**{name: size * MB for name, size in asked.items() if size})


def _first_lines(text: str, most: int) -> str:
    """The first lines of a text."""
    if most <= 0:
        return ""
    return "\n".join([*text.split("\n", most)[:most], ""]) if text.count("\n") > most else text


def _beginning(text: str, shown: int, stored: int) -> str:
    """As much of the beginning of a text as fits, shown and stored."""
    if shown <= 0 or stored <= 0:  # without a look at a text that is thrown away
        return ""
    while text and (shown_size(text) > shown or stored_size(text) > stored):
        share = min(shown / shown_size(text), stored / stored_size(text))
        text = text[: int(len(text) * max(share, 0.0) * 0.999)]
    return text


def _last_characters(lines: list[str], most: int) -> list[str]:
    """The end of a traceback, which names the place."""
    text = "\n".join(lines)
    return lines if len(text) <= most else text[-most:].split("\n")
