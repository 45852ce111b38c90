"""The papers' formulas written out on whole attention matrices, one item, head and row at a time: what the tests
expect. Positions come from `encode`, which renders the template; nothing here is shared with the interventions."""

from contextlib import contextmanager
from dataclasses import dataclass

import torch
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.masking_utils import eager_mask

from vaslab.attention import text_decoder
from vaslab.prompts.roles import Role

GENERATION = {
    "max_new_tokens": 4,
    "min_new_tokens": 4,
    "do_sample": False,
    "output_logits": True,
    "output_scores": True,
    "return_dict_in_generate": True,
}


@dataclass
class Places:
    """Positions of one item of a padded batch."""

    visual: list[int]
    system: list[int]
    first: int
    length: int

    def after_image(self, row):
        return row > max(self.visual)

    def emitting(self, row):
        return row >= self.length - 1


def places(encoded):
    found = []
    for roles in encoded.roles.tolist():
        at = {role: [i for i, r in enumerate(roles) if r == role] for role in Role}
        first = next(i for i, r in enumerate(roles) if r != Role.padding)
        found.append(Places(at[Role.image], at[Role.system_sink] + at[Role.system], first, len(roles)))
    return found


@contextmanager
def direct(model, before=None, after=None, values=None, output=None):
    """Eager attention of every layer with changes written as loops.

    before(layer, item, head, row, scores): changes one row of masked scores in place.
    after(layer, item, head, row, weights): the same of weights.
    values(layer, value, n_queries): changes the cached values in place.
    output(layer, item, head, row, out): changes one row of a head's output in place.
    """
    name = "direct_test"

    def attend(module, query, key, value, attention_mask, scaling=None, **kwargs):
        layer = module.layer_idx
        batch, n_heads, n_queries, _ = query.shape
        n_keys = key.shape[2]
        if values is not None:
            values(layer, value, n_queries)
        shares = n_heads // key.shape[1]
        scores = query @ key.repeat_interleave(shares, 1).transpose(2, 3) * scaling
        mask = attention_mask
        if mask is None:
            mask = torch.zeros(n_queries, n_keys)
            mask.masked_fill_(
                torch.ones(n_queries, n_keys).triu(n_keys - n_queries + 1).bool(), float("-inf")
            )
        closed = (mask < -1e30).expand(batch, 1, n_queries, n_keys)
        rows = range(n_keys - n_queries, n_keys)
        if before is not None:
            for b in range(batch):
                for h in range(n_heads):
                    for i, row in enumerate(rows):
                        before(layer, b, h, row, scores[b, h, i])
        weights = scores.masked_fill(closed, torch.finfo(scores.dtype).min).softmax(-1)
        if after is not None:
            for b in range(batch):
                for h in range(n_heads):
                    for i, row in enumerate(rows):
                        after(layer, b, h, row, weights[b, h, i])
        out = weights @ value.repeat_interleave(shares, 1)
        if output is not None:
            for b in range(batch):
                for h in range(n_heads):
                    for i, row in enumerate(rows):
                        output(layer, b, h, row, out[b, h, i])
        return out.transpose(1, 2).contiguous(), weights

    AttentionInterface.register(name, attend)
    AttentionMaskInterface.register(name, eager_mask)
    decoder = text_decoder(model)[1]
    was = decoder.config._attn_implementation
    decoder.set_attn_implementation(name)
    try:
        yield
    finally:
        decoder.set_attn_implementation(was)
        del AttentionInterface._global_mapping[name], AttentionMaskInterface._global_mapping[name]


@torch.no_grad()
def generated(vlm, inputs, **more):
    visual = [vlm.model.config.image_token_id, vlm.model.config.video_token_id]
    return vlm.model.generate(**inputs, **GENERATION, suppress_tokens=visual, **more)


def closest(ours, theirs):
    """Largest difference of logits over all steps, over the largest logit."""
    pairs = list(zip(ours.logits, theirs.logits, strict=True))
    return max(float((a - b).abs().max()) for a, b in pairs) / max(float(b.abs().max()) for _, b in pairs)
