"""Import what runs notebooks, but for what takes longer than all else and no notebook needs.

The modules that run notebooks import this one first.
"""

import sys
from typing import cast

import papermill_chain.notebook_format  # noqa: F401

# On import, papermill would look for the file system of Hadoop, which takes long as well.
NEEDLESS = [name for name in ("pyarrow",) if name not in sys.modules]
cast(dict[str, object], sys.modules).update(dict.fromkeys(NEEDLESS))
import nbclient  # noqa: F401
import papermill  # noqa: F401

for name in NEEDLESS:
    del sys.modules[name]
