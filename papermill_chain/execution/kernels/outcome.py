"""What came of an executed notebook, after its file has been corrected."""

import binascii
import re
import signal
from base64 import b64decode
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import nbformat
from jupyter_client.kernelspec import NoSuchKernel, find_kernel_specs
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from papermill.execute import ERROR_MARKER_TAG
from zmq import ZMQError

from papermill_chain.execution.kernels.session import Outcome, Picture, Session
from papermill_chain.runs.figures import HEADLINE, read_figures
from papermill_chain.runs.files import PNG, os_error_text
from papermill_chain.runs.manifest import Failure, read_verdict

RAISES_TAG = "raises-exception"  # Jupyter's, of a cell after whose error a notebook goes on
FAILED = {"status": "failed", "exception": True}  # as papermill marks a cell
LINES_OF_TRACEBACK = 8
LONGEST_LINE = 500  # characters
ANSI = re.compile(r"\x1b\[[0-9;]*m")


def outcome_of(executed: Path, session: Session, broken: Exception | None) -> Outcome:
    """Read an executed notebook, correct what it records of itself, and return what came of it.

    Papermill calls every cell completed whatever happened, and `sys.exit(0)` in a cell skips the
    rest without an error; what counts is which cells the kernel has answered for.
    """
    nb = nbformat.read(executed, as_version=4)
    nb.cells = [cell for cell in nb.cells if ERROR_MARKER_TAG not in cell.metadata.get("tags", [])]
    for path in ("input_path", "output_path"):
        nb.metadata.papermill[path] = Path(nb.metadata.papermill[path]).name
    at, failure = _stop(nb.cells, session, broken)
    if failure and failure.went_on:
        nb.cells[at].metadata.papermill |= FAILED
    elif failure:
        _mark_stopped(nb.cells, at)
    cells = []
    for index, measured in sorted(session.done.items()):
        nb.cells[index].metadata["chain"] = measured
        cells.append({"cell": index, "heading": heading_of(nb.cells, index), **measured})
    nbformat.write(nb, executed)
    outcome = Outcome(failure, cells=cells)
    _read_headlines(nb.cells, outcome)
    return outcome


def failure_of(broken: Exception | None, session: Session, file: Path | None = None) -> Failure:
    """The failure of a kernel or of a file, as a sentence."""
    match broken:
        case _ if session.timed_out:
            return Failure("Timeout", f"the cell took longer than {session.timeout} s")
        case CellTimeoutError():
            return Failure("Timeout", "the cell ended, but its output did not arrive in time")
        case NoSuchKernel(name=name):
            return Failure(
                "NoSuchKernel",
                f"there is no kernel {name} here, but {_listed(find_kernel_specs())}; install it,"
                " or choose another in the notebook",
            )
        case OSError():
            return Failure(type(broken).__name__, os_error_text(broken, file))
        case DeadKernelError():
            return Failure("KernelDied", f"the kernel {_end_of(session)}{_last_output(session)}")
        case RuntimeError() | ZMQError() if not session.done:
            return Failure("KernelDied", f"the kernel did not start{_last_output(session)}")
        case None:
            return Failure("NotRun", "the notebook came to an end without this cell")
    return Failure(type(broken).__name__, session.masked(str(broken)))


def runnable(cells: list[NotebookNode]) -> list[int]:
    """The indices of the cells that a kernel is to execute."""
    return [
        index
        for index, cell in enumerate(cells)
        if cell.cell_type == "code"
        and cell.source.strip()
        and "skip-execution" not in cell.metadata.get("tags", [])
    ]


def heading_of(cells: list[NotebookNode], index: int) -> str | None:
    """The heading under which a cell stands."""
    for cell in reversed(cells[:index]):
        headings = re.findall(r"^#{1,6} +(.+?)[ #]*$", cell.source, re.MULTILINE)
        if cell.cell_type == "markdown" and headings:
            return re.sub("[`*]", "", headings[-1])
    return None


def _stop(
    cells: list[NotebookNode], session: Session, broken: Exception | None
) -> tuple[int | None, Failure | None]:
    """The cell in which a notebook stopped, if it did, and why."""
    expected: tuple[int, Failure] | None = None  # in a cell that was allowed to raise it
    for at in runnable(cells):
        error = next((out for out in cells[at].outputs if out.output_type == "error"), None)
        raised = error is not None or cells[at].metadata.papermill.exception
        if at in session.done and not raised:
            continue
        if not session.done and broken and not session.timed_out:
            break  # the kernel never got to work
        if at not in session.done:
            failure = failure_of(broken, session)
        else:
            failure = _failure_in(error, cells[at]) if error else _failure_printed(cells[at])
        failure.cell = at
        failure.number = len(runnable(cells[: at + 1]))
        failure.heading = heading_of(cells, at)
        if at in session.done and RAISES_TAG in cells[at].metadata.get("tags", []):
            failure.went_on = True
            expected = expected or (at, failure)
            continue
        return at, failure
    if broken:
        return None, failure_of(broken, session)
    return expected or (None, None)


def _failure_in(error: NotebookNode, cell: NotebookNode) -> Failure:
    """The failure in a cell's error output."""
    value = ANSI.sub("", error.evalue)
    if error.ename == "SystemExit":
        why = "so the cells below did not run"
        return Failure(error.ename, f"{value}, {why}" if value else why)
    lines = ANSI.sub("", "\n".join(error.traceback)).strip().splitlines()
    last = [line[:LONGEST_LINE] for line in lines[-LINES_OF_TRACEBACK:]]
    if not error.ename and value.isdecimal():  # a shell has no names for errors
        return Failure("Error", f"exit code {value}{_last_printed(cell)}")
    return Failure(error.ename or "Error", value, traceback="\n".join(last))


def _last_printed(cell: NotebookNode) -> str:
    """The last line that a cell has printed, which says why where an exit code is all there is."""
    printed = ANSI.sub("", "".join(output.get("text", "") for output in cell.outputs))
    lines = printed.strip().splitlines()
    return f", after it printed: {lines[-1][:LONGEST_LINE]}" if lines else ""


def _failure_printed(cell: NotebookNode) -> Failure:
    """The failure of a cell that has only printed it, as an unknown magic does."""
    text = "".join(out.text for out in cell.outputs if out.get("name") == "stderr")
    kind, _, said = (ANSI.sub("", text).strip().splitlines() or [""])[-1].partition(": ")
    return (
        Failure(kind, said) if kind.isidentifier() else Failure("Error", text or "no reason given")
    )


def _listed(names: Iterable[str]) -> str:
    """Names in order, as a sentence has them."""
    *others, last = sorted(names)
    return f"{', '.join(others)} and {last}" if others else last


def _end_of(session: Session) -> str:
    """What kind of end a kernel has come to."""
    code = session.kernel and session.kernel.poll()
    if code is None:
        return "died"
    if code == -9:  # SIGKILL, which Windows does not know
        return "was killed, as the system does when memory runs out"
    if code < 0:
        return f"died of {signal.Signals(-code).name}"
    return f"ended by itself with exit code {code}"


def _last_output(session: Session) -> str:
    """The last line that a kernel has printed on its own, such as why it could not start."""
    session.log.seek(0)
    lines = session.log.read().decode(errors="replace").strip().splitlines()
    lines = [line for line in lines if not line.startswith("[IPKernelApp] WARNING")]
    told = [number for number, line in enumerate(lines, 1) if "--existing " in line]
    lines = lines[max(told, default=0) :]  # what a kernel says of itself ends with that
    return f": {session.masked(lines[-1])}" if lines else ""


def _mark_stopped(cells: list[NotebookNode], at: int | None) -> None:
    """Mark the cell at which a notebook stopped as failed, and those below it as not run."""
    for index, cell in enumerate(cells):
        if at is not None and index < at:
            continue
        if index == at:
            cell.metadata.papermill |= FAILED
            continue
        cell.metadata.papermill |= {
            "status": "pending",
            "exception": None,
            "start_time": None,
            "end_time": None,
            "duration": None,
        }
        if cell.cell_type == "code":
            cell.execution_count, cell.outputs = None, []


def _read_headlines(cells: list[NotebookNode], outcome: Outcome) -> None:
    """Add the last headline, verdict and picture of a notebook, and all its key figures."""
    for cell in cells:
        for output in cell.get("outputs", []):
            headline = output.get("data", {}).get(HEADLINE)
            if isinstance(headline, dict):
                outcome.headline = str(headline.get("text") or outcome.headline)
                outcome.verdict = read_verdict(headline.get("verdict")) or outcome.verdict
                outcome.figures |= read_figures(headline.get("figures"))
                outcome.picture = _picture(headline.get("picture")) or outcome.picture


def _picture(recorded: Any) -> Picture | None:
    """A picture as a headline carries it; none if it is not one."""
    try:
        png = b64decode(recorded["png"], validate=True)
        return Picture(png, str(recorded.get("alt", ""))) if png.startswith(PNG) else None
    except (TypeError, KeyError, AttributeError, binascii.Error):
        return None
