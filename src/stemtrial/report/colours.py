"""The one palette of pictures and page: every colour has a light and a dark value.

Figures are drawn in the light values; the page exchanges them for the dark ones where the reader's system asks for
them. The arm colours stay apart under the common colour-vision deficiencies (blue, vermilion, green, purple, ochre:
darkened or lightened from Okabe and Ito's set), and arms also differ by dash and order, never by colour alone.
"""

from __future__ import annotations

PALETTE: dict[str, tuple[str, str]] = {
    "page": ("#fbfaf8", "#13171d"),
    "surface": ("#ffffff", "#1a2028"),
    "ink": ("#1b2430", "#e8ebf0"),
    "muted": ("#566070", "#a9b3c0"),
    "rule": ("#dde1e6", "#343d49"),
    "link": ("#1d5a9e", "#8fbdf3"),
    "inside": ("#216a4d", "#7fd1ab"),
    "miss": ("#a8172f", "#ff96a1"),
    "notice": ("#fff6e0", "#2e2716"),
    "contrast": ("#4a5a73", "#a6b7d0"),
    "arm0": ("#0a61a6", "#6cb5fb"),
    "arm1": ("#b34700", "#ff9d57"),
    "arm2": ("#00745c", "#43cda7"),
    "arm3": ("#7c3e97", "#d2a3e7"),
    "arm4": ("#756000", "#dfc24e"),
}
"""Token: (light, dark). ``contrast`` draws what compares two arms; ``arm0`` ... draw the arms in their order."""

TEXT_TOKENS = ("ink", "muted", "link", "inside", "miss", "contrast", "arm0", "arm1", "arm2", "arm3", "arm4")
"""Tokens that are used for words: at least 4.5:1 on ``page`` and ``surface`` (WCAG 2.2 AA)."""

ARM_TOKENS = ("arm0", "arm1", "arm2", "arm3", "arm4")
ARM_DASHES = ("solid", "dash", "dot", "dashdot", "longdash")


def light(token: str) -> str:
    """Return the light hex colour of a palette token."""
    return PALETTE[token][0]


def _triple(hex_colour: str) -> str:
    return ",".join(str(int(hex_colour[i : i + 2], 16)) for i in (1, 3, 5))


def veil(token: str, alpha: float) -> str:
    """Return the light colour of a token as ``rgba(...)`` with opacity ``alpha`` (0 to 1)."""
    return f"rgba({_triple(PALETTE[token][0])},{alpha:g})"


def dark_pairs() -> list[tuple[str, str]]:
    """Every (light, dark) piece of text that turns the JSON of a figure into its dark version."""
    hexes = [(a, b) for a, b in PALETTE.values()]
    return hexes + [(f"rgba({_triple(a)},", f"rgba({_triple(b)},") for a, b in PALETTE.values()]


def luminance(hex_colour: str) -> float:
    """Return the relative luminance of ``#rrggbb`` (0 to 1), as WCAG 2.2 defines it."""
    linear = []
    for i in (1, 3, 5):
        c = int(hex_colour[i : i + 2], 16) / 255
        linear.append(c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4)
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast_ratio(one: str, other: str) -> float:
    """Return the WCAG 2.2 contrast ratio (1 to 21) of two ``#rrggbb`` colours."""
    a, b = sorted((luminance(one), luminance(other)))
    return (b + 0.05) / (a + 0.05)
