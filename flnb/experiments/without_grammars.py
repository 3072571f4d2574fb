"""Makes a process start a second sooner: imported first by each worker, and by nothing else.

jsonschema, which papermill brings, compiles grammars of international addresses when it is imported.
No notebook holds such an address; without the package of the grammars, jsonschema leaves them alone.
"""

from __future__ import annotations

import sys

# None says that it cannot be imported.
sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]
