"""nnsight tracing -> Capture, its file format, and the proof that it measures what it says.

The package and its main function share a name, `vaslab.capture(vlm, prompts)`, so the package itself can be
called.
"""

import sys
from types import ModuleType
from typing import Any


class _CallablePackage(ModuleType):
    """A package that passes a call on to its main function."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call `vaslab.capture.capture.capture`; see its help."""
        from vaslab.capture.capture import capture

        return capture(*args, **kwargs)


sys.modules[__name__].__class__ = _CallablePackage
