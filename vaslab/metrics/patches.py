"""Maps of a head over the patches of a picture, out of a capture that kept them."""

import numpy as np
import xarray as xr

from vaslab.errors import UsageError


def patch_maps(capture: xr.Dataset, item: str, image: int = 0) -> xr.DataArray:
    """Lay the kept maps of one picture out as pictures.

    Args:
        capture: a Capture made with `patches=[(layer, head), ...]`.
        item: the item's id.
        image: which of its pictures.

    Returns:
        Attention mass (share of all attention of the query, 0 to 1), dims (map, query, y, x); coordinates
        layer and head of each map, position of each query in its item (padding not counted), row and column
        of each patch.

    Raises:
        UsageError: the capture kept no maps, or holds no such item or picture.
    """
    if "patch_map" not in capture:
        raise UsageError("the capture kept no patch maps; capture with patches=[(layer, head), ...]")
    ids = [str(name) for name in capture["item"].values]
    if str(item) not in ids:
        raise UsageError(f"the capture holds no item {item!r}; its first items are {', '.join(ids[:5])}")
    own = (capture["cell_item"] == ids.index(str(item))) & (capture["cell_image"] == image)
    cells = capture.isel(cell=np.flatnonzero(own.values))
    if cells.sizes["cell"] == 0:
        raise UsageError(f"item {item!r} has no picture {image}; pictures count from 0")
    queries, row = np.unique(cells["cell_row"].values, return_inverse=True)
    y, x = cells["cell_y"].values, cells["cell_x"].values
    maps = np.zeros((cells.sizes["map"], len(queries), y.max() + 1, x.max() + 1), dtype=np.float32)
    maps[:, row, y, x] = cells["patch_map"].values
    return xr.DataArray(
        maps,
        dims=("map", "query", "y", "x"),
        coords={
            "layer": ("map", cells["map_layer"].values),
            "head": ("map", cells["map_head"].values),
            "query": queries,
        },
        name="patch_map",
    )
