"""One page with everything inside: it opens from disk, without a kernel and without a network."""

from __future__ import annotations

import base64
import json
import warnings
import zlib
from collections.abc import Iterable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from vaslab.errors import UsageError, VaslabError, one_line
from vaslab.explorer.head_map import HeadMap, without_rows
from vaslab.explorer.maps import Maps
from vaslab.explorer.module import module_text
from vaslab.explorer.packing import Packed, float_bytes, pack
from vaslab.explorer.stored import stored
from vaslab.explorer.view import State, View

HERE = Path(__file__).parent
_NUMBERS = ("vas", "low", "high", "floored", "shares", "change", "change_low", "change_high", "significant")

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>vaslab explorer</title>
<style>body {{ margin: 16px; background: Canvas; color: CanvasText; }}</style>
</head>
<body>
<div id="explorer"></div>
<script type="application/json" id="explorer-data">{data}</script>
<script type="module">{script}</script>
</body>
</html>
"""


def document(host: str, data: Any, connect: str = "") -> str:
    """A page that runs the explorer's module under a host, and nothing else.

    Args:
        host: file of the host's lines.
        data: what it reads, as JSON.
        connect: what the page may connect to; "" for nothing.
    """
    script = f"\n{module_text()}\n{(HERE / host).read_text(encoding='utf-8')}".replace("\r\n", "\n")
    digest = base64.b64encode(sha256(script.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src data: blob:; "
        f"base-uri 'none'; form-action 'none'{f'; connect-src {connect}' if connect else ''}"
    )
    return _PAGE.format(policy=policy, data=json_in_html(data), script=script)


def json_in_html(value: Any) -> str:
    """JSON that cannot end the element it stands in, whatever its texts hold."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"), ensure_ascii=True)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def write_page(view: View, state: State, path: Path | str, top: int = 24) -> Path:
    """Write one item of a view as a page.

    Args:
        view, state: what is looked at.
        path: where.
        top: heads kept with all rows; of two runs, half as many of each.

    Raises:
        UsageError: no item is chosen, or `top` is negative.

    Warns where the page holds the map of no head.
    """
    if state.item < 0:
        raise UsageError("no item is chosen, so there is nothing to write; choose one first")
    if top < 0:
        raise UsageError(f"top is {top}; expected at least 0 heads")
    data = page_data(view, state, top)
    if not any(run["heads"] for run in data["runs"]):
        why = data["runs"][0]["common"]["note"]
        warnings.warn(f"the page holds the map of no head: {why}", stacklevel=2)
    text = document("host_page.js", data)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)
    return path


def page_data(view: View, state: State, top: int) -> dict[str, Any]:
    """What the page holds: the numbers of both scopes, and the map of every head."""
    n_runs = len(view.sources)
    # numbers that a run does not hold are measured once its model is there
    view.attention(state)
    full = view.top_heads(state, top // n_runs) | {state.selected}
    runs = [_maps_of(view, run, state, full) for run in range(n_runs)]
    looks = view.looks(state, {})["looks"] | {"of": [0, state.queries, {}]}
    numbers = {}
    for scope in ("item", "run"):
        found = view.numbers(State(state.item, state.queries, scope, state.selected))
        numbers[scope] = {"map": found["map"], **{name: _base64(found[name]) for name in _NUMBERS}}
    meta = view.meta()
    saved = f"Saved page: one item, {_words(state.queries)}; {_held(view, runs)}."
    meta |= {
        "kernel": False,
        "live": False,
        "queries": [state.queries],
        "note": " ".join(filter(None, (meta["note"], saved))),
    }
    return {
        "state": {
            "meta": meta,
            "items": [view.items[state.item]],
            "item": 0,
            "queries": state.queries,
            "scope": state.scope,
            "selected": list(state.selected),
            "token": -1,
            "picture": 0,
            "pinned": [],
            "region": {},
            "looks": looks if looks["state"] == "done" else {},
            "live": {},
            "rows": [run["rows"] for run in runs],
            **view.pictures(state.item),
        },
        "numbers": numbers,
        "runs": [{name: value for name, value in run.items() if name != "rows"} for run in runs],
    }


def _held(view: View, runs: Sequence[dict[str, Any]]) -> str:
    """How many heads of each run the page holds in full, as a mean, or not at all."""
    said = [_counted(run["heads"].values(), view.shape[0] * view.shape[1]) for run in runs]
    if len(set(said)) > 1:
        named = zip(view.sources, said, strict=True)
        words = "; ".join(f"{source.name}: {each}" for source, each in named)
    else:
        words = said[0]
    if any(run["heads"] for run in runs):
        words += "; shares in steps of 1/255 of the head's largest"
    return words


def _counted(heads: Iterable[dict[str, Any]], total: int) -> str:
    states = [head["state"] for head in heads]
    full, mean = states.count("full"), states.count("mean")
    if not states:
        return f"the map of none of the {total} heads"
    parts = [
        f"all rows of {_heads(full)}" if full else "",
        f"the mean over rows of {_heads(mean)}" if mean else "",
        f"no map of the other {total - len(states)}" if len(states) < total else "",
    ]
    return ", ".join(filter(None, parts))


def _heads(count: int) -> str:
    return f"{count} head{'s' * (count != 1)}"


def _words(queries: str) -> str:
    return f"{queries.replace('_', ' ')} rows"


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _maps_of(view: View, run: int, state: State, full: set[tuple[int, int]]) -> dict[str, Any]:
    """Every head of one run: {common, rows, heads}; bytes deflated."""
    heads, failed = _every_head(view.maps, run, view, state, full)
    layers, per_layer = view.shape
    out: dict[str, Any] = {"heads": {}, "rows": [], "common": {"note": failed}}
    for layer in range(layers):
        for head in range(per_layer):
            found = heads.get((layer, head))
            if found is None:
                continue
            out["heads"][f"{layer},{head}"] = {
                "state": found.state,
                "note": found.note,
                "sinks": list(found.sinks),
                "agreement": found.agreement,
                "differs": found.differs,
                **_small(found.packed),
            }
            out["rows"] = out["rows"] or list(found.rows)
            out["common"]["sinks_words"] = found.sinks_words
    return out


def _small(packed: Packed) -> dict[str, Any]:
    """Rows in few bytes: shares quantised too, all of it deflated."""
    share = pack(packed.share[None])
    data = share.cells.tobytes() + float_bytes(packed.scale) + packed.cells.tobytes()
    return {
        "share_scale": float(share.scale[0]),
        "lengths": [share.cells.size, packed.scale.size, packed.cells.size],
        "bytes": _base64(zlib.compress(data, 9)),
    }


def _every_head(
    maps: Maps, run: int, view: View, state: State, full: set[tuple[int, int]]
) -> tuple[dict[tuple[int, int], HeadMap], str]:
    """The map of each head that has one, and why the others have none."""
    entry = view.entries(state.item)[run]
    layers, per_layer = view.shape
    try:
        return maps.whole(run, entry, state.queries, full), ""
    except (VaslabError, OSError) as error:
        why = f"not recomputed: {one_line(error)[:300]}"
        if view.sources[run].load is None:
            why = "stored with the capture"
    found = {}
    for layer in range(layers):
        for head in range(per_layer):
            each = stored(entry, state.queries, layer, head, why)
            if each.state != "none":
                found[layer, head] = each if (layer, head) in full else without_rows(each)
    return found, stored(entry, state.queries, -1, -1, why).note
