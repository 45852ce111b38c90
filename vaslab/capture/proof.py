"""The proof at load: before a model is measured, what a capture says of it is checked on a short prompt with
a picture."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from PIL import Image, ImageDraw
from torch import Tensor

from vaslab.attention import ATTENTION_NAME, Edit, Request, attached, requesting, text_decoder
from vaslab.capture.source_route import eager_mass, source_mass
from vaslab.capture.tracing import tracing
from vaslab.errors import VaslabError
from vaslab.models import Vlm
from vaslab.prompts.encode import encode
from vaslab.prompts.encoded import Encoded
from vaslab.prompts.prompt import Prompt
from vaslab.prompts.roles import KEY_ROLES, Role


@dataclass(frozen=True)
class Check:
    """One thing that was checked: what was found against which limit. `passed` is None where it is reported
    and not judged."""

    name: str
    passed: bool | None
    value: float
    limit: float | None
    note: str


@dataclass(frozen=True)
class Proof:
    """Every check of a model. Stored with each run."""

    model: str
    revision: str
    dtype: str
    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        """Whether no judged check failed."""
        return all(check.passed is not False for check in self.checks)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, for a file."""
        return {**asdict(self), "checks": [asdict(check) for check in self.checks], "passed": self.passed}

    def require(self) -> None:
        """Raise VaslabError naming what failed, unless everything passed."""
        failed = [check for check in self.checks if check.passed is False]
        if failed:
            told = "; ".join(f"{c.name}: {c.value:.3g}, limit {c.limit} ({c.note})" for c in failed)
            raise VaslabError(
                f"{self.model} cannot be measured as it stands: {told}; see `vaslab doctor "
                f"{self.model}`, or load with prove=False"
            )


def prove(vlm: Vlm) -> Proof:
    """Check a model on one short prompt with a picture.

    Mass per layer is held against the float32 softmax of the layer's own query and key, read by the
    independent route off the untouched model (limit 1e-5 in float32, 8e-3 otherwise). Whole-model eager
    attention is judged in float32 for the organism and small models, and reported elsewhere, for there
    rounding in earlier layers changes what later layers see.
    """
    encoded = encode(vlm.processor, [_prompt()]).to(vlm.device)
    with vlm.lock:
        checks = _checks(vlm, encoded)
    return Proof(vlm.name, vlm.revision, str(vlm.dtype).removeprefix("torch."), tuple(checks))


def _prompt() -> Prompt:
    picture = Image.new("RGB", (112, 84), (240, 240, 235))
    draw = ImageDraw.Draw(picture)
    draw.ellipse((14, 20, 50, 56), fill=(200, 40, 40))
    draw.rectangle((62, 30, 100, 70), fill=(40, 60, 200))
    return Prompt(user="which shape is left of the square?", images=[picture])


def _checks(vlm: Vlm, encoded: Encoded) -> list[Check]:
    single = vlm.dtype == torch.float32
    groups = torch.where(encoded.roles == Role.padding, -1, encoded.roles)
    request = Request(groups, len(KEY_ROLES), route="rows")
    inputs = encoded.inputs
    before = _state(vlm)
    plain = _logits(vlm, inputs)
    reference, _ = source_mass(vlm, groups, len(KEY_ROLES), **inputs)
    with tracing(vlm) as tracer:
        masses, _ = tracer.forward(request, lambda _, mass: mass, **inputs)
    measured = _measured_logits(vlm, request, inputs)
    in_columns = _measured_logits(vlm, Request(groups, len(KEY_ROLES), route="columns"), inputs)
    sums = torch.stack([mass.sum(dim=-1) for mass in masses])
    apart = max(_apart(mass, other) for mass, other in zip(masses, reference, strict=True))
    eager = eager_mass(vlm, groups, len(KEY_ROLES), **inputs)
    from_eager = max(_apart(mass, other) for mass, other in zip(masses, eager, strict=True))
    small = sum(p.numel() for p in vlm.model.parameters()) < 1e8
    limit = 1e-5 if single else 8e-3
    span = float(plain.abs().max())
    return [
        _roles_cover(encoded),
        _judge("mass sums to one", float((sums - 1).abs().max()), 1e-5, "every row, head and layer"),
        _judge("mass equals softmax of q and k", apart, limit, "independent route, per layer"),
        _judge("logits unchanged", _apart(measured, plain), 0.0, "rows route against plain SDPA"),
        _report("logits of the columns route", _apart(in_columns, plain), f"largest logit {span:.3g}"),
        _judge("mass equals whole-model eager", from_eager, 1e-5, "judged in float32 on small models")
        if single and small
        else _report("mass against whole-model eager", from_eager, "not judged: rounding of earlier layers"),
        _judge(
            "edit of strength zero",
            _apart(_edited(vlm, groups, inputs, 1.0), plain) / span,
            1e-5 if single else 2e-2,
            "largest change over the largest logit; the edit runs and rounds in its own way",
        ),
        _moves(_apart(_edited(vlm, groups, inputs, 0.5), plain)),
        _judge("model left as found", float(before != _state(vlm)), 0.0, "backend, hooks, forwards"),
        _judge(
            "left as found after an error", float(not _survives_error(vlm)), 0.0, "raised inside a capture"
        ),
    ]


def _judge(name: str, value: float, limit: float, note: str) -> Check:
    return Check(name, value <= limit, value, limit, note)


def _report(name: str, value: float, note: str) -> Check:
    return Check(name, None, value, None, note)


def _moves(change: float) -> Check:
    return Check(
        "edit of the picture moves logits",
        change > 0,
        change,
        None,
        "visual attention halved; 0 would mean no effect",
    )


def _apart(one: Tensor, other: Tensor) -> float:
    return float((one.float() - other.float()).abs().max())


def _roles_cover(encoded: Encoded) -> Check:
    """Every position has a role, and the visual tokens are as many as the grid of the picture."""
    visual = int((encoded.roles == Role.image).sum())
    grid = len(encoded.grids[0][0])
    uncovered = int(((encoded.roles < 0) | (encoded.roles > Role.padding)).sum())
    users = int((encoded.roles == Role.user).sum())
    wrong = uncovered + abs(visual - grid) + (users == 0)
    return _judge(
        "roles cover the prompt",
        float(wrong),
        0.0,
        f"{visual} visual tokens, grid {grid}, {users} user tokens",
    )


@torch.no_grad()
def _logits(vlm: Vlm, inputs: dict[str, Tensor]) -> Tensor:
    return vlm.model(**inputs, use_cache=False).logits


def _measured_logits(vlm: Vlm, request: Request, inputs: dict[str, Tensor]) -> Tensor:
    with attached(vlm.model), requesting(vlm.model, request):
        return _logits(vlm, inputs)


def _edited(vlm: Vlm, groups: Tensor, inputs: dict[str, Tensor], factor: float) -> Tensor:
    """Logits when the weights on the picture are multiplied by `factor`, for every query.

    The factor of the first token is one that no softmax can tell from 1, so that the edit runs at strength zero too.
    """
    factors = torch.ones(vlm.n_layers, vlm.n_heads, len(KEY_ROLES), device=groups.device)
    factors[..., Role.image] = factor
    factors[..., Role.system_sink] = 1 + 2**-23
    everyone = torch.ones_like(groups, dtype=torch.bool)
    edit = Edit(groups, factors, everyone, kind="prob")
    return _measured_logits(vlm, Request(groups, len(KEY_ROLES), route="rows", edit=edit), inputs)


def _state(vlm: Vlm) -> tuple[Any, ...]:
    """What a capture must leave alone: backends of every part, hooks, and the forwards of modules."""
    return tuple(
        (
            path,
            _backend(module),
            len(module._forward_pre_hooks),
            len(module._forward_hooks),
            "forward" in vars(module),
        )
        for path, module in vlm.model.named_modules()
    )


def _backend(module: Any) -> str | None:
    return getattr(getattr(module, "config", None), "_attn_implementation", None)


class _DeliberateError(Exception):
    """Raised on purpose inside a capture."""


def _survives_error(vlm: Vlm) -> bool:
    before = _state(vlm)
    try:
        with tracing(vlm):
            if text_decoder(vlm.model)[1].config._attn_implementation != ATTENTION_NAME:
                return False
            raise _DeliberateError
    except _DeliberateError:
        return before == _state(vlm)
