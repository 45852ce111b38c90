"""The scales for readers with and without colour vision, and the contrast of every ink."""

import numpy as np
import pytest
from every_figure import every_figure

from vaslab.errors import UsageError
from vaslab.plots import theme as themes
from vaslab.plots.changes import INKS
from vaslab.plots.head_marks import VEIL
from vaslab.plots.kinds import PATTERNS, kind_styles
from vaslab.plots.training_log import INKS as LOG_INKS

# Machado, Oliveira and Fernandes 2009, severity 1.0, on linear RGB
MACHADO = {
    "normal": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}


def lab(colours: list[str], vision: str) -> np.ndarray:
    """CIELAB (D65) of colours as `vision` sees them."""
    srgb = np.array([[int(c[i : i + 2], 16) / 255 for i in (1, 3, 5)] for c in colours])
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    linear = np.clip(linear @ np.asarray(MACHADO[vision]).T, 0, 1)
    to_xyz = [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
    xyz = linear @ np.array(to_xyz).T / [0.95047, 1.0, 1.08883]
    f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], axis=1)


@pytest.mark.parametrize("vision", list(MACHADO))
@pytest.mark.parametrize("name", ["LEVEL", "CHANGE"])
def test_diverging_scales_for_every_vision(name: str, vision: str) -> None:
    stops = list(getattr(themes, name))
    seen = lab(stops, vision)
    middle = len(stops) // 2
    steps = np.diff(seen[:, 0])
    assert (steps[:middle] > 0).all()
    assert (steps[middle:] < 0).all()
    assert seen[middle, 0] > 95
    assert np.linalg.norm(seen[0] - seen[-1]) > 30
    # the two sides differ wherever a cell is clearly off the middle
    pairs = np.linalg.norm(seen[: middle - 1] - seen[::-1][: middle - 1], axis=1)
    assert pairs.min() > 10


@pytest.mark.parametrize("vision", list(MACHADO))
def test_share_scale_darkens_step_by_step(vision: str) -> None:
    assert (np.diff(lab(list(themes.SHARE), vision)[:, 0]) < 0).all()


@pytest.mark.parametrize("name", ["light", "dark"])
def test_every_ink_reads_on_its_page(name: str) -> None:
    look = themes.named(name)
    for ink in (look.text, look.muted, look.more, look.less):
        assert themes.contrast(ink, look.background) >= 4.5
    assert themes.contrast(look.text, look.hover) >= 4.5
    names = [
        "base",
        "multimodal cold start",
        "text-only cold start",
        "+VARD",
        "+AGTO",
        "+VARS",
        "a",
        "b",
        "c",
    ]
    for style in themes.run_styles(names, look).values():
        assert themes.contrast(style.text, look.background) >= 4.5


def test_contrast_by_hand() -> None:
    assert themes.contrast("#ffffff", "#000000") == pytest.approx(21)
    assert themes.contrast("#777777", "#ffffff") == pytest.approx(
        4.478, abs=1e-3
    )  # the published WCAG example


def test_checkpoints_are_told_apart_without_colour() -> None:
    names = ["base", "multimodal cold start", "text-only cold start", "+VARD", "+AGTO", "+VARS"]
    styles = themes.run_styles(names, themes.named("light"))
    assert len({(s.dash, s.symbol) for s in styles.values()}) == len(names)
    assert len({s.marker for s in styles.values()}) == len(names)
    assert (styles["base"].line, styles["base"].dash) == ("#66717f", "dot")
    assert styles["multimodal cold start"].line == "#0b7a75"
    assert styles["text-only cold start"].line == "#c2255c"
    unknown = themes.run_styles(["run-1", "run-2", "run-3"], themes.named("light"), base="run-1")
    assert unknown["run-1"].dash == "dot"
    assert len({(s.line, s.symbol) for s in unknown.values()}) == 3


def test_unknown_theme_names_the_known() -> None:
    with pytest.raises(UsageError, match="unknown theme 'blue'; expected one of light, dark"):
        themes.named("blue")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("vision", list(MACHADO))
def test_visual_and_system_parts_differ_for_every_vision(vision: str, theme: str) -> None:
    """Stacked bars of a change, and the two lines of a training log, which touch."""
    page = themes.named(theme).background
    for inks, least in ((INKS, 3.0), ({name: ink for name, ink in LOG_INKS.items() if ink}, 4.5)):
        seen = lab([themes.readable(inks[name], page, least) for name in ("visual", "system")], vision)
        assert np.linalg.norm(seen[0] - seen[1]) > 25


@pytest.mark.parametrize("vision", list(MACHADO))
def test_a_pale_cell_is_taken_for_no_clear_one_by_any_vision(vision: str) -> None:
    """What lies under the veil of unchanged cells is nearer to its middle than any clear change of a fifth."""
    middle = themes.CHANGE[len(themes.CHANGE) // 2]
    pale = [themes.mixed(colour, middle, VEIL) for colour in themes.CHANGE]
    seen = lab([middle, *pale, themes.CHANGE[5], themes.CHANGE[-6]], vision)
    far = np.linalg.norm(seen - seen[0], axis=1)
    assert far[1:-2].max() < far[-2:].min()


def test_kinds_and_strips_have_shapes_of_their_own() -> None:
    styles = kind_styles([kind for _, kind in PATTERNS] + ["other"], themes.named("light"))
    assert len({style.symbol for style in styles.values()}) == len(styles)
    fig = every_figure(items=4, layers=3, heads=2)["training"]()[0]
    lines = [t for t in fig.data if t.type == "scatter" and t.mode == "lines+markers"]
    assert {t.marker.symbol for t in lines} == {"square", "circle"}


def test_many_checkpoints_without_a_kind_still_differ() -> None:
    styles = themes.run_styles([f"run-{i}" for i in range(30)], themes.named("light")).values()
    assert len({(style.line, style.dash, style.symbol) for style in styles}) == 30
