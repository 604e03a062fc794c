"""A layered drawing as SVG: floors from the ground up, boxes on them, and the arrows between the boxes.

Arrows that follow from others are left out. An arrow that passes a floor without ending there gets a place between the
boxes of that floor (Sugiyama, Tagawa & Toda 1981): the order on each floor is chosen for few crossings, then the places
move towards what they are joined to, as far as the order allows. Nothing is random: equal input gives equal bytes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import pairwise
from xml.sax.saxutils import escape

WIDTH, BOX_WIDTH, BOX_HEIGHT, GAP, FLOOR_HEIGHT = 1100, 160, 56, 20, 112
MARGIN, ROOF_HEIGHT = 30, 40
# One colour for the arrows that leave a floor; floor after floor in turn.
COLOURS = ("#3b6fb6", "#b5562b", "#3c8a5a", "#8a5aa8", "#a8842c", "#2f8c96")

# A box, or the place where the arrow (source, target) passes a floor.
Node = str | tuple[str, str, int]
Arrow = tuple[str, str]


def draw(floors: Sequence[Mapping[str, str]], arrows: Collection[Arrow], sizes: Mapping[str, int]) -> str:
    """The picture.

    Args:
        floors: from the ground up; each box's name and what it is about. `group.name` is drawn in a frame `group`.
        arrows: pairs of names; an arrow leads from a box to one on a lower floor.
        sizes: modules in each box that is a folder.
    """
    level = {name: floor for floor, names in enumerate(floors) for name in names}
    downward = {(source, target) for source, target in arrows if level[source] > level[target]}
    ways = {arrow: _way(arrow, level) for arrow in sorted(_needed(downward))}
    rows = _ordered([list(names) for names in floors], ways)
    x = _places(rows, ways)
    height = FLOOR_HEIGHT * len(floors) + ROOF_HEIGHT + 2 * MARGIN
    top = [
        height - MARGIN - FLOOR_HEIGHT * (floor + 1) + (FLOOR_HEIGHT - BOX_HEIGHT) / 2 for floor in range(len(floors))
    ]
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="Helvetica, sans-serif">',
        "<title>The floors of HearLab: each room imports from lower floors only</title>",
        _markers(),
        f'<rect width="{WIDTH}" height="{height}" rx="8" fill="#fff"/>',
        *_house(len(floors), height),
        *_frames(floors, x, top),
        *_arrows(ways, level, x, top),
    ]
    for floor, names in enumerate(floors):
        parts += [_box(name, about, sizes.get(name), x[name], top[floor]) for name, about in names.items()]
    return "\n".join([*parts, "</svg>", ""])


def _needed(arrows: Collection[Arrow]) -> set[Arrow]:
    """The arrows that do not follow from others: no longer way leads from source to target."""
    targets: dict[str, set[str]] = defaultdict(set)
    for source, target in arrows:
        targets[source].add(target)

    def below(name: str) -> set[str]:
        return targets[name].union(*map(below, targets[name]))

    return {(s, t) for s, t in arrows if not any(t in below(other) for other in targets[s] - {t})}


def _way(arrow: Arrow, level: Mapping[str, int]) -> list[Node]:
    source, target = arrow
    return [source, *((source, target, floor) for floor in range(level[source] - 1, level[target], -1)), target]


def _neighbours(ways: Mapping[Arrow, list[Node]]) -> tuple[dict[Node, list[Node]], dict[Node, list[Node]]]:
    """What each node is joined to on the floor above and on the floor below."""
    above, below = defaultdict(list), defaultdict(list)
    for way in ways.values():
        for upper, lower in pairwise(way):
            below[upper].append(lower)
            above[lower].append(upper)
    return above, below


def _ordered(rows: list[list[Node]], ways: Mapping[Arrow, list[Node]]) -> list[list[Node]]:
    """The rows with places for passing arrows, in an order with few crossings."""
    for way in ways.values():
        for node in way:
            if isinstance(node, tuple):
                rows[node[2]].append(node)
    above, below = _neighbours(ways)
    best = [list(row) for row in rows]
    for sweep in range(40):
        order = range(len(rows)) if sweep % 2 else range(len(rows) - 1, -1, -1)
        for floor in order:
            place = {node: index / max(len(row) - 1, 1) for row in rows for index, node in enumerate(row)}
            joined = below if sweep % 2 else above
            rows[floor].sort(key=lambda node: _mean([place[other] for other in joined[node]], place[node]))
        _swap_neighbours(rows, below)
        if _cost(rows, below) < _cost(best, below):
            best = [list(row) for row in rows]
    return best


def _swap_neighbours(rows: list[list[Node]], below: Mapping[Node, list[Node]]) -> None:
    """Swap two neighbours wherever that makes the drawing better."""
    now = _cost(rows, below)
    for row in rows:
        for index in range(len(row) - 1):
            row[index], row[index + 1] = row[index + 1], row[index]
            after = _cost(rows, below)
            if after < now:
                now = after
            else:
                row[index], row[index + 1] = row[index + 1], row[index]


def _cost(rows: list[list[Node]], below: Mapping[Node, list[Node]]) -> tuple[int, float]:
    """Crossings, and how far the arrows run to the side, in widths of the drawing."""
    crossings, aside = 0, 0.0
    for upper, lower in zip(rows[1:], rows, strict=False):
        place = {node: index for index, node in enumerate(lower)}
        ends = [[place[node] for node in below.get(start, ())] for start in upper]
        for index, left in enumerate(ends):
            crossings += sum(a > b for right in ends[index + 1 :] for a in left for b in right)
            middle = (index + 0.5) / len(upper)
            aside += sum(abs((end + 0.5) / len(lower) - middle) for end in left)
    return crossings, aside


def _places(rows: list[list[Node]], ways: Mapping[Arrow, list[Node]]) -> dict[Node, float]:
    """The middle of each node, in pixels from the left."""
    above, below = _neighbours(ways)
    x: dict[Node, float] = {}
    for row in rows:
        widths = [_width(node) + GAP for node in row]
        left = (WIDTH - sum(widths)) / 2
        for node, width in zip(row, widths, strict=True):
            x[node], left = left + width / 2, left + width
    for sweep in range(100):
        for floor in range(len(rows)) if sweep % 2 else range(len(rows) - 1, -1, -1):
            row = rows[floor]
            # Half an arrow's pull to the middle keeps the upper floors from leaning to one side.
            joined = [[x[other] for other in [*above[node], *below[node]]] for node in row]
            wanted = [(sum(places) + WIDTH / 4) / (len(places) + 0.5) for places in joined]
            # A passing arrow is drawn straight where it can be.
            weights = [1.0 if isinstance(node, str) else 4.0 for node in row]
            for node, place in zip(row, _apart(row, wanted, weights), strict=True):
                x[node] = place
    ends = [(x[node] - _width(node) / 2, x[node] + _width(node) / 2) for node in x]
    aside = (WIDTH - min(left for left, _ in ends) - max(right for _, right in ends)) / 2
    return {node: place + aside for node, place in x.items()}


def _apart(row: list[Node], wanted: list[float], weights: list[float]) -> list[float]:
    """The places nearest to the wanted ones (least squares) that keep the order and the distances of a row."""
    offsets = [0.0]
    for left, right in pairwise(row):
        offsets.append(offsets[-1] + (_width(left) + _width(right)) / 2 + GAP)
    # Without the distances the places must only not fall: neighbours that do are pooled at their mean.
    pools: list[tuple[float, float, int]] = []
    for place, weight, offset in zip(wanted, weights, offsets, strict=True):
        pools.append((place - offset, weight, 1))
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            (a, wa, na), (b, wb, nb) = pools[-2:]
            pools[-2:] = [((a * wa + b * wb) / (wa + wb), wa + wb, na + nb)]
    free = [value for value, _, number in pools for _ in range(number)]
    least = MARGIN + GAP + _width(row[0]) / 2
    most = WIDTH - MARGIN - GAP - _width(row[-1]) / 2 - offsets[-1]
    return [min(max(value, least), most) + offset for value, offset in zip(free, offsets, strict=True)]


def _arrows(
    ways: Mapping[Arrow, list[Node]], level: Mapping[str, int], x: Mapping[Node, float], top: Sequence[float]
) -> list[str]:
    leaves = _ports(ways, x, lambda way: way[0], lambda way: way[1])
    ends = _ports(ways, x, lambda way: way[-1], lambda way: way[-2])
    drawn = []
    for arrow, way in ways.items():
        floor = level[arrow[0]]
        at, y = leaves[arrow], top[floor] + BOX_HEIGHT
        path = [f"M{at:.1f} {y:.1f}"]
        for node in way[1:]:
            floor -= 1
            last = node == way[-1]
            to, down = (ends[arrow], top[floor] - 7) if last else (x[node], top[floor])
            middle = (y + down) / 2
            path.append(f"C{at:.1f} {middle:.1f} {to:.1f} {middle:.1f} {to:.1f} {down:.1f}")
            at, y = to, down
            if not last:
                y = top[floor] + BOX_HEIGHT
                path.append(f"V{y:.1f}")
        colour = level[arrow[0]] % len(COLOURS)
        drawn.append(
            f'<path d="{" ".join(path)}" fill="none" stroke="{COLOURS[colour]}" stroke-width="1.6" '
            f'stroke-opacity="0.85" marker-end="url(#head{colour})"><title>{arrow[0]} imports {arrow[1]}</title></path>'
        )
    return drawn


def _ports(
    ways: Mapping[Arrow, list[Node]],
    x: Mapping[Node, float],
    box_of: Callable[[list[Node]], Node],
    next_of: Callable[[list[Node]], Node],
) -> dict[Arrow, float]:
    """Where each arrow touches its box: side by side, in the order of where it leads."""
    at: dict[Node, list[Arrow]] = defaultdict(list)
    for arrow, way in ways.items():
        at[box_of(way)].append(arrow)
    ports = {}
    for box, arrows in at.items():
        arrows.sort(key=lambda arrow: (x[next_of(ways[arrow])], arrow))
        step = min(18.0, (BOX_WIDTH - 24) / len(arrows))
        for index, arrow in enumerate(arrows):
            ports[arrow] = x[box] + (index - (len(arrows) - 1) / 2) * step
    return ports


def _house(floors: int, height: float) -> list[str]:
    """The floors as bands below a roof."""
    left, right, wide = MARGIN, WIDTH - MARGIN, WIDTH - 2 * MARGIN
    eaves = height - MARGIN - FLOOR_HEIGHT * floors
    parts = [
        f'<path d="M{left - 14} {eaves} L{WIDTH / 2} {eaves - ROOF_HEIGHT} L{right + 14} {eaves} Z" fill="#8c9db0"/>'
    ]
    for floor in range(floors):
        y, shade = height - MARGIN - FLOOR_HEIGHT * (floor + 1), ("#f3f5f8", "#e9edf2")[floor % 2]
        parts.append(
            f'<rect x="{left}" y="{y}" width="{wide}" height="{FLOOR_HEIGHT}" fill="{shade}"/>'
            f'<text x="{left + 10}" y="{y + 20}" font-size="13" fill="#8592a1">{floor}</text>'
        )
    parts.append(f'<rect x="{left - 14}" y="{height - MARGIN}" width="{wide + 28}" height="6" fill="#8c9db0"/>')
    return parts


def _frames(floors: Sequence[Mapping[str, str]], x: Mapping[Node, float], top: Sequence[float]) -> list[str]:
    """A frame around the boxes of each group."""
    groups: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for floor, names in enumerate(floors):
        for name in names:
            if "." in name:
                groups[name.partition(".")[0]].append((x[name], top[floor]))
    parts = []
    for group, places in groups.items():
        left = min(place for place, _ in places) - BOX_WIDTH / 2 - 26
        right = max(place for place, _ in places) + BOX_WIDTH / 2 + 26
        upper, lower = min(y for _, y in places) - 22, max(y for _, y in places) + BOX_HEIGHT + 18
        parts.append(
            f'<rect x="{left:.1f}" y="{upper:.1f}" width="{right - left:.1f}" height="{lower - upper:.1f}" rx="10" '
            f'fill="#fff" fill-opacity="0.55" stroke="#aab4c0" stroke-dasharray="5 4"/>'
            f'<text x="{left + 12:.1f}" y="{upper + 20:.1f}" font-size="14" fill="#5c6875">{group}/</text>'
        )
    return parts


def _box(name: str, about: str, size: int | None, middle: float, top: float) -> str:
    title = name.rpartition(".")[2] + (".py" if size is None else "/")
    number = "" if size is None else f"{size} module" + "s" * (size != 1)
    colour = "#f6efe2" if size is None else "#fff"
    lines = [(title, 15, "#1d2733", ' font-weight="bold"'), (about, 11, "#3e4a57", ""), (number, 11, "#7c8895", "")]
    texts = "".join(
        f'<text x="{middle:.1f}" y="{top + y}" font-size="{points}" fill="{fill}" text-anchor="middle"{style}>'
        f"{escape(line)}</text>"
        for y, (line, points, fill, style) in zip((20, 35, 49) if number else (25, 42, 0), lines, strict=True)
        if line
    )
    return (
        f'<rect x="{middle - BOX_WIDTH / 2:.1f}" y="{top:.1f}" width="{BOX_WIDTH}" height="{BOX_HEIGHT}" rx="6" '
        f'fill="{colour}" stroke="#55616e"/>{texts}'
    )


def _markers() -> str:
    heads = "".join(
        f'<marker id="head{index}" viewBox="0 0 8 8" refX="2" refY="4" markerWidth="5.5" markerHeight="5.5" '
        'orient="auto">'
        f'<path d="M0 0 L8 4 L0 8 Z" fill="{colour}"/></marker>'
        for index, colour in enumerate(COLOURS)
    )
    return f"<defs>{heads}</defs>"


def _width(node: Node) -> float:
    return BOX_WIDTH if isinstance(node, str) else 2.0


def _mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise
