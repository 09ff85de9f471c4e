"""A kernel is started: forked where there is a server to fork from, and ahead of its turn."""

import papermill_chain.execution.kernels.libraries  # noqa: F401  # before those it imports

# isort: split
import asyncio
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, cast

from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.provisioning.local_provisioner import LocalProvisioner
from jupyter_client.session import Session as Messages
from jupyter_core.utils import ensure_event_loop
from nbclient import NotebookClient
from nbclient.exceptions import DeadKernelError
from nbformat.v4 import new_notebook

from papermill_chain.execution.kernels.fork_server import NoFork
from papermill_chain.execution.kernels.session import Session
from papermill_chain.execution.kernels.sockets import LAUNCHER, ChainManager

#: For a kernel to start, on a machine with much else to do; Jupyter looks each second if it lives.
SECONDS_TO_START = 600


class ChainProvisioner(LocalProvisioner):
    """Jupyter's way to start a kernel, but forked where there is a server to fork from."""

    session: Session

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:
        session, server = self.session, self.session.fork_server
        fork = None
        if server and _is_plain(cmd) and not self.kernel_spec.env:
            arguments = cmd[cmd.index(LAUNCHER) + 1 :]
            with suppress(NoFork):
                fork = server.kernel(session.stage, arguments, kwargs["env"], session.log)
        if session.stopped:
            if fork:
                fork.kill()
            raise DeadKernelError("stopped before it started")
        if fork:
            self.process = cast(Any, fork)  # it has what is used of a Popen
            self.pid = self.pgid = fork.pid
        else:
            await super().launch_kernel(cmd, **kwargs)
        session.kernel = self.process
        session.share_processor()
        return self.connection_info

    async def shutdown_requested(self, restart: bool = False) -> None:
        """Look often whether the kernel has ended: Jupyter itself looks ten times a second."""
        for _ in range(50):
            if await self.poll() is not None:
                return
            await asyncio.sleep(0.01)


class ChainMessages(Messages):
    """Jupyter's messages, of which those stay packed whose output would not be kept anyway."""

    has_room_for: Callable[[bytes], bool] = staticmethod(lambda packed: True)

    def deserialize(
        self, msg_list: list[Any], content: bool = True, copy: bool = True
    ) -> dict[str, Any]:
        if content and copy and not self.has_room_for(msg_list[4]):
            content = self.unpack(msg_list[1])["msg_type"] != "stream"
        return super().deserialize(msg_list, content, copy)


@contextmanager
def at_its_turn(kernel: str, session: Session) -> Iterator[NotebookClient | None]:
    """Wait for the turn of a session, with its kernel started ahead if there is time for it.

    A kernel that is not taken, since its turn never came or it has died meanwhile, is ended.
    """
    folder = tempfile.TemporaryDirectory(prefix="chain-", ignore_cleanup_errors=True)
    with session.log, folder as sockets, _event_loop():
        session.sockets = Path(sockets)
        ahead = None
        if not session.turn.is_set():
            with suppress(Exception):  # what is wrong with a kernel, it shows again at its turn
                ahead = _started(kernel, session)
            session.turn.wait()
        if ahead and (session.stopped or session.kernel.poll() is not None):
            with suppress(Exception), ahead.setup_kernel(cleanup_kc=True):  # it ends on leaving
                ahead.shutdown_kernel = "immediate"
            ahead = None
        yield ahead


@contextmanager
def _event_loop() -> Iterator[None]:
    """The event loop of this thread, which nobody else would close; what waits in it is ended.

    A killed kernel leaves waits behind, of which asyncio would complain on the terminal later on.
    """
    loop = ensure_event_loop()
    try:
        yield
    finally:
        loop.set_exception_handler(lambda loop, context: None)
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        loop.close()


def _started(kernel: str, session: Session) -> NotebookClient:
    """A kernel that waits for its first cell, and the connection to it."""
    client = NotebookClient(
        new_notebook(), km=manager(kernel, session), startup_timeout=SECONDS_TO_START
    )
    client.start_new_kernel(**launch_options(session))
    client.start_new_kernel_client()
    return client


def manager(kernel: str, session: Session) -> ChainManager:
    """Jupyter's handle on a kernel that is yet to be started, by a ChainProvisioner."""
    made = ChainManager(kernel_name=kernel, session=ChainMessages())
    made.use_sockets_in(session.sockets)
    provisioner = ChainProvisioner(
        parent=made, kernel_id=made.kernel_id, kernel_spec=made.kernel_spec
    )
    provisioner.session = session
    made.provisioner = provisioner
    return made


def launch_options(session: Session) -> dict[str, Any]:
    """The environment, folder and output of a kernel."""
    return {
        "env": session.environment,
        "cwd": str(session.folder),
        "stdout": session.log,
        "stderr": session.log,
    }


def _is_plain(command: list[str]) -> bool:
    """Whether a command starts the kernel that a fork is: this Python's, without other options."""
    options = command[1 : command.index(LAUNCHER)] if LAUNCHER in command else []
    return command[0] == sys.executable and options in (["-m"], ["-Xfrozen_modules=off", "-m"])
