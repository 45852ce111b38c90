"""vaslab: where does a vision-language model look while it reasons, does that cause its answers, and can
training move it?"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_PUBLIC = {
    "Prompt": "vaslab.prompts.prompt",
    "Turn": "vaslab.prompts.prompt",
    "load": "vaslab.capture.load",
    "save_capture": "vaslab.capture.files",
    "load_capture": "vaslab.capture.files",
    "vas": "vaslab.metrics.vas",
    "masses": "vaslab.metrics.vas",
    "shares": "vaslab.metrics.shares",
    "patch_maps": "vaslab.metrics.patches",
    "answer": "vaslab.capture.capture",
    "intervene": "vaslab.interventions.intervene",
    "explore": "vaslab.explorer.explore",
}

__all__ = ["__version__", "capture", *sorted(_PUBLIC)]


def __getattr__(name: str) -> Any:
    """Load a public name on first use, so that `import vaslab` does not import torch."""
    if name == "capture":
        return import_module("vaslab.capture")
    if name not in _PUBLIC:
        raise AttributeError(f"module 'vaslab' has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    """Public names, for completion."""
    return __all__
