"""Where does a real Vision Transformer look? The attention of a loaded model's last block, head by head, on a photo.

    python examples/attention_of_a_real_vit.py PATH photo.jpg [attention.png]

PATH is a file or a folder as timm, Hugging Face, open_clip, Meta or Google lay it out (README, "Real ViTs"): a
DINOv2 or a DeiT, say. In a model that was trained without labels, as DINO was, heads of the last block outline objects.
"""

import argparse
from pathlib import Path

import numpy as np

from minivit import ViT
from minivit.insight import attention_by_block, draw_shares, on_grid, rollout
from minivit.plotting import new_figure, save_figure
from minivit.preprocess import Preprocessing, read_picture

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("model", metavar="PATH")
parser.add_argument("photo", metavar="PHOTO")
parser.add_argument("out", metavar="OUT", nargs="?", default="attention.png")
parser.add_argument("--pixels", choices=("imagenet", "clip", "half", "none"), help="if the file does not tell")
args = parser.parse_args()

model = ViT.load(args.model, pixels=args.pixels)
preprocessing = model.preprocessing or Preprocessing.default(model.config)
photo = read_picture(args.photo, model.config.channels, preprocessing)  # uint8 (C, Sh, Sw)
blocks = [np.asarray(block) for block in attention_by_block(model, photo[None])]  # L times (1, H, T, T)
heads = on_grid(blocks[-1][0], model.config)  # (H, T, T) -> (H, Sh/P, Sw/P)
flow = on_grid(rollout(blocks)[0], model.config)  # (T, T) -> (Sh/P, Sw/P)
print(f"{args.model}: {len(blocks)} blocks of {len(heads)} heads, {model.config.tokens} tokens, patches {flow.shape}")
assert np.allclose(blocks[-1].sum(-1), 1, atol=1e-4)

columns = 4
rows = -(-(2 + len(heads)) // columns)
figure = new_figure(9, 2.4 * rows)
axes = figure.subplots(rows, columns, squeeze=False).ravel()
axes[0].imshow(np.moveaxis(photo, 0, -1), "gray")
axes[0].set_title("what the model sees")
draw_shares(axes[1], photo.mean(0), flow)
axes[1].set_title("attention rollout")
for number, (ax, shares) in enumerate(zip(axes[2:], heads), 1):
    draw_shares(ax, photo.mean(0), shares)
    ax.set_title(f"last block, head {number}")
for ax in axes:
    ax.set_axis_off()
save_figure(figure, Path(args.out))
print(f"drawn: {args.out}")
