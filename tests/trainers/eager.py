"""AGTO and VARS by loops over full attention maps: what the fast ones are compared with."""

import math

import torch


def eager_maps(model, inputs):
    """Attention maps of every layer, (batch, head, query, key), through transformers' eager attention."""
    before = model.config._attn_implementation
    model.set_attn_implementation("eager")
    maps = model(**inputs, use_cache=False, output_attentions=True).attentions
    model.set_attn_implementation(before)
    return maps


def agto_by_loops(maps, system, visual, queries, heads=None):
    """The paper's two losses; system, visual, queries are lists of positions, one list a sample."""
    layers, (batch, n_heads) = len(maps), maps[0].shape[:2]
    heads = heads or {layer: range(n_heads) for layer in range(layers)}
    enhanced, suppressed, with_picture, with_both = 0.0, 0.0, 0, 0
    for b in range(batch):
        if not visual[b] or not queries[b]:
            continue
        with_picture += 1
        with_both += bool(system[b])
        for layer, chosen in heads.items():
            for head in chosen:
                on_v = sum(maps[layer][b, head, q, k] for q in queries[b] for k in visual[b])
                share = len(heads) * len(chosen)
                enhanced = enhanced - torch.log(on_v / (len(queries[b]) * len(visual[b]))) / share
                if system[b]:
                    on_s = sum(maps[layer][b, head, q, k] for q in queries[b] for k in system[b])
                    mean = on_s / (len(queries[b]) * len(system[b]))
                    suppressed = suppressed + torch.log(mean + 1e-6) / share
    return enhanced / max(with_picture, 1), suppressed / max(with_both, 1)


def vars_by_loops(maps, system, visual, rows, form="ratio", cap=math.inf):
    """The paper's ungated r_visual of each sample, as floats."""
    found = []
    for b in range(maps[0].shape[0]):
        total = 0.0
        for t in rows[b]:
            for layer in maps:
                on_v = layer[b, :, t, visual[b]].sum(-1).mean().item()
                on_s = layer[b, :, t, system[b]].sum(-1).mean().item()
                ratio = on_v / (on_s + 1e-6)
                total += {
                    "ratio": ratio,
                    "clip": min(ratio, cap),
                    "log": math.log(1 + ratio),
                    "share": on_v / (on_v + on_s + 1e-6),
                }[form] / len(maps)
        found.append(total / len(rows[b]) if rows[b] else 0.0)
    return found
