"""A page that holds the explorer and made-up data: what a host gives the module, without a model or a kernel.

The numbers are chosen here, so tests know what must be seen. The host below is the smallest that keeps the contract.
"""

import base64
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from vaslab.explorer.module import module_text

HERE = Path(__file__).parent
HOST = HERE / "made_host.js"
PROBES = HERE / "probes.js"


def b64(values: Any) -> dict[str, str]:
    """Bytes as the host above reads them; floats become little-endian float32."""
    raw = values if isinstance(values, bytes) else np.ascontiguousarray(values, dtype="<f4").tobytes()
    return {"base64": base64.b64encode(raw).decode()}


def data_uri(picture: Image.Image) -> str:
    kept = io.BytesIO()
    picture.save(kept, "PNG")
    return "data:image/png;base64," + base64.b64encode(kept.getvalue()).decode()


def picture(
    width: int, height: int, rows: int, cols: int, first_cell: int = 0, image: Image.Image | None = None
) -> dict:
    """One entry of `pictures`; black unless given."""
    image = image or Image.new("RGB", (width, height))
    return {
        "name": f"{width} x {height}",
        "src": data_uri(image),
        "width": width,
        "height": height,
        "rows": rows,
        "cols": cols,
        "first_cell": first_cell,
    }


def attention(cells: np.ndarray, state: str = "full", sinks: Sequence[int] = (), **said: Any) -> dict:
    """Maps of one head in one run, from (row, cell) shares of attention."""
    cells = np.asarray(cells, dtype=np.float64)
    share = cells.sum(axis=1)
    kept = cells.mean(axis=0, keepdims=True) if state == "mean" else cells
    scale = np.maximum(kept.max(axis=1), 1e-12)
    packed = np.rint(kept / scale[:, None] * 255).astype(np.uint8)
    return {
        "state": state,
        "note": "",
        "seconds": 0,
        "n_rows": kept.shape[0],
        "n_cells": kept.shape[1],
        "sinks": list(sinks),
        **said,
        "bytes": {"share": b64(share), "scale": b64(scale), "cells": b64(packed.tobytes())},
    }


def words(text: str) -> list[dict]:
    """Emitting rows of a text, a word each."""
    parts = text.split(" ")
    return [
        {
            "text": f" {word}" if i else word,
            "role": "user",
            "position": 20 + i,
            "emits": f" {parts[i + 1]}" if i + 1 < len(parts) else "",
        }
        for i, word in enumerate(parts)
    ]


def traits(
    layers: int = 6,
    heads: int = 8,
    kv_group: int = 2,
    vas: np.ndarray | None = None,
    pictures: list[dict] | None = None,
    rows: list[list[dict]] | None = None,
    pair: bool = False,
    **more: Any,
) -> dict:
    """Every trait of the contract with plain values; `vas` is (run, layer, head)."""
    runs = 2 if pair else 1
    rng = np.random.default_rng(0)
    if vas is None:
        vas = 2.0 ** rng.normal(-0.5, 1.0, (runs, layers, heads))
    names = ["base", "multimodal"] if pair else ["base"]
    shares = np.stack([vas / (1 + vas) * 0.8, 0.8 / (1 + vas), vas * 0 + 0.15, vas * 0 + 0.05], axis=-1)
    out = {
        "meta": {
            "version": 1,
            "title": "organism:base · easy-vqa",
            "runs": [
                {
                    "name": name,
                    "label": name,
                    "model": f"organism:{name}",
                    "data": "easy-vqa",
                    "decoding": "greedy decoding",
                    "n_items": 3,
                }
                for name in names
            ],
            "layers": layers,
            "heads": heads,
            "kv_group": kv_group,
            "queries": ["user", "response"],
            "definitions": {"user": "VAS = attention on picture tokens ÷ attention on system tokens."},
            "rows_words": {"user": "Rows are emitting rows: the row of a token gives the next one."},
            "run_id": "made-up",
            "kernel": True,
            "live": False,
            "quantisation": "Each patch is drawn from one byte.",
            "note": "",
        },
        "items": [
            {
                "id": f"item-{i}",
                "question": ["what shape is in the image?", "is there a red circle?", "what colour is it?"][
                    i % 3
                ],
                "reference": ["circle", "yes", "teal"][i % 3],
                "category": "shape",
                "runs": [
                    {
                        "response": ["circle", "no", "teal"][i % 3]
                        if r == 0
                        else ["square", "yes", "teal"][i % 3],
                        "correct": [True, False, None][i % 3] if r == 0 else [False, True, None][i % 3],
                        "why": "",
                        "vas": {"user": float(0.5 + i / 10 + r * (i + 1)), "response": 1.0},
                    }
                    for r in range(runs)
                ],
            }
            for i in range(3)
        ],
        "item": 0,
        "queries": "user",
        "scope": "item",
        "selected": [0, 0],
        "token": -1,
        "picture": 0,
        "pinned": [],
        "map": {"limit": 8, "n": 1, "unit": "ratio of attention masses", "band": "", "note": ""},
        "vas": b64(vas),
        "low": b64(b""),
        "high": b64(b""),
        "shares": b64(shares),
        "change": b64(vas[1] / vas[0] if pair else b""),
        "change_low": b64(b""),
        "change_high": b64(b""),
        "significant": b64(
            (np.abs(np.log2(vas[1] / vas[0])) > 1).astype(np.uint8).tobytes() if pair else b""
        ),
        "pictures": pictures if pictures is not None else [picture(64, 64, 4, 4)],
        "rows": rows if rows is not None else [words("what shape is in the image ?")] * runs,
        "attention": [],
        "live": {"state": "idle", "message": "", "seconds": None, "answer": ""},
    }
    for r in (0, 1):
        out |= {f"share_{r}": b64(b""), f"scale_{r}": b64(b""), f"cells_{r}": b64(b"")}
    return out | more


def write_page(
    folder: Path, given: dict, heads_of: dict, delay: int = 0, script: str = "", head: str = ""
) -> Path:
    """The page as a file.

    Args:
        given: what `traits` returns. heads_of: "layer,head" or "any" -> `attention` of each run.
        delay: milliseconds until the maps of a new selection are there. script: more of the page's own.
        head: more of its head.
    """
    state = {"traits": given, "heads_of": heads_of, "delay": delay}
    text = json.dumps(state).replace("<", "\\u003c")
    code = "\n".join([module_text(), *(path.read_text(encoding="utf-8") for path in (PROBES, HOST))])
    page = folder / "page.html"
    page.write_text(
        f'<!doctype html><meta charset="utf-8"><title>made-up</title>{head}<style>body {{ margin: 0 }}</style>'
        f'<div id="explorer"></div><script type="application/json" id="given">{text}</script>'
        f'<script type="module">{code}\n{script}</script>',
        encoding="utf-8",
    )
    return page
