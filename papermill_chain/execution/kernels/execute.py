"""One notebook is executed in its kernel, by way of papermill."""

import papermill_chain.execution.kernels.libraries  # noqa: F401  # before those it imports

# isort: split
import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import nbformat
import papermill
from jupyter_core.utils import ensure_event_loop
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionComplete
from nbformat import NotebookNode
from nbformat.v4 import new_output
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import NBClientEngine, papermill_engines

from papermill_chain.chain.notebooks import SCRIPT, Notebook, read_node
from papermill_chain.chain.output_limits import OutputBudget
from papermill_chain.execution.kernels.outcome import failure_of, heading_of, outcome_of, runnable
from papermill_chain.execution.kernels.session import Outcome, Session
from papermill_chain.execution.kernels.start import SECONDS_TO_START, launch_options, manager

LIMITED = {  # messages of a kernel that a notebook keeps
    *("stream", "display_data", "execute_result", "update_display_data", "error"),
    *("comm_open", "comm_msg"),
}
LONGEST_JOINED = 50_000  # characters
NOTE = "chain_note"  # in the metadata of an output
SECONDS_FOR_OUTPUT = 60  # to arrive, once a cell has ended


class ChainClient(PapermillNotebookClient):  # type: ignore[misc]  # papermill has no types
    """Papermill's client, which keeps no more of the outputs than the limits of the run admit."""

    budget: OutputBudget
    session: Session

    def process_message(
        self, message: dict[str, Any], cell: NotebookNode, cell_index: int
    ) -> NotebookNode | None:
        if self.session.stopped:  # what a killed kernel has left may take seconds to read
            raise CellExecutionComplete
        kind, content = message["msg_type"], message["content"]
        if kind == "clear_output":
            self.budget.cleared(cell_index)
        if isinstance(content, bytes):  # it has stayed packed
            self.budget.skip(content, cell_index)
            admitted = False
        else:
            admitted = kind not in LIMITED or self.budget.admits(kind, content, cell_index)
        output = super().process_message(message, cell, cell_index) if admitted else None
        if kind == "stream":
            _join_last_two(cell.outputs)
        if kind in LIMITED and (note := self.budget.note(cell_index)):
            _put_note(cell.outputs, note)
        return output


class ChainEngine(NBClientEngine):  # type: ignore[misc]  # papermill has no types
    """Papermill's engine, in the session's folder and environment, which reports each cell."""

    @classmethod
    def execute_managed_notebook(
        cls,
        nb_man: Any,
        kernel_name: str,
        *,
        session: Session,
        ahead: NotebookClient | None,
        **_: Any,
    ) -> None:
        cells = nb_man.nb.cells
        total = len(runnable(cells))
        session.fetch_secrets_in(cells)
        nb_man.save = partial(_save_masked, nb_man, session, nb_man.save)

        def on_cell_execute(cell: NotebookNode, cell_index: int) -> None:
            number = len(runnable(cells[: cell_index + 1]))
            session.at_cell(number, total, heading_of(cells, cell_index))
            session.cell_begins()
            client.kc.session.has_room_for = partial(client.budget.has_room_for, cell=cell_index)

        client = ChainClient(
            nb_man,
            km=ahead.km if ahead else manager(kernel_name, session),
            kernel_name=kernel_name,
            startup_timeout=SECONDS_TO_START,
            iopub_timeout=SECONDS_FOR_OUTPUT,
            on_cell_execute=on_cell_execute,
            on_cell_executed=lambda cell, cell_index, execute_reply: session.cell_ends(cell_index),
        )
        client.budget, client.session = OutputBudget(session.limits), session
        client.owns_km = True  # else nobody would shut the kernel down
        client.kc = ahead and ahead.kc
        session.let_go = partial(_let_go, client, ensure_event_loop())
        with session.watched():
            client.execute(**launch_options(session))


def execute(
    notebook: Path,
    executed: Path,
    parameters: dict[str, Any],
    about: Notebook,
    session: Session,
    ahead: NotebookClient | None,
) -> Outcome:
    """Run a notebook and write it, executed; what went wrong is in the outcome, not raised.

    Its kernel is the one that has been started ahead, else one that is started now.
    """
    papermill_engines.register("chain", ChainEngine)
    broken = None
    try:
        if notebook.suffix == SCRIPT:  # which papermill does not read
            executed.write_text(nbformat.writes(read_node(notebook)), encoding="utf-8")
            notebook = executed
        papermill.execute_notebook(
            _literally(notebook),
            _literally(executed),
            parameters,
            engine_name="chain",
            kernel_name=about.kernel,
            language=about.language,
            progress_bar=False,
            session=session,
            ahead=ahead,
        )
    except papermill.PapermillExecutionError:
        pass  # there is more in the notebook
    except Exception as error:  # noqa: BLE001  it is in the outcome, whatever it is
        broken = error
    try:
        return outcome_of(executed, session, broken)
    except Exception as error:  # noqa: BLE001  the disk may be full, or the file cut by that
        return Outcome(failure_of(broken or error, session, executed))
    finally:
        if broken:
            session.kill()


def _let_go(client: NotebookClient, loop: asyncio.AbstractEventLoop) -> None:
    """Have a client, in its own thread, wait no longer for the answer of a kernel that is killed.

    It would look only once a second whether the kernel lives, and not while it reads what is left.
    """

    def end() -> None:
        if client.task_poll_for_reply:
            client.task_poll_for_reply.cancel()

    with suppress(RuntimeError):  # the loop is closed: nobody waits any more
        loop.call_soon_threadsafe(end)


def _join_last_two(outputs: list[NotebookNode]) -> None:
    """Have what is printed bit by bit in few outputs: ten thousand take seconds to be checked."""
    if len(outputs) < 2 or {output.output_type for output in outputs[-2:]} != {"stream"}:
        return
    before, last = outputs[-2:]
    if before.name == last.name and len(before.text) < LONGEST_JOINED:
        before.text += last.text
        outputs.pop()


def _put_note(outputs: list[NotebookNode], note: str) -> None:
    """Have a note, whose text changes as more is cut, stand once below the outputs of a cell."""
    noted = next(
        (output for output in reversed(outputs) if NOTE in output.get("metadata", {})), None
    )
    if noted is None:
        noted = new_output("display_data", metadata={NOTE: True})
        outputs.append(noted)
    noted.data = {"text/plain": note}


def _save_masked(nb_man: Any, session: Session, save: Callable[..., None], **options: Any) -> None:
    """Write the notebook as papermill does, without the secrets that outputs may have repeated.

    Papermill writes it twice a cell, figures and all; once a second is enough, and at the end.
    """
    ended = nb_man.end_time is not None
    if not ended and (nb_man.now() - nb_man.last_save_time).total_seconds() < 1:
        return
    if session.secrets:
        for cell in nb_man.nb.cells:
            if "outputs" in cell:
                cell.outputs = session.masked_in(cell.outputs)
    save(**options)


def _literally(path: Path) -> str:
    """A path that papermill, which fills in {names}, leaves as it is."""
    return str(path).replace("{", "{{").replace("}", "}}")
