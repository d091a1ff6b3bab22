"""One palette for pages and figures: every colour has a name, a light and a dark value.

Figures are drawn in the light values. Inlined in the page, each value becomes the CSS variable of its name,
so that one drawing serves both colour schemes. The hues keep apart under the common forms of colour blindness
(after Okabe and Ito, "Color Universal Design", 2008), and no figure tells groups apart by hue alone.
"""

from typing import Any, Final

LIGHT: Final[dict[str, str]] = {
    "page": "#f5f6f8",
    "surface": "#ffffff",
    "ink": "#18202a",
    "muted": "#566270",
    "rule": "#cbd3dc",
    "grid": "#e9edf1",
    "faint": "#aab5c1",
    "blue": "#0a66a8",
    "orange": "#b54a06",
    "latency": "#00796b",
    "tradeoff": "#a85a00",
    "accuracy": "#8b4a9f",
    "band": "#dcebf7",
    "warn": "#b3261e",
    "warnband": "#fdecea",
    "ramp0": "#9bcdea",
    "ramp1": "#4f9fd6",
    "ramp2": "#1e6db0",
    "ramp3": "#0a3a70",
}

DARK: Final[dict[str, str]] = {
    "page": "#0d1117",
    "surface": "#151b23",
    "ink": "#e7ecf2",
    "muted": "#a1adba",
    "rule": "#3a4552",
    "grid": "#242d38",
    "faint": "#5c6976",
    "blue": "#62b6f3",
    "orange": "#f79a55",
    "latency": "#3fd0b8",
    "tradeoff": "#f2b04a",
    "accuracy": "#d3a0e6",
    "band": "#1a324a",
    "warn": "#ff8d80",
    "warnband": "#3a1c1b",
    "ramp0": "#2d5f8d",
    "ramp1": "#3b8fcb",
    "ramp2": "#6fbdf1",
    "ramp3": "#cdeaff",
}

PICK_COLOURS: Final[dict[str, str]] = {"BL": "latency", "O": "tradeoff", "BA": "accuracy"}

FONT_STACK: Final = "Inter, system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"

# A figure is drawn at 72 dots an inch, so a point of matplotlib is a pixel of the page.
RC: Final[dict[Any, Any]] = {
    "figure.dpi": 72,
    "savefig.dpi": 72,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "font.family": ["DejaVu Sans"],
    "font.size": 12,
    "axes.labelsize": 12,
    "axes.titlesize": 13,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "xtick.labelsize": 12,
    "ytick.labelsize": 12,
    "legend.fontsize": 12,
    "legend.frameon": False,
    "text.color": LIGHT["ink"],
    "axes.labelcolor": LIGHT["muted"],
    "axes.titlecolor": LIGHT["ink"],
    "axes.edgecolor": LIGHT["rule"],
    "axes.linewidth": 1.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": LIGHT["grid"],
    "grid.linewidth": 1.0,
    "xtick.color": LIGHT["rule"],
    "ytick.color": LIGHT["rule"],
    "xtick.labelcolor": LIGHT["muted"],
    "ytick.labelcolor": LIGHT["muted"],
    "xtick.minor.size": 0,
    "ytick.minor.size": 0,
    "lines.linewidth": 1.8,
    "svg.fonttype": "none",
    "text.usetex": False,
    "text.parse_math": False,
}


def css_variables(palette: dict[str, str]) -> str:
    """The palette as CSS declarations, ``--name: #value;`` each."""
    return " ".join(f"--{name}: {value};" for name, value in palette.items())
