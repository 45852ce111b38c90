"""Expected sequences written out by hand, for a tokenizer of single bytes whose ids are known unasked."""

from collections.abc import Sequence

from tokenizers import pre_tokenizers
from transformers import Qwen2Tokenizer
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from vaslab.prompts.encoded import Encoded
from vaslab.prompts.processor import QwenImageProcessor
from vaslab.prompts.roles import Role

SPECIALS = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
)
START, END, VISION_START, VISION_END, PICTURE, VIDEO = SPECIALS[1:]
# Printable ASCII in order, then a newline; every other byte after them.
_FIRST = [chr(code) for code in range(33, 127)] + ["Ġ", "Ċ"]
_REST = sorted(set(pre_tokenizers.ByteLevel.alphabet()) - set(_FIRST))
DOUBLE_NEWLINE = 256
FIRST_SPECIAL = 257


def byte_tokenizer(template: str, specials: Sequence[str] = SPECIALS, **options: object) -> Qwen2Tokenizer:
    """Every ASCII character is one token, in the order of ASCII from "!" = 0; two newlines together are token
    256.
    """
    vocabulary = {char: number for number, char in enumerate([*_FIRST, *_REST, "ĊĊ"])}
    tokenizer = Qwen2Tokenizer(
        vocab=vocabulary,
        merges=[("Ċ", "Ċ")],
        eos_token=specials[2],
        pad_token=specials[0],
        unk_token=specials[0],
        extra_special_tokens=list(specials),
        **options,
    )
    tokenizer.chat_template = template
    ids = {token: tokenizer.convert_tokens_to_ids(token) for token in specials}
    assert sorted(ids.values()) == list(range(FIRST_SPECIAL, FIRST_SPECIAL + len(specials))), ids
    return tokenizer


def byte_processor(template: str) -> QwenImageProcessor:
    """Patches of 4 pixels, merged 2 x 2: a token covers 8 x 8 pixels; pictures whose sides divide by 8 keep
    their size.
    """
    images = Qwen2VLImageProcessorPil(min_pixels=64, max_pixels=64 * 64, patch_size=4, merge_size=2)
    return QwenImageProcessor(images, byte_tokenizer(template), chat_template=template)


def ids_of(tokenizer: Qwen2Tokenizer, chunk: str) -> list[int]:
    """Ids of one special token, or of ASCII text by its codes."""
    if chunk in tokenizer.get_added_vocab():
        return [tokenizer.get_added_vocab()[chunk]]
    found = []
    for char in chunk.replace("\n\n", "\0"):
        found.append({"\0": DOUBLE_NEWLINE, " ": 94, "\n": 95}.get(char, ord(char) - 33))
    return found


def written_out(tokenizer: Qwen2Tokenizer, chunks: Sequence[tuple[str, str]]) -> tuple[list[int], list[str]]:
    """Ids and role names of chunks (text or one special token, role name)."""
    ids, roles = [], []
    for chunk, role in chunks:
        found = ids_of(tokenizer, chunk)
        ids += found
        roles += [role] * len(found)
    return ids, roles


def real(encoded: Encoded, item: int = 0) -> tuple[list[int], list[str]]:
    """Ids and role names of an item without its padding."""
    kept = encoded.roles[item] != Role.padding
    ids = encoded.inputs["input_ids"][item][kept].tolist()
    return ids, [Role(role).name for role in encoded.roles[item][kept].tolist()]
