"""Pictures of a batch through the processor, and their grids of visual tokens."""

from __future__ import annotations

from dataclasses import dataclass, field

from PIL.Image import Image
from torch import Tensor

from vaslab.errors import UsageError
from vaslab.prompts.patches import PatchGrid
from vaslab.prompts.roles import Role
from vaslab.prompts.spans import RenderedChat, Span
from vaslab.prompts.vocabulary import Processor


@dataclass(frozen=True)
class Pictures:
    """All pictures of a batch in order: what the model takes of them, and the grid of each."""

    processor: Processor
    tensors: dict[str, Tensor] = field(default_factory=dict)
    grids: tuple[PatchGrid, ...] = ()

    def expand(self, chat: RenderedChat, first: int) -> tuple[str, list[Span]]:
        """Put the processor's own run of placeholders where the template has one; `first` is the chat's first
        picture.
        """
        text, spans = "", []
        for span in chat.spans:
            words = chat.text[span.start : span.end]
            if span.role is Role.image:
                words = self.processor.replace_image_token(self.tensors, first + span.image)
            spans.append(
                Span(len(text), len(text) + len(words), span.role, span.written, span.turn, span.image)
            )
            text += words
        return text, spans


def process(processor: Processor, images: list[Image]) -> Pictures:
    """Process pictures together.

    Raises UsageError for a processor that takes none, or tells no grid (`image_grid_thw`).
    """
    if not images:
        return Pictures(processor)
    image_processor = getattr(processor, "image_processor", None)
    if image_processor is None:
        raise UsageError(
            f"{type(processor).__name__} takes no pictures; load a vision-language model's processor."
        )
    tensors = dict(image_processor(images=images, return_tensors="pt"))
    if "image_grid_thw" not in tensors:
        raise UsageError(
            f"{type(processor).__name__} gives no image_grid_thw, so its visual tokens have no place in "
            "the picture; use the processor of a Qwen2-VL, Qwen2.5-VL or Qwen3-VL model."
        )
    merge = image_processor.merge_size
    grids = tuple(
        PatchGrid.from_thw((time, rows, cols), merge, *image.size)
        for (time, rows, cols), image in zip(tensors["image_grid_thw"].tolist(), images, strict=True)
    )
    return Pictures(processor, tensors, grids)
