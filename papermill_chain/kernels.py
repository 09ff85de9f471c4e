"""One notebook in a kernel of its own, and the truth about how far it has come."""

import math
import re
import tempfile
import threading
from collections.abc import Callable, Iterable
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import nbformat
import papermill
import psutil
from jupyter_client.kernelspec import NoSuchKernel
from jupyter_client.manager import AsyncKernelManager
from jupyter_core.utils import ensure_event_loop, run_sync
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import NBClientEngine, papermill_engines
from papermill.execute import ERROR_MARKER_TAG

from papermill_chain.record import Failure, saying

HEADLINE = "application/vnd.chain.headline+json"
MARKS = ("CHAIN_RUN_FOLDER", "CHAIN_STAGE")  # what tells the processes of a stage from all others
LINES_OF_TRACEBACK = 8
SECONDS_TO_START = 60
# Leaves nothing behind but what Python remembers of imports: the namespace stays clean.
WARM_UP = """
def _warm_up(names):
    from importlib import import_module
    for name in names:
        try:
            import_module(name)
        except Exception:
            pass  # no module, or one that the notebook itself shall complain about
_warm_up({names!r}); del _warm_up
"""
ANSI = re.compile(r"\x1b\[[0-9;]*m")


@dataclass
class Session:
    """A notebook being executed: where, and how far it is."""

    folder: Path
    environment: dict[str, str]
    follow: Callable[[int, int, str | None], None]  # told the code cell, how many, the heading
    timeout: int | None = None  # seconds for one cell
    log: IO[bytes] = field(default_factory=tempfile.TemporaryFile)  # what the kernel itself prints
    done: set[int] = field(default_factory=set)  # the cells that the kernel has answered for
    manager: AsyncKernelManager | None = None  # of a kernel that was started ahead of time
    may_begin: threading.Event = field(default_factory=threading.Event)
    stopped: bool = False
    ended: bool = False

    def close(self) -> None:
        """Nothing more is to come of it."""
        self.log.close()
        self.ended = True

    def wait(self) -> bool:
        """Wait until the notebook may begin; whether it still shall."""
        self.may_begin.wait()
        return not self.stopped

    def kill(self) -> None:
        """Kill the kernel and all that was started in it, also what has been orphaned since.

        They are known by their environment: a kernel that died leaves no other trace of its family.
        """
        self.stopped = True
        self.may_begin.set()
        for process in psutil.process_iter():
            with suppress(psutil.Error, OSError):
                environment = process.environ()
                if all(environment.get(name) == self.environment[name] for name in MARKS):
                    process.kill()


@dataclass
class Outcome:
    """What an executed notebook leaves behind."""

    error: Failure | None
    headline: str = ""
    figures: dict[str, Any] = field(default_factory=dict)


class ChainEngine(NBClientEngine):
    """Papermill's engine with a folder and an environment for the kernel, and with our hooks."""

    @classmethod
    def execute_managed_notebook(cls, nb_man, kernel_name, *, session, start_timeout, **_):
        cells = nb_man.nb.cells
        total = len(_runnable(cells))

        def on_cell_execute(cell, cell_index):
            number = len(_runnable(cells[: cell_index + 1]))
            session.follow(number, total, _heading(cells, cell_index))

        client = PapermillNotebookClient(
            nb_man,
            km=session.manager,
            kernel_name=kernel_name,
            startup_timeout=start_timeout,
            timeout=session.timeout,
            on_cell_execute=on_cell_execute,
            on_cell_executed=lambda cell, cell_index, execute_reply: session.done.add(cell_index),
        )
        client.owns_km = True  # a kernel started ahead of time is to be shut down like any other
        if session.stopped:
            raise DeadKernelError("stopped before it started")
        client.execute(
            env=session.environment, cwd=str(session.folder),
            stdout=session.log, stderr=session.log,
        )  # fmt: skip


def start_ahead(kernel: str, imports: Iterable[str], session: Session) -> None:
    """Start a kernel and have it import, while nobody waits for it, what its notebook will.

    If that fails, nothing is lost: the kernel is started again when it is needed, and what is wrong
    shows then.
    """
    manager = AsyncKernelManager(kernel_name=kernel)
    try:
        run_sync(manager.start_kernel)(
            env=session.environment, cwd=str(session.folder),
            stdout=session.log, stderr=session.log,
            extra_arguments=["--HistoryManager.hist_file=:memory:"],
        )  # fmt: skip
        client = manager.client()
        client.start_channels()
        try:
            run_sync(client.wait_for_ready)(timeout=SECONDS_TO_START)
            client.execute(WARM_UP.format(names=list(imports)), silent=True, store_history=False)
        finally:
            client.stop_channels()
        session.manager = manager
    except Exception:
        _end(manager)


def dismiss(session: Session) -> None:
    """Put an end to a kernel whose notebook shall not run after all."""
    if session.manager:
        _end(session.manager)
    session.kill()
    session.close()


def execute(
    notebook: Path, executed: Path, parameters: dict[str, Any], kernel: str, session: Session
) -> Outcome:
    """Run a notebook and keep it, executed; what went wrong is told, not raised."""
    papermill_engines.register("chain", ChainEngine)
    broken = None
    try:
        papermill.execute_notebook(
            _literally(notebook), _literally(executed), parameters,
            engine_name="chain", kernel_name=kernel, language="python",
            progress_bar=False, session=session,
        )  # fmt: skip
    except papermill.PapermillExecutionError:
        pass  # the notebook tells more
    except Exception as error:
        broken = error
    try:
        return _outcome(executed, session, broken)
    except Exception as error:  # the disk is full, or the file half written because it was
        return Outcome(_failure_of(broken or error, session, executed))
    finally:
        if broken:
            session.kill()
        session.close()


def _end(manager: AsyncKernelManager) -> None:
    with suppress(Exception):  # it may have been killed, or never have started
        run_sync(manager.shutdown_kernel)(now=True)


def own_loop() -> closing:
    """The event loop of this thread while it deals with a kernel; nobody else would close it."""
    return closing(ensure_event_loop())


def _outcome(executed: Path, session: Session, broken: Exception | None) -> Outcome:
    """What the executed notebook tells, after its file has been made to tell the truth."""
    nb = nbformat.read(executed, as_version=4)
    nb.cells = [cell for cell in nb.cells if ERROR_MARKER_TAG not in cell.metadata.get("tags", [])]
    for path in ("input_path", "output_path"):
        nb.metadata.papermill[path] = Path(nb.metadata.papermill[path]).name
    at, failure = _stop(nb.cells, session, broken)
    if failure:
        _mark_stopped(nb.cells, at)
    nbformat.write(nb, executed)
    headline, figures = _headline(nb.cells)
    return Outcome(failure, headline, figures)


def _stop(cells, session: Session, broken: Exception | None) -> tuple[int | None, Failure | None]:
    """The cell in which a notebook stopped, if it did, and why.

    An exit status is not to be trusted: `sys.exit(0)` in a cell skips the rest without an error.
    """
    for at in _runnable(cells):
        error = next((out for out in cells[at].outputs if out.output_type == "error"), None)
        if at in session.done and error is None:
            continue
        if not session.done and broken and not isinstance(broken, CellTimeoutError):
            break  # the kernel never got to work
        failure = _failure_in(error) if at in session.done else _failure_of(broken, session)
        failure.cell = at
        failure.number = len(_runnable(cells[: at + 1]))
        failure.heading = _heading(cells, at)
        return at, failure
    return None, _failure_of(broken, session) if broken else None


def _failure_in(error) -> Failure:
    """The failure that a cell's own error output tells of."""
    value = ANSI.sub("", error.evalue)
    if error.ename == "SystemExit":
        return Failure(error.ename, f"{value}, so the cells below did not run")
    said = ANSI.sub("", "\n".join(error.traceback)).strip().splitlines()
    return Failure(error.ename, value, traceback="\n".join(said[-LINES_OF_TRACEBACK:]))


def _failure_of(broken: Exception | None, session: Session, file: Path | None = None) -> Failure:
    """The failure of a kernel or of a file, as a sentence."""
    match broken:
        case CellTimeoutError():
            return Failure("Timeout", f"the cell took longer than {session.timeout} s")
        case NoSuchKernel(name=name):
            return Failure(
                "NoSuchKernel", f"there is no kernel {name} here; choose another in the notebook"
            )
        case OSError():
            return Failure(type(broken).__name__, saying(broken, file))
        case DeadKernelError():
            return Failure("KernelDied", f"the kernel died{_last_words(session)}")
        case RuntimeError() if not session.done:
            return Failure("KernelDied", f"the kernel did not start{_last_words(session)}")
        case None:
            return Failure("NotRun", "the notebook came to an end without this cell")
    return Failure(type(broken).__name__, str(broken))


def _last_words(session: Session) -> str:
    """The last line that a kernel has printed on its own, such as why it could not start."""
    session.log.seek(0)
    lines = session.log.read().decode(errors="replace").strip().splitlines()
    words = [line for line in lines if not line.startswith("[IPKernelApp] WARNING")]
    return f": {words[-1]}" if words else ""


def _mark_stopped(cells, at: int | None) -> None:
    """Take back that papermill calls every cell completed, whatever happened."""
    for index, cell in enumerate(cells):
        if at is not None and index < at:
            continue
        if index == at:
            cell.metadata.papermill |= {"status": "failed", "exception": True}
            continue
        cell.metadata.papermill |= {
            "status": "pending", "exception": None,
            "start_time": None, "end_time": None, "duration": None,
        }  # fmt: skip
        if cell.cell_type == "code":
            cell.execution_count, cell.outputs = None, []


def _headline(cells) -> tuple[str, dict[str, Any]]:
    """The last sentence a notebook has put forward, and all figures it has named."""
    text, figures = "", {}
    for cell in cells:
        for output in cell.get("outputs", []):
            told = output.get("data", {}).get(HEADLINE)
            if isinstance(told, dict):
                text = str(told.get("text") or text)
                figures |= dict(told.get("figures") or {})
    finite = {k: v for k, v in figures.items() if not isinstance(v, float) or math.isfinite(v)}
    return text, finite


def _runnable(cells) -> list[int]:
    """Where the cells are that a kernel is to execute."""
    return [
        index
        for index, cell in enumerate(cells)
        if cell.cell_type == "code"
        and cell.source.strip()
        and "skip-execution" not in cell.metadata.get("tags", [])
    ]


def _heading(cells, index: int) -> str | None:
    """The heading under which a cell stands."""
    for cell in reversed(cells[:index]):
        found = re.findall(r"^#{1,6} +(.+?)[ #]*$", cell.source, re.M)
        if cell.cell_type == "markdown" and found:
            return found[-1].replace("`", "").replace("*", "")
    return None


def _literally(path: Path) -> str:
    """A path that papermill, which fills in {names}, leaves as it is."""
    return str(path).replace("{", "{{").replace("}", "}}")
