"""One notebook in a kernel of its own, by way of papermill."""

import os
import sys
from collections.abc import Callable
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from typing import Any

# jsonschema would build a grammar of internationalized addresses on import; it takes longer than
# the rest of papermill together, and no notebook needs it.
sys.modules.setdefault("rfc3987_syntax", None)
import papermill
from jupyter_client.manager import AsyncKernelManager
from jupyter_client.provisioning import LocalProvisioner
from jupyter_core.utils import ensure_event_loop
from nbclient.exceptions import DeadKernelError
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import NBClientEngine, papermill_engines

from papermill_chain.outcome import failure_of, heading_of, outcome_of, runnable
from papermill_chain.session import Outcome, Session
from papermill_chain.warm import NoFork

if sys.modules["rfc3987_syntax"] is None:
    del sys.modules["rfc3987_syntax"]

NICER = 10  # than the others: a tenth of the processor, as long as others want the rest


class ChainProvisioner(LocalProvisioner):
    """Jupyter's way to start a kernel, but forked from the warm process where there is one."""

    session: Session

    async def launch_kernel(self, cmd, **how):
        session = self.session
        fork = None
        if session.warm and cmd[0] == sys.executable and "ipykernel_launcher" in cmd:
            arguments = cmd[cmd.index("ipykernel_launcher") + 1 :]
            with suppress(NoFork):
                fork = session.warm.kernel(session.stage, arguments, how["env"], session.log)
        if session.stopped:
            raise DeadKernelError("stopped before it started")
        if fork:
            self.process, self.pid, self.pgid = fork, fork.pid, fork.pid
        else:
            await super().launch_kernel(cmd, **how)
        session.kernel = self.process
        if session.yields:
            with suppress(OSError, AttributeError):  # Windows has no such call
                usual = os.getpriority(os.PRIO_PROCESS, 0)
                os.setpriority(os.PRIO_PROCESS, self.pid, usual + NICER)
        return self.connection_info


class ChainEngine(NBClientEngine):
    """Papermill's engine with a folder and an environment for the kernel, and with our hooks."""

    @classmethod
    def execute_managed_notebook(cls, nb_man, kernel_name, *, session, start_timeout, **_):
        cells = nb_man.nb.cells
        total = len(runnable(cells))
        _take_secrets_from_environment(cells, session)
        nb_man.save = partial(_save_masked, nb_man, session, nb_man.save)

        def on_cell_execute(cell, cell_index):
            session.follow(
                len(runnable(cells[: cell_index + 1])), total, heading_of(cells, cell_index)
            )
            session.cell_begins()

        manager = AsyncKernelManager(kernel_name=kernel_name)
        manager.provisioner = ChainProvisioner(
            parent=manager, kernel_id=manager.kernel_id, kernel_spec=manager.kernel_spec
        )
        manager.provisioner.session = session
        client = PapermillNotebookClient(
            nb_man,
            km=manager,
            kernel_name=kernel_name,
            startup_timeout=start_timeout,
            timeout=session.timeout,
            on_cell_execute=on_cell_execute,
            on_cell_executed=lambda cell, cell_index, execute_reply: session.cell_ends(cell_index),
        )
        client.owns_km = True  # else nobody would shut the kernel down
        client.execute(
            env=session.environment, cwd=str(session.folder),
            stdout=session.log, stderr=session.log,
        )  # fmt: skip


def execute(
    notebook: Path, executed: Path, parameters: dict[str, Any], kernel: str, session: Session
) -> Outcome:
    """Run a notebook and keep it, executed; what went wrong is told, not raised."""
    papermill_engines.register("chain", ChainEngine)
    broken = None
    try:
        with closing(ensure_event_loop()):  # of this thread; nobody else would close it
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
        return outcome_of(executed, session, broken)
    except Exception as error:  # the disk is full, or the file half written because it was
        return Outcome(failure_of(broken or error, session, executed))
    finally:
        if broken:
            session.kill()
        session.log.close()


def _take_secrets_from_environment(cells, session: Session) -> None:
    """Have the notebook itself fetch its secrets, so that their values are in no file."""
    tagged = [c for c in cells if {"parameters", "injected-parameters"} & set(c.metadata.tags)]
    for name, variable in session.secrets.items():
        tagged[-1].source += f'\n{name} = __import__("os").environ["{variable}"]'


def _save_masked(nb_man, session: Session, save: Callable, **how: Any) -> None:
    """Write the notebook as papermill does, without the secrets that outputs may have repeated.

    Papermill writes it twice a cell, figures and all; once a second is enough, and at the end.
    """
    ended = nb_man.end_time is not None
    if not ended and (nb_man.now() - nb_man.last_save_time).total_seconds() < 1:
        return
    if session.secrets:
        for cell in nb_man.nb.cells:
            if "outputs" in cell:
                cell.outputs = _masked(cell.outputs, session)
    save(**how)


def _masked(value: Any, session: Session) -> Any:
    """A part of a notebook with all its texts masked."""
    match value:
        case str():
            return session.masked(value)
        case list():
            return [_masked(item, session) for item in value]
        case dict():
            return type(value)({key: _masked(item, session) for key, item in value.items()})
    return value


def _literally(path: Path) -> str:
    """A path that papermill, which fills in {names}, leaves as it is."""
    return str(path).replace("{", "{{").replace("}", "}}")
