"""Import what runs notebooks, but for what takes longer than all else and no notebook needs.

The modules that run notebooks import this one first.
"""

import sys
from typing import cast

# On import, jsonschema would build a grammar of internationalized addresses, and papermill look for
# the file system of Hadoop. It takes longer than the rest of papermill, and no notebook needs it.
NEEDLESS = [name for name in ("rfc3987_syntax", "pyarrow") if name not in sys.modules]
cast(dict[str, object], sys.modules).update(dict.fromkeys(NEEDLESS))
import nbclient  # noqa: F401
import nbformat  # noqa: F401
import papermill  # noqa: F401

for name in NEEDLESS:
    del sys.modules[name]
