"""Every intervention by name, as data: where it comes from, its formula, what it changes, its strength."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from typing import Any

from vaslab.errors import UsageError
from vaslab.interventions.ablate import Ablate
from vaslab.interventions.adaptvis import AdaptVis
from vaslab.interventions.block import Block
from vaslab.interventions.intervention import Intervention
from vaslab.interventions.pai import Pai
from vaslab.interventions.scale import Scale
from vaslab.interventions.sparc import Sparc
from vaslab.interventions.steer import Steer
from vaslab.interventions.var import Var


@dataclass(frozen=True)
class Entry:
    """One intervention.

    Args:
        kind: the class of its settings.
        title: what it is, in words.
        source: its paper.
        formula: in one line; Z scores, A weights, V visual keys, S system keys.
        changes: in which heads and rows, by default.
        strength: the setting that a sweep varies.
        none: settings at which, together, nothing is changed: every bit of the logits is the plain model's.
        settings: defaults that differ from the class's.
    """

    kind: type[Intervention]
    title: str
    source: str
    formula: str
    changes: str
    strength: str
    none: Mapping[str, int | float]
    settings: Mapping[str, Any] = field(default_factory=dict)


_AFTER = "rows after the last visual token"
_EVERY = f"all heads, {_AFTER}"
_SCALED = "Z_V (1 + alpha), Z_S (1 - beta)"
_NEITHER = {"alpha": 0, "beta": 0}

INTERVENTIONS: dict[str, Entry] = {
    "avar": Entry(
        Scale,
        "the paper's form",
        "arXiv 2603.03825",
        _SCALED,
        _EVERY,
        "alpha",
        _NEITHER,
        settings={"beta": 0.05},
    ),
    "vaf": Entry(
        Scale,
        "ClearSight's visual amplification fusion",
        "arXiv 2503.13107",
        _SCALED,
        f"all heads of the middle layers, {_AFTER}",
        "alpha",
        _NEITHER,
        settings={"layers": "middle"},
    ),
    "additive": Entry(
        Scale,
        "the monotone form",
        "this project",
        "Z_V + log(1 + alpha), Z_S + log(1 - beta)",
        _EVERY,
        "alpha",
        _NEITHER,
        settings={"form": "additive"},
    ),
    "reweight": Entry(
        Scale,
        "the monotone form said of weights: the same as additive",
        "this project",
        "A_V (1 + alpha), A_S (1 - beta), renormalised",
        _EVERY,
        "alpha",
        _NEITHER,
        settings={"form": "additive"},
    ),
    "enhance": Entry(
        Scale,
        "the paper's form, visual keys alone",
        "arXiv 2603.03825, ablated",
        "Z_V (1 + alpha)",
        _EVERY,
        "alpha",
        {"alpha": 0},
        settings={"beta": 0.0},
    ),
    "suppress": Entry(
        Scale,
        "the paper's form, system keys alone",
        "arXiv 2603.03825, ablated",
        "Z_S (1 - beta)",
        _EVERY,
        "beta",
        {"beta": 0},
        settings={"alpha": 0.0},
    ),
    "var": Entry(
        Var,
        "visual attention redistribution",
        "arXiv 2503.03321",
        "sinks keep p of A, the rest goes to other V in proportion",
        f"image-centric heads of all layers but the last, {_AFTER}, where the picture holds a sink",
        "p",
        {"p": 1},
    ),
    "sparc": Entry(
        Sparc,
        "selective progressive attention recalibration",
        "arXiv 2502.01419",
        "values of V that gain attention by tau, times alpha for each time",
        "all heads, rows of the answer",
        "alpha",
        {"alpha": 1},
    ),
    "adaptvis": Entry(
        AdaptVis,
        "adaptive temperature of visual attention",
        "arXiv 2503.01773",
        "Z_V times unsure or sure, by the first token's probability",
        "all heads, the prompt's last row",
        "strength",
        {"strength": 0},
    ),
    "pai": Entry(
        Pai,
        "paying more attention to the image",
        "arXiv 2407.21771",
        "Z_V + alpha |Z_V|; log p <- gamma log p - (gamma - 1) log p without the picture",
        "all heads from layer 2 on, rows that emit tokens",
        "alpha",
        {"alpha": 0, "gamma": 1},
    ),
    "steer": Entry(
        Steer,
        "steering of heads to a region (gaze heads)",
        "arXiv 2606.14703",
        "Z + bias inside the region, Z - bias on other V; saturating by default",
        "all heads or those given, rows of the answer",
        "bias",
        {"bias": 0},
    ),
    "block": Entry(
        Block,
        "attention knockout",
        "arXiv 2304.14767",
        "A_keys (1 - strength), renormalised",
        "all heads, every row of text",
        "strength",
        {"strength": 0},
    ),
    "ablate": Entry(
        Ablate,
        "head ablation: zero, mean or sink",
        "standard practice",
        "head output <- 0, its mean, or the value of the first position",
        "all heads or those given, every row",
        "strength",
        {"strength": 0},
    ),
}


def defaults(name: str) -> dict[str, Any]:
    """What a named intervention is set to where nothing is said; settings without a default are left out."""
    entry = INTERVENTIONS[name]
    whom = [each.name for each in fields(Intervention)]
    own = sorted(fields(entry.kind), key=lambda each: each.name in whom)  # its own settings first
    given = {each.name: each.default for each in own if each.default is not None}
    return {**given, **entry.settings}


def make_intervention(name: Any, **settings: Any) -> Intervention:
    """Settings of a named intervention.

    Args:
        name: as `vaslab ls interventions` lists it.
        settings: what differs from the defaults.

    Raises:
        UsageError: an unknown name or setting, or a value that cannot be.
    """
    if not isinstance(name, str) or name not in INTERVENTIONS:
        close = get_close_matches(str(name), INTERVENTIONS, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"expected {', '.join(INTERVENTIONS)}"
        raise UsageError(f"there is no intervention {name!r}; {hint}")
    entry = INTERVENTIONS[name]
    known = [each.name for each in fields(entry.kind)]
    for key in settings:
        if key not in known:
            close = get_close_matches(str(key), known, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"expected {', '.join(known)}"
            raise UsageError(f"{name} has no setting {key!r}; {hint}")
    return entry.kind(**{**entry.settings, **settings})


def as_intervention(given: Any, settings: Mapping[str, Any]) -> Intervention:
    """An intervention that was made before, or the one of a name and settings.

    Raises:
        UsageError: settings beside one that was made before, or as `make_intervention`.
    """
    if not isinstance(given, Intervention):
        return make_intervention(given, **settings)
    if settings:
        raise UsageError(
            f"{', '.join(settings)}: give settings with a name, or make the intervention with them"
        )
    return given
