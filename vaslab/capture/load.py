"""`vaslab.load`: load a model, then prove that what vaslab will say of it is true."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vaslab.models import Vlm, load_model


def load(
    name: str | Path,
    *,
    dtype: str = "auto",
    device_map: str | dict[str, Any] | None = None,
    revision: str | None = None,
    offline: bool | None = None,
    prove: bool = True,
) -> Vlm:
    """Load a model by organism name, folder or hub id, and prove it on a short prompt.

    The arguments are those of `vaslab.models.load_model`. With `prove=False` the model is taken on trust.

    Raises:
        VaslabError: a check of the proof failed; the message says which. Otherwise as `load_model`.
    """
    vlm = load_model(name, dtype=dtype, device_map=device_map, revision=revision, offline=offline)
    if prove:
        from vaslab.capture.proof import prove as run_proof

        vlm.proof = run_proof(vlm)
        vlm.proof.require()
    return vlm
