"""Draw docs/_static/house.svg from the code: the rooms of the package, and who imports whom.

`python docs/house.py` writes it.  Rows are the layers of the import contract in pyproject.toml; a line is an import,
those left out that follow from others.
"""

from __future__ import annotations

import ast
import re
import tomllib
from html import escape
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PICTURE = ROOT / "docs/_static/house.svg"
LEFT_OUT = {"lazy", "notebook_hooks", "version", "vocabulary"}
WIDTH, BOX, HEIGHT, GAP = 980, 56, 96, 24
STYLE = (
    ".house{color:#1c1e23;font-family:system-ui,'DejaVu Sans',sans-serif}.house .paper{fill:#fff}"
    ".house rect{fill:#eef3fb;stroke:#5b7db1}.house path{fill:none;stroke:#9aa7ba}"
    ".house text{fill:currentColor;text-anchor:middle;font-size:13px}"
    ".house .name{font-weight:600;font-size:15px}"
    "@media(prefers-color-scheme:dark){.house{color:#eceef2}.house .paper{fill:#14161a}"
    ".house rect{fill:#1f2836;stroke:#7f9dcb}.house path{stroke:#5a6475}}"
)


def layers() -> list[list[str]]:
    """Return the rooms, row by row, as the import contract has them."""
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    contract = next(c for c in tools["importlinter"]["contracts"] if c["type"] == "layers")
    rows = [re.findall(r"\w+", row) for row in contract["layers"]]
    return [[room for room in row if room not in LEFT_OUT] for row in rows if row != ["__main__"]]


def sources(room: str) -> list[Path]:
    """Return the files of a room."""
    place = ROOT / "lumpability" / room
    return sorted(place.rglob("*.py")) if place.is_dir() else [place.with_suffix(".py")]


def told(room: str) -> str:
    """Return the beginning of the first sentence of a room's docstring."""
    place = ROOT / "lumpability" / room
    first = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
    text = ast.get_docstring(ast.parse(first.read_text(encoding="utf-8"))) or ""
    return re.split(r"[:;,] |\. (?=[A-Z])", text.splitlines()[0].rstrip("."))[0]


def imports(room: str) -> set[str]:
    """Return the rooms that a room imports."""
    found = set()
    for path in sources(room):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module == "lumpability":
                names = [f"lumpability.{a.name}" for a in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            found |= {n.split(".")[1] for n in names if n.startswith("lumpability.")}
    return found - {room}


def reduced(arrows: dict[str, set[str]]) -> dict[str, set[str]]:
    """Leave out the arrows that follow from others."""

    def below(room: str) -> set[str]:
        return set().union(*({other, *below(other)} for other in arrows[room]), set())

    return {
        room: {o for o in ends if not any(o in below(via) for via in ends - {o})}
        for room, ends in arrows.items()
    }


def draw() -> str:
    """Return the picture as SVG."""
    rows = layers()
    rooms = {room for row in rows for room in row}
    arrows = {room: imports(room) & rooms for room in rooms}
    middle = {
        room: (int(WIDTH * (2 * i + 1) / (2 * len(row))), number * HEIGHT + 40)
        for number, row in enumerate(rows)
        for i, room in enumerate(row)
    }
    height = len(rows) * HEIGHT
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" class="house" role="img" '
            f'viewBox="0 0 {WIDTH} {height}" style="max-width:100%;height:auto">'
        ),
        "<title>The rooms of the package and what they import</title>",
        f"<style>{STYLE}</style>",
        f'<rect class="paper" width="{WIDTH}" height="{height}" stroke="none"/>',
    ]
    for room, ends in sorted(reduced(arrows).items()):
        (x, y), half = middle[room], BOX // 2
        for end in sorted(ends):
            to_x, to_y = middle[end]
            bend = (y + to_y) // 2
            parts.append(
                f'<path d="M{x} {y + half}C{x} {bend} {to_x} {bend} {to_x} {to_y - half}"/>'
            )
    for row in rows:
        width = min(300, WIDTH // len(row) - GAP)
        for room in row:
            x, y = middle[room]
            parts += [
                f'<rect x="{x - width // 2}" y="{y - BOX // 2}" width="{width}" height="{BOX}" rx="8"/>',
                f'<text class="name" x="{x}" y="{y - 4}">{room}</text>',
                f'<text x="{x}" y="{y + 16}">{escape(_cut(told(room), width // 7))}</text>',
            ]
    return "\n".join([*parts, "</svg>", ""])


def _cut(text: str, most: int) -> str:
    if len(text) <= most:
        return text
    return text[: most - 1].rsplit(" ", 1)[0] + " …"


if __name__ == "__main__":
    PICTURE.write_text(draw(), encoding="utf-8")
