"""The families of models that vaslab measures, as data, and those it refuses with what is possible instead."""

from __future__ import annotations

from dataclasses import dataclass

from vaslab.errors import UsageError


@dataclass(frozen=True)
class Family:
    """What vaslab has to know of a family beyond what transformers says of it.

    Args:
        model_type: `config.model_type`.
        title: the family's name in words.
        image_only_processor: whether its own processor insists on a video part (and with it torchvision), so
            that vaslab's processor of pictures and text takes its place.
        needs_token_types: whether positions are computed from `mm_token_type_ids` (without them Qwen2.5-VL
            falls back to one-dimensional positions in silence).
    """

    model_type: str
    title: str
    image_only_processor: bool
    needs_token_types: bool


FAMILIES: dict[str, Family] = {
    family.model_type: family
    for family in (
        Family("qwen2_vl", "Qwen2-VL", image_only_processor=True, needs_token_types=True),
        Family("qwen2_5_vl", "Qwen2.5-VL", image_only_processor=True, needs_token_types=True),
        Family("qwen3_vl", "Qwen3-VL", image_only_processor=True, needs_token_types=True),
    )
}

REFUSED: dict[str, str] = {
    "mllama": "its cross-attention layers see only the picture, so visual and system tokens never compete "
    "within a layer and VAS has no meaning there; measure its self-attention layers with another tool, or a "
    "Qwen2.5-VL checkpoint with vaslab",
}


def family_of(model_type: str) -> Family:
    """Return the family of a `config.model_type`. Raises UsageError, naming the table, for one that is not in
    it."""
    if model_type in FAMILIES:
        return FAMILIES[model_type]
    known = ", ".join(f"{family.title} ({name})" for name, family in FAMILIES.items())
    if model_type in REFUSED:
        raise UsageError(f"{model_type} is refused: {REFUSED[model_type]}. In the table: {known}.")
    raise UsageError(f"the family {model_type!r} is not in vaslab's table; in it are: {known}.")
