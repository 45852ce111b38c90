"""Visual attention against other tokens than the system's: the question, the answer, everything else."""

import xarray as xr

from vaslab.errors import UsageError, VaslabError
from vaslab.metrics.arrays import EVERYTHING, mean_over
from vaslab.metrics.selection import QUERY_WORDS, check_dims, one_query_set
from vaslab.prompts.roles import KEY_ROLES, Role


def visual_against(
    capture: xr.Dataset,
    roles: tuple[str, ...] = ("user",),
    queries: str = "user",
    per_token: bool = False,
    over: tuple[str, ...] = EVERYTHING,
) -> xr.DataArray:
    """Mean attention mass on image tokens over mean mass on the tokens of `roles`: a ratio of means.

    Args:
        capture: a Capture.
        roles: key roles in the denominator; user text by default.
        queries: the query set.
        per_token: divide each mass by its number of keys in the item.
        over: of ("layer", "head", "item"): averaged before the division.

    Returns:
        float64, dims (item, layer, head) less `over`; dimensionless. Items without an image, a query or a key of
        `roles` are left out; NaN where the denominator is 0.

    Raises:
        UsageError: an unknown role, or image among `roles`; otherwise as `vas`.
        VaslabError: no item has both.
    """
    over = check_dims(tuple(over), EVERYTHING)
    parts = masses_against(capture, roles, queries, per_token)
    under = mean_over(parts["other"], over)
    out = (mean_over(parts["image"], over) / under.where(under > 0)).rename("visual_against")
    each = " per token" if per_token else ""
    out.attrs = {
        "units": "1",
        "numerator": f"attention mass on image tokens{each}",
        "denominator": f"attention mass on {' + '.join(roles)} tokens{each}",
        "query_words": QUERY_WORDS.get(queries, queries),
        "form": "ratio_of_means",
        "n_items": int(parts["image"].notnull().any(("layer", "head")).sum()),
    }
    return out


def masses_against(
    capture: xr.Dataset, roles: tuple[str, ...] = ("user",), queries: str = "user", per_token: bool = False
) -> xr.Dataset:
    """The two masses that `visual_against` divides: image and other, dims (item, layer, head).

    Arguments and errors as there. NaN for items without an image, a query or a key of `roles`.
    """
    known = [role.name for role in KEY_ROLES if role is not Role.image]
    wrong = [name for name in roles if name not in known]
    if wrong or not roles or len(set(roles)) < len(roles):
        raise UsageError(f"roles are {tuple(roles)!r}; expected some of {', '.join(known)}, each once")
    part = one_query_set(capture, queries)
    n_image = part["n_keys"].sel(key_role=Role.image.name, drop=True)
    n_other = part["n_keys"].sel(key_role=list(roles)).sum("key_role")
    there = (n_image > 0) & (n_other > 0) & (part["n_queries"] > 0)
    if not bool(there.any()):
        raise VaslabError(f"no item has both an image and {' or '.join(roles)} tokens, and a {queries} query")
    image = part["mass"].sel(key_role=Role.image.name, drop=True).astype("float64").where(there)
    other = part["mass"].sel(key_role=list(roles)).astype("float64").sum("key_role").where(there)
    if per_token:
        image, other = image / n_image, other / n_other.where(there)
    return xr.Dataset({"image": image, "other": other})
