"""nbformat, without what takes longer to import than all the rest of it, and no notebook needs.

Modules take it from here: ``from papermill_chain.notebook_format import nbformat``. What brings it
along, as jupytext and papermill do, is imported after this module.
"""

import sys
from typing import cast

__all__ = ["NotebookNode", "nbformat"]

# On import, jsonschema would build a grammar of internationalized addresses: two seconds and more.
NEEDLESS = [name for name in ("rfc3987_syntax",) if name not in sys.modules]
cast(dict[str, object], sys.modules).update(dict.fromkeys(NEEDLESS))
import nbformat
from nbformat import NotebookNode

for name in NEEDLESS:
    del sys.modules[name]
