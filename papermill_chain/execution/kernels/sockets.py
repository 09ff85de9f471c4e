"""How runner and kernel reach each other: by sockets in a folder that only their user can open.

TCP ports are chosen before the kernel takes them, and where many kernels start at one time another
one may have taken one by then: that kernel dies, and a message to whoever has its port is waited
with for ever. They are left to kernels of other languages, and to systems without such sockets.
"""

import os
import secrets
from pathlib import Path
from typing import Any

import zmq
from jupyter_client.manager import AsyncKernelManager

LAUNCHER = "ipykernel_launcher"
LONGEST_PATH = 90  # bytes; the system takes 107, and endings are added
SECONDS_TO_SEND = 30  # a message, which the other end takes at once if it is the kernel


class ChainManager(AsyncKernelManager):
    """Jupyter's handle on a kernel, with sockets in a folder where they can be."""

    def use_sockets_in(self, folder: Path) -> None:
        """Have the kernel, which is yet to be started, listen there and not on TCP ports."""
        file = folder / f"{secrets.token_hex(4)}.json"
        is_python = self.kernel_spec is not None and LAUNCHER in self.kernel_spec.argv
        if os.name != "nt" and is_python and len(os.fsencode(file)) <= LONGEST_PATH:
            self.transport, self.connection_file = "ipc", str(file)
            self.ip = str(file.with_suffix(""))

    def client(self, **kwargs: Any) -> Any:
        """A client, which gives a message up that nobody takes."""
        client = super().client(**kwargs)
        client.context.setsockopt(zmq.SNDTIMEO, SECONDS_TO_SEND * 1000)
        return client
