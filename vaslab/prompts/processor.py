"""A Qwen-VL processor for pictures and text only: complete, loadable, and without torchvision (which only its
video part needs).
"""

from typing import Any, no_type_check

from transformers.models.qwen2_5_vl.processing_qwen2_5_vl import Qwen2_5_VLProcessor
from transformers.processing_utils import ProcessorMixin


class QwenImageProcessor(Qwen2_5_VLProcessor):
    """Qwen2-VL, Qwen2.5-VL and Qwen3-VL processor whose parts are an image processor and a tokenizer.

    transformers reads the parts of a processor off this signature, so one without `video_processor` saves and
    loads by itself. Videos are refused by the base class, which finds no processor for them.
    """

    # transformers reads the argument names off this function's own code, which a checking wrapper would hide.
    @no_type_check
    def __init__(
        self, image_processor: Any = None, tokenizer: Any = None, chat_template: str | None = None
    ) -> None:
        self.image_token = "<|image_pad|>"
        self.video_token = "<|video_pad|>"
        self.image_token_id = tokenizer.convert_tokens_to_ids(self.image_token)
        self.video_token_id = tokenizer.convert_tokens_to_ids(self.video_token)
        ProcessorMixin.__init__(self, image_processor, tokenizer, chat_template=chat_template)
