"""A page no larger than a browser bears: outputs beyond that are named with their size."""

from __future__ import annotations

from typing import TYPE_CHECKING

from papermill_chain.chain.output_limits import shown_size, size_text

if TYPE_CHECKING:  # loaded when a report is written
    from nbformat import NotebookNode

MARKUP = ("text/html", "text/markdown")
WEIGHT_OF_MARKUP = 8  # a MB of it takes some 8 s to be made harmless, and then a browser's time


def fit_page(executed: NotebookNode, forms: list[str], most: int, file: str) -> None:
    """Take out of a notebook what would make its page too large, and put notes in its place.

    Parameters
    ----------
    executed : the notebook, which is changed in place.
    forms : the types of data that a page shows, the best first.
    most : bytes of all outputs together; markup counts for eight times its size.
    file : the name of the file that holds all of it.
    """
    left = most
    for cell in executed.cells:
        for output in cell.get("outputs", []):
            if output.output_type == "stream":
                left -= _fit_text(output, left, most, file)
            elif output.output_type != "error":
                left -= _fit_data(output, forms, left, most, file)


def _fit_text(output: NotebookNode, left: int, most: int, file: str) -> int:
    """Cut what was printed to what is left; the bytes that are shown of it."""
    size = shown_size(output.text)
    if size <= left:
        return size
    kept = output.text[: max(left, 0) * len(output.text) // size]
    output.text = f"{kept}\n{_note(size, shown_size(kept), most, file)}"
    return max(left, 0)


def _fit_data(output: NotebookNode, forms: list[str], left: int, most: int, file: str) -> int:
    """Keep the best form of an output that fits; its weight."""
    too_large = 0
    for form in [form for form in forms if form in output.data]:
        narrow = str(output.metadata.get(form, {}).get("narrow") or "")  # shown beside it
        size = shown_size(output.data[form]) + shown_size(narrow)
        weight = size * (WEIGHT_OF_MARKUP if form in MARKUP else 1)
        if weight <= left and not (too_large and form != "text/plain"):
            if too_large:
                note = _note(too_large, size, most, file)
                _show_alone(output, forms, form, f"{note}\n{output.data[form]}")
            return weight
        too_large = too_large or size
    if too_large:
        _show_alone(output, forms, "text/plain", _note(too_large, 0, most, file))
    return 0


def _show_alone(output: NotebookNode, forms: list[str], form: str, shown: str) -> None:
    """Have an output shown in one form; what a page never shows, such as a headline, stays."""
    for other in forms:
        output.data.pop(other, None)
    output.data[form] = shown


def _note(size: int, kept: int, most: int, file: str) -> str:
    """What was cut off, where all of it is, and what sets the limit."""
    return (
        f"[output of {size_text(size)} cut to {size_text(kept)}: --max-page is {size_text(most)};"
        f" {file} has all of it]"
    )
