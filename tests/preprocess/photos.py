"""Photos of digits as people take them, drawn: grey pictures, uint8 (h, w), from digits (28, 28)."""

import numpy as np
from PIL import Image

PAPER, PEN = 235.0, 40.0


def enlarged(digit, size):
    """The ink of a digit, its frame scaled to `size`: 0..1."""
    return np.asarray(Image.fromarray(digit).resize((size, size), Image.Resampling.BICUBIC), "float32") / 255


def cut_out(ink):
    """Cropped to the ink, without a margin."""
    rows, columns = (np.flatnonzero((ink > 0.02).any(axis)) for axis in (1, 0))
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def on_sheet(digit, rng, size=112, factor=1.8):
    """The ink of a digit somewhere on a larger sheet."""
    side = round(factor * size)
    sheet = np.zeros((side, side + 11), "float32")
    top, left = rng.integers(0, side - size + 1, 2)
    sheet[top : top + size, left : left + size] = enlarged(digit, size)
    return sheet


def photographed(values, rng, noise=3.0):
    return np.clip(np.rint(values + rng.normal(0, noise, values.shape)), 0, 255).astype("uint8")


def written(ink, paper=PAPER, pen=PEN):
    return paper + (pen - paper) * ink


def tight(digit, rng):
    return photographed(written(cut_out(enlarged(digit, 112))), rng)


def tight_and_light_on_dark(digit, rng):
    return photographed(written(cut_out(enlarged(digit, 112)), 20, 235), rng)


def tight_and_small(digit, rng):
    return photographed(written(cut_out(digit / np.float32(255)), 255, 0), rng, 0)


def far_away(digit, rng):
    """100 pixels tall on 4000 x 3000."""
    ink = cut_out(enlarged(digit, 140))
    page = np.full((3000, 4000), PAPER, "uint8")
    top, left = rng.integers(20, np.array(page.shape) - ink.shape - 20)
    page[top : top + ink.shape[0], left : left + ink.shape[1]] = written(ink)
    return page


def in_shadow(digit, rng, pen=PEN):
    """A shadow with a sharp edge, which takes 40 % of the light, over a part of the sheet."""
    sheet = on_sheet(digit, rng)
    h, w = sheet.shape
    y, x = np.mgrid[:h, :w]
    angle, offset = rng.uniform(0, 2 * np.pi), rng.uniform(-0.25, 0.25) * h
    light = np.where(np.cos(angle) * (x - w / 2) + np.sin(angle) * (y - h / 2) > offset, 0.6, 1)
    return photographed(written(sheet, pen=pen) * light, rng)


def pencil_in_shadow(digit, rng):
    return in_shadow(digit, rng, pen=115.0)


def ruled(digit, rng, squared=False, line=170.0):
    sheet = written(on_sheet(digit, rng))
    lines, gap = np.full(sheet.shape, PAPER), rng.integers(40, 90)
    for first in range(2):
        lines[rng.integers(gap) + first :: gap] = line
        if squared:
            lines[:, rng.integers(gap) + first :: gap] = line
    return photographed(np.minimum(sheet, lines), rng)


def squared(digit, rng):
    return ruled(digit, rng, squared=True)


def on_table(digit, rng):
    """The edge of a dark table along one side of the picture."""
    sides = np.zeros(4, int)
    sides[rng.integers(4)] = rng.integers(10, 40)
    sheet = written(on_sheet(digit, rng))
    return photographed(np.pad(sheet, sides.reshape(2, 2).tolist(), constant_values=60), rng)


PHOTOS = {  # how many of 50 keep their class at least; all of them undamaged
    tight: 49,
    tight_and_light_on_dark: 47,
    tight_and_small: 49,
    far_away: 49,
    in_shadow: 49,
    pencil_in_shadow: 48,
    ruled: 49,
    squared: 49,
    on_table: 49,
}


# Not one digit


def several(digit, rng, gap=20):
    parts = [cut_out(enlarged(one, 112)) for one in (digit, digit[::-1, ::-1])]
    tallest = max(map(len, parts))
    parts = [np.pad(part, ((0, tallest - len(part)), (gap, gap))) for part in parts]
    return photographed(written(np.pad(np.concatenate(parts, 1), 30)), rng)


def stacked(digit, rng):
    parts = [np.pad(cut_out(enlarged(digit, 112)), ((10, 10), (60, 60)))] * 2
    return photographed(written(np.concatenate(parts)), rng)


def text(digit, rng):
    line = np.concatenate([np.pad(enlarged(digit, 28), ((0, 0), (0, 2)))] * 9, 1)
    return photographed(written(np.concatenate([line] * 8)), rng)


def sheet_on_table(digit, rng):
    """With the table on all four sides."""
    return photographed(np.pad(written(on_sheet(digit, rng)), 30, constant_values=60), rng)


def dark_lines(digit, rng):
    return ruled(digit, rng, line=50.0)


def two_sheets(digit, rng):
    return photographed(np.where(np.arange(300) < 140, 50.0, 220.0)[np.newaxis].repeat(200, 0), rng)


def pattern(digit, rng):
    y, x = np.mgrid[:200, :200]
    return photographed(np.where((x // 10 + y // 10) % 2 & (x % 40 > 3), 40.0, 230.0), rng)


def labyrinth(digit, rng):
    walls = np.zeros((200, 200))
    for ring in range(0, 100, 16):
        walls[ring : 200 - ring, ring : ring + 6] = walls[ring : 200 - ring, 194 - ring : 200 - ring] = 1
        walls[ring : ring + 6, ring : 180 - ring] = walls[194 - ring : 200 - ring, ring : 200 - ring] = 1
    return photographed(written(walls), rng)


def noise(digit, rng):
    return rng.integers(0, 256, (200, 260), dtype="uint8")


def one_row_of_noise(digit, rng):
    return rng.integers(0, 256, (1, 224), dtype="uint8")


NOT_ONE_DIGIT = (
    several, stacked, text, sheet_on_table, dark_lines, two_sheets, pattern, labyrinth, noise, one_row_of_noise,
)  # fmt: skip
