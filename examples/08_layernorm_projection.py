"""LayerNorm is a projection, forward and backward; with three features it can be drawn.

Forward, subtracting the mean projects a token onto the plane orthogonal to (1, 1, 1), and dividing by the standard
deviation rescales it to length √D, onto a circle in that plane. Backward, only the component of the upstream gradient u
along that circle passes: its components along (1, 1, 1) and along xhat are removed (minivit/ops/layernorm.py).
"""

import numpy as np
from common import BLUE, GREEN, GREY, ORANGE, PURPLE, new_figure, save

from minivit.ops import layernorm_backward, layernorm_forward

D = 3
x = np.array([[2.1, 0.3, 0.9], [0.2, 1.9, 1.2], [-0.5, 0.4, 1.8], [1.5, 1.4, -0.7], [0.1, -1.0, 0.6]])  # five tokens
gamma, beta = np.ones(D), np.zeros(D)
xhat, cache = layernorm_forward(x, gamma, beta)
print(
    f"x {x.shape} -> xhat {xhat.shape}: sums {xhat.sum(-1).round(9)}, lengths {np.linalg.norm(xhat, axis=-1).round(4)}"
)

u = np.array([[0.4, 1.6, 0.3]])  # the upstream gradient of the first token
dx, _, _ = layernorm_backward(u, cache._replace(xhat=xhat[:1], rstd=cache.rstd[:1]))
tangent = dx / cache.rstd[0]
print(f"u {u[0]} -> dx {dx[0].round(4)}: sum {dx.sum():.1e}, along xhat {(dx * xhat[0]).sum():.1e}")
assert abs(dx.sum()) < 1e-9 and abs((dx * xhat[0]).sum()) < 1e-5

across, up = np.array([1, -1, 0]) / np.sqrt(2), np.array([1, 1, -2]) / np.sqrt(6)  # axes of the plane
angle = np.linspace(0, 2 * np.pi, 100)
circle = np.sqrt(D) * (np.outer(np.cos(angle), across) + np.outer(np.sin(angle), up))

figure = new_figure(4.6)
left, right = figure.subfigures(1, 2)
space = left.add_subplot(projection="3d")
space.plot(*circle.T, color=BLUE)
space.plot(*np.outer([-1.2, 2.2], np.ones(D)).T, color=GREY, linestyle=":")
space.text(1.9, 1.9, 2.6, "(1, 1, 1)", color=GREY)
for start, plane, end in zip(x, x - x.mean(-1, keepdims=True), xhat):
    space.plot(*np.stack([start, plane, end]).T, color=GREY, linewidth=1)
space.scatter(*x.T, color=ORANGE, label="tokens x", depthshade=False)
space.scatter(*xhat.T, color=BLUE, label="normalised, xhat", depthshade=False)
space.set(xlabel="feature 1", ylabel="feature 2", zlabel="feature 3", xticks=[], yticks=[], zticks=[])
space.view_init(20, -15)
space.legend(loc="upper center", bbox_to_anchor=(0.5, -0.02), ncols=2, fontsize=10)
left.suptitle("forward: onto a plane, then onto a circle", fontsize=11)

flat = np.stack([across, up], axis=1)  # (D, 2)
plane = right.subplots()
plane.plot(*(circle @ flat).T, color=BLUE)
centre, foot = np.zeros(2), xhat[0] @ flat
pieces = (
    (u[0] - u[0].mean(), "u without its mean", ORANGE),
    (tangent[0], "what remains: dx / rstd", GREEN),
)
for vector, name, colour in pieces:
    head = foot + vector @ flat
    plane.annotate("", head, foot, arrowprops={"arrowstyle": "-|>", "color": colour, "linewidth": 2.5})
    plane.plot([], [], color=colour, linewidth=2.5, label=name)
ends = np.stack([foot + (u[0] - u[0].mean()) @ flat, foot + tangent[0] @ flat])
plane.plot(*ends.T, color=PURPLE, linestyle="--", label="removed: along xhat")
plane.plot(*np.stack([centre, foot]).T, color=GREY, linewidth=1)
plane.plot(*foot, "o", color=BLUE, markersize=9)
plane.annotate("xhat", foot, (-42, -20), textcoords="offset points", color=BLUE)
plane.set(aspect="equal", xticks=[], yticks=[], xlabel="the plane orthogonal to (1, 1, 1)")
plane.legend(loc="upper center", bbox_to_anchor=(0.5, -0.06), fontsize=10)
right.suptitle("backward: onto the same plane, then along the circle", fontsize=11)
save(figure, __file__)
