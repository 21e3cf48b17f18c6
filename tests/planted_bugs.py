"""Bugs to plant: in a module, a piece of text that occurs once, what to put in its place, and who must notice.

`test_planted_bugs.py` plants each and asks the checks of that operation to fail and to name the tensor. Among them is
every bug of this kind that shipped in the hand-written backward passes of others; those say "shipped".
"""

from typing import NamedTuple

from minivit.page import bugs as page


class Bug(NamedTuple):
    new: str
    row: str  # of the checker's table of operations and models; "optim" and "predict": see test_planted_bugs.py
    tensor: str  # that the failure must name


BUGS: dict[str, dict[str, list[Bug]]] = {  # module: {old: [bugs]}
    "ops.reductions": {
        "rows @ _filled(xp, D, weight, x.dtype)": [
            Bug("rows[:, 1:] @ _filled(xp, D - 1, weight, x.dtype)", "layernorm", "x"),
        ],
        "_weighted_rows(x, 1 / x.shape[-1])": [
            Bug("_weighted_rows(x, 1.0)", "layernorm", "x"),
        ],
        "xp.matmul(_filled(xp, rows.shape[0], 1.0, x.dtype), rows, out=out)": [
            Bug("xp.matmul(_filled(xp, rows.shape[0] - 1, 1.0, x.dtype), rows[1:], out=out)", "linear", "b"),
        ],
        "x, y)[..., None]": [
            Bug("x, x)[..., None]", "softmax", "x"),
        ],
    },
    "ops.linear": {
        "db = column_sums(drows, out=db) if has_bias": [
            # not summed over the batch
            Bug("db = drows if has_bias", "linear", "b"),
            Bug("db = drows.mean(0) if has_bias", "linear", "b"),
            Bug("db = -column_sums(drows, out=db) if has_bias", "linear", "b"),
            Bug("db = 0 * column_sums(drows, out=db) if has_bias", "linear", "b"),
        ],
        "dW = xp.matmul(rows.T, drows, out=dW)": [
            Bug("dW = -xp.matmul(rows.T, drows, out=dW)", "linear", "W"),
            Bug("dW = xp.matmul(rows.T, drows, out=dW) / len(rows)", "linear", "W"),
            Bug("dW = xp.matmul(rows[1:].T, drows[1:], out=dW)", "linear", "W"),
        ],
        "dx = drows @ W.T": [
            Bug("dx = -drows @ W.T", "linear", "x"),
            Bug("dx = drows @ (W.T / 2)", "linear", "x"),
            Bug("dx = drows @ W.T * float('nan')", "linear", "x"),
        ],
        "if not need_dx": [
            Bug("if need_dx", "linear", "x"),
        ],
        "return dx.reshape(x.shape), dW, db": [
            # shipped: the input, transposed, in place of the gradient
            Bug("return rows.T, dW, db", "linear", "x"),
            Bug("return dx.reshape(x.shape), dW.T, db", "linear", "W"),
        ],
        "    dW = xp.matmul(": [
            Bug("    rows *= 1.5\n    dW = xp.matmul(", "linear", "cache.x"),
        ],
    },
    "ops.layernorm": {
        "D / (dots + D * eps)": [
            Bug("(D - 1) / (dots + D * eps)", "layernorm", "x"),
        ],
        "xhat = x - row_means(x)": [
            Bug("xhat = x - row_means(x) / 2", "layernorm", "x"),
        ],
        "dbeta = column_sums(dy, out=dbeta)": [
            Bug("dbeta = column_sums(dy * gamma, out=dbeta)", "layernorm", "beta"),
            Bug("dbeta = dy.mean(tuple(range(dy.ndim - 1)))", "layernorm", "beta"),
        ],
        "dgamma = column_sums(dy * xhat, out=dgamma)": [
            Bug("dgamma = column_sums(dy * xhat * rstd, out=dgamma)", "layernorm", "gamma"),
            Bug("dgamma = column_sums(dy - xhat, out=dgamma)", "layernorm", "gamma"),
            # written over the gradient of beta, which was there already
            Bug("dgamma = column_sums(dy * xhat, out=dbeta)", "model, learned, cls", "norm.bias"),
        ],
        "u = dy * gamma": [
            Bug("u = dy * 1", "layernorm", "x"),
            Bug("u = dy / gamma", "layernorm", "x"),
        ],
        "row_dots(u, xhat) / -D": [
            Bug("row_dots(u, u) / -D", "layernorm", "x"),
            Bug("row_dots(u, xhat) / (1 - D)", "layernorm", "x"),
            Bug("row_dots(u, xhat)", "layernorm", "x"),
        ],
        "row_means(u)": [
            Bug("row_means(dy)", "layernorm", "x"),
        ],
        "dx = xhat * along": [
            Bug("dx = xhat * 0", "layernorm", "x"),
        ],
        "    dx += u  #": [
            Bug("    dx -= u  #", "layernorm", "x"),
            Bug("    dx += u * u  #", "layernorm", "x"),
        ],
        "dx -= mean": [
            Bug("dx += mean", "layernorm", "x"),
        ],
        "        dx *= rstd\n": [
            Bug("        dx *= rstd * rstd\n", "layernorm", "x"),
            Bug("        dx /= rstd\n", "layernorm", "x"),
            Bug("", "layernorm", "x"),
            Bug("        dx *= rstd\n        rstd *= 2\n", "layernorm", "cache.rstd"),
        ],
        "fused(projected, u, xhat, along, mean, rstd)": [
            # dy in place of gamma·dy
            Bug("fused(projected, dy, xhat, along, mean, rstd)", "layernorm", "x"),
        ],
    },
    "ops.gelu": {
        "slope = x * x\n": [
            Bug("slope = x + x\n", "gelu, erf", "x"),
        ],
        "slope *= -0.5  # (2)": [
            Bug("slope *= 0.5  # (2)", "gelu, erf", "x"),
            Bug("slope *= -1.0  # (2)", "gelu, erf", "x"),
        ],
        "xp.exp(slope, out=slope)": [
            Bug("xp.tanh(slope, out=slope)", "gelu, erf", "x"),
        ],
        "slope *= 1 / math.sqrt(2 * math.pi)": [
            Bug("slope *= 1 / math.sqrt(math.pi)", "gelu, erf", "x"),
        ],
        "slope *= 3 * cubic": [
            Bug("slope *= 2 * cubic", "gelu, tanh", "x"),
        ],
        "slope += linear": [
            Bug("slope -= linear", "gelu, tanh", "x"),
            Bug("slope += 2 * linear", "gelu, quick", "x"),
        ],
        "else (QUICK_LINEAR, 0.0)": [
            Bug("else (QUICK_LINEAR, TANH_CUBIC)", "gelu, quick", "x"),
        ],
        "cdf = 1 / reciprocal": [
            Bug("cdf = reciprocal", "gelu, erf", "x"),
        ],
        "slope *= cdf\n": [
            Bug("slope *= 2 * cdf\n", "gelu, tanh", "x"),
        ],
        "slope *= 1 - cdf": [
            # shipped: the square in the derivative is of the wrong thing
            Bug("slope *= 1 - cdf * cdf", "gelu, tanh", "x"),
            Bug("slope *= 1 + cdf", "gelu, tanh", "x"),
        ],
        "        slope *= x  # (1)\n": [
            Bug("", "gelu, erf", "x"),
            Bug("        slope *= -x\n", "gelu, erf", "x"),
        ],
        "slope += cdf": [
            Bug("slope -= cdf", "gelu, erf", "x"),
        ],
        "        slope += cdf\n": [
            Bug("", "gelu, erf", "x"),
        ],
        "slope *= dy": [
            Bug("slope *= abs(dy)", "gelu, erf", "x"),
        ],
        "        slope *= dy\n": [
            Bug("", "gelu, erf", "x"),
        ],
        "fused(slope_times, dy, x, reciprocal)": [
            Bug("fused(slope_times, dy, dy, reciprocal)", "gelu, erf", "x"),
        ],
        "return x / reciprocal, GeluCache(x, reciprocal, form)": [
            Bug("return x / reciprocal, GeluCache(x / reciprocal, reciprocal, form)", "gelu, erf", "x"),
        ],
    },
    "ops.normal_cdf": {
        "5.337741152913753": [
            Bug("5.337742152913753", "gelu, erf", "x"),
        ],
    },
    "ops.softmax": {
        "y /= sums": [
            Bug("y /= sums * sums", "softmax, fast", "x"),
        ],
        "y /= row_sums(y)": [
            Bug("y /= row_sums(x)", "softmax, maximum", "x"),
        ],
        "x.real.max(-1, keepdims=True)": [
            # shipped: the maximum along the wrong axis
            Bug("x.real.max(-2, keepdims=True)", "softmax, maximum", "x"),
        ],
        "dx = dy - dots": [
            Bug("dx = dy + dots", "softmax", "x"),
            Bug("dx = dy - 0", "softmax", "x"),
            Bug("dx = dy - dy.mean(-1, keepdims=True)", "softmax", "x"),
        ],
        "        dx *= y\n        return": [
            Bug("        return", "softmax", "x"),
            Bug("        dx *= y * y\n        return", "softmax", "x"),
            Bug("        dx *= -y\n        return", "softmax", "x"),
        ],
        "        dx *= y\n        return dx": [
            Bug("        y *= dx\n        return y", "softmax", "cache.y"),
        ],
        "fused(relative, dy, row_dots(dy, y), y)": [
            Bug("fused(relative, dy, row_dots(dy, dy), y)", "softmax", "x"),
        ],
    },
    "ops.attention": {
        "scores *= 1 / math.sqrt(Dh)": [
            Bug("scores *= 1", "dot_product", "q"),
            Bug("scores *= 1 / Dh", "dot_product", "k"),
        ],
        "xp.matmul(dropped.swapaxes(-1, -2), dy, out=dv)": [
            Bug("xp.matmul(dropped, dy, out=dv)", "dot_product", "v"),
        ],
        "xp.matmul(dropped.swapaxes(-1, -2), dy": [
            Bug("xp.matmul(-dropped.swapaxes(-1, -2), dy", "dot_product", "v"),
        ],
        "dropped.swapaxes(-1, -2), dy": [
            Bug("softmax.y.swapaxes(-1, -2), dy", "dot_product, mask", "v"),
        ],
        "ddropped = dy @ v.swapaxes(-1, -2)": [
            Bug("ddropped = dy @ k.swapaxes(-1, -2)", "dot_product", "q"),
            Bug("ddropped = v @ dy.swapaxes(-1, -2)", "dot_product", "k"),
        ],
        "softmax_backward(dropout_backward(ddropped, mask), softmax)": [
            Bug("softmax_backward(ddropped, softmax)", "dot_product, mask", "q"),
            Bug("dropout_backward(ddropped, mask)", "dot_product", "q"),
        ],
        "xp.matmul(dscores, k, out=dq)": [
            Bug("xp.matmul(dscores.swapaxes(-1, -2), k, out=dq)", "dot_product", "q"),
            Bug("xp.matmul(dscores, v, out=dq)", "dot_product", "q"),
        ],
        "xp.matmul(dscores.swapaxes(-1, -2), q, out=dk)": [
            Bug("xp.matmul(dscores.swapaxes(-1, -2), k, out=dk)", "dot_product", "k"),
        ],
        "dscores *= 1 / math.sqrt(q.shape[-1])": [
            Bug("dscores *= 1 / q.shape[-1]", "dot_product", "k"),
        ],
        "return dq, dk, dv\n": [
            Bug("return dk, dq, dv\n", "dot_product", "k"),
        ],
        "y, proj = linear_forward(joined, Wproj, bproj)": [
            # shipped: the output for the input
            Bug("y, proj = linear_forward(joined, Wproj, bproj)\n    proj = proj._replace(x=y)", "attention", "Wproj"),
        ],
        "djoined, dWproj, dbproj = linear_backward(dy, cache.proj, out[2:])": [
            Bug("_, dWproj, dbproj = linear_backward(dy, cache.proj, out[2:])\n    djoined = dy", "attention", "Wqkv"),
        ],
        "out=_heads(dqkv, heads, Tq))": [
            Bug("out=_heads(dqkv, heads, Tq)[::-1])", "attention", "Wqkv"),
        ],
        "dqkv[:, Tq:, :D] = 0": [
            Bug("dqkv[:, Tq:, :D] = 1", "attention, two queries", "Wqkv"),
            Bug("dqkv[:, :, :D] = 0", "attention, two queries", "Wqkv"),
        ],
        "return parts[:, :, 0, :queries], parts": [
            Bug("return parts[:, :, 0, -(queries or 0) :], parts", "attention, two queries", "x"),
        ],
        "dx, dWqkv, dbqkv = linear_backward(dqkv, cache.qkv, out[:2])": [
            # shipped: never through Wqkv
            Bug("dx, dWqkv, dbqkv = linear_backward(dqkv, cache.qkv, out[:2])\n    dx = djoined", "attention", "x"),
        ],
        "return dx, dWqkv, dbqkv, dWproj, dbproj": [
            Bug("return dx, dWqkv, dbqkv, dWproj.T, dbproj", "attention", "Wproj"),
        ],
    },
    "ops.mlp": {
        "dhidden = gelu_backward(dactive, cache.gelu)": [
            Bug("dhidden = dactive", "mlp", "W1"),
        ],
        "dactive, dW2, db2 = linear_backward(dy, cache.fc2, out[2:])": [
            Bug("dactive, dW2, db2 = linear_backward(-dy, cache.fc2, out[2:])", "mlp", "W2"),
        ],
        "dx, dW1, db1 = linear_backward(dhidden, cache.fc1, out[:2])": [
            Bug("dx, dW1, db1 = linear_backward(dactive, cache.fc1, out[:2])", "mlp", "b1"),
        ],
        "return dx, dW1, db1, dW2, db2": [
            Bug("return dx, dW1, db1, dW2, db1", "mlp", "b2"),
        ],
    },
    "ops.block": {
        "h = dropout_forward(branch, masks.attn_branch)[0]": [
            # shipped: the first image's attention for every image
            Bug("h = dropout_forward(branch, masks.attn_branch)[0][0] + 0 * x", "block", "x"),
        ],
        "branch, scale1 = layer_scale_forward(branch, scales[0])": [
            # the factors of the other branch
            Bug("branch, scale1 = layer_scale_forward(branch, scales[1])", "block, LayerScale", "gamma3"),
        ],
        "dbranch, dscale2 = layer_scale_backward(dbranch, cache.scales[1], scales[1])": [
            Bug("dscale2 = layer_scale_backward(dbranch, cache.scales[1], scales[1])[1]", "block, LayerScale", "W2"),
        ],
        "dbranch, dscale1 = layer_scale_backward(dbranch, cache.scales[0], scales[0])": [
            Bug(
                "dbranch, dscale1 = layer_scale_backward(dy, cache.scales[0], scales[0])",
                "block, LayerScale", "gamma3",
            ),
        ],
        "(dscale1, dscale2)": [
            Bug("(dscale2, dscale1)", "block, LayerScale", "gamma3"),
        ],
        "h += x[:, :queries]": [
            Bug("h += x[:, x.shape[1] - h.shape[1] :]", "block, two queries", "x"),
        ],
        "dbranch = dropout_backward(dy, cache.masks.mlp_branch)": [
            Bug("dbranch = dy", "block, dropout", "W2"),
        ],
        "dnormed, *dmlp = mlp_backward(dbranch, cache.mlp, mlp)": [
            Bug("dnormed, *dmlp = mlp_backward(dbranch, cache.mlp, mlp)\n    dnormed = dbranch", "block", "x"),
        ],
        "layernorm_backward(dnormed, cache.norm2, norm2)": [
            Bug("layernorm_backward(dnormed, cache.norm1, norm2)", "block", "x"),
            # written where norm1's gradient will be
            Bug("layernorm_backward(dnormed, cache.norm2, norm1)", "model, learned, cls", "blocks.0.norm2.weight"),
        ],
        "dh += dy": [
            Bug("dh -= dy", "block", "x"),
        ],
        "dbranch = dropout_backward(dh, cache.masks.attn_branch)": [
            Bug("dbranch = dropout_backward(dh, cache.masks.mlp_branch)", "block, dropout", "Wproj"),
        ],
        "dnormed, *dattn = attention_backward(dbranch, cache.attn, attn)": [
            Bug("dnormed, *dattn = attention_backward(dy, cache.attn, attn)", "block", "Wqkv"),
        ],
        "layernorm_backward(dnormed, cache.norm1, norm1)": [
            Bug("layernorm_backward(dbranch, cache.norm1, norm1)", "block", "gamma1"),
        ],
        "first += dh": [
            Bug("first += dy", "block", "x"),
            Bug("first += 0", "block", "x"),
        ],
        "first = dx[:, : dh.shape[1]]": [
            Bug("first = dx[:, dx.shape[1] - dh.shape[1] :]", "block, two queries", "x"),
        ],
    },
    "ops.layer_scale": {
        "dgamma = column_sums(dy * x, out=out)": [
            Bug("dgamma = column_sums(dy, out=out)", "layer_scale", "gamma"),
            Bug("dgamma = column_sums(dy * x, out=out) / len(x)", "layer_scale", "gamma"),
            Bug("dgamma = column_sums(dy * x * gamma, out=out)", "layer_scale", "gamma"),
        ],
        "return dy * gamma, dgamma": [
            Bug("return dy, dgamma", "layer_scale", "x"),
            Bug("return dy / gamma, dgamma", "layer_scale", "x"),
            Bug("return dy * gamma, -dgamma", "layer_scale", "gamma"),
        ],
    },
    "ops.dropout": {
        "return dy if mask is None else dy * mask": [
            Bug("return dy", "dropout", "x"),
            # shipped: another mask backward than forward
            Bug("return dy if mask is None else dy * mask[::-1]", "dropout", "x"),
            Bug("return dy if mask is None else dy * mask * mask", "dropout", "x"),
        ],
    },
    "ops.patches": {
        '"b c (h p) (w q) -> b (h w) (c p q)"': [
            # shipped: channels last taken for channels first
            Bug('"b c (h p) (w q) -> b (h w) (p q c)"', "patch_embed", "images"),
        ],
        '"b (h w) (c p q) -> b c (h p) (w q)"': [
            Bug('"b (w h) (c p q) -> b c (h p) (w q)"', "patch_embed", "images"),
        ],
        "linear_backward(dy, cache.linear, out, need_dx=pixels)": [
            Bug("linear_backward(dy[:, ::-1], cache.linear, out, need_dx=pixels)", "patch_embed", "W"),
            Bug("linear_backward(dy, cache.linear, out, need_dx=not pixels)", "patch_embed", "images"),
        ],
        "return dimages, dW, db": [
            Bug("return dimages, dW.T, db", "patch_embed", "W"),
        ],
        "dimages = unpatchify(dpatches,": [
            Bug("dimages = 0 * unpatchify(dpatches,", "patch_embed", "images"),
        ],
    },
    "ops.class_token": {
        "dy[:, :1].sum(0, keepdims=True, out=out)": [
            # shipped: the class token never learns
            Bug("0 * dy[:, :1].sum(0, keepdims=True, out=out)", "class_token", "token"),
            Bug("dy[:, :1]", "class_token", "token"),
            Bug("dy.sum((0, 1), keepdims=True, out=out)", "class_token", "token"),
        ],
        "return dy[:, 1:], dy": [
            Bug("return dy[:, :-1], dy", "class_token", "x"),
        ],
        "dx = xp.concatenate([dy[:, :place], dy[:, place + R :]], axis=1)": [
            Bug("dx = dy[:, R:]", "registers", "x"),
            Bug("dx = xp.concatenate([dy[:, :place], 0 * dy[:, place + R :]], axis=1)", "registers", "x"),
        ],
        "dy[:, place : place + R].sum(0, keepdims=True, out=out)": [
            Bug("dy[:, :R].sum(0, keepdims=True, out=out)", "registers", "registers"),
            Bug("dy[:, place : place + R].mean(0, keepdims=True, out=out)", "registers", "registers"),
            Bug("dy[:, place : place + R]", "registers", "registers"),
        ],
    },
    "ops.positions": {
        "return dy, dy.sum(0, keepdims=True, out=out)": [
            # shipped: not summed over the batch
            Bug("return dy, dy", "add_positions", "positions"),
            Bug("return dy, dy.mean(0, keepdims=True, out=out)", "add_positions", "positions"),
            Bug("return -dy, dy.sum(0, keepdims=True, out=out)", "add_positions", "x"),
        ],
    },
    "ops.resize": {
        "dx = cache.horizontal.T @ dy.reshape(B, new_rows, new_columns, D)": [
            Bug("dx = -cache.horizontal.T @ dy.reshape(B, new_rows, new_columns, D)", "resize", "x"),
            # the grid read column by column
            Bug("dx = cache.horizontal.T @ dy.reshape(B, new_columns, new_rows, D).swapaxes(1, 2)", "resize", "x"),
            # the shape of a transposed matrix with the values of one that is not
            Bug(
                "dx = cache.horizontal.reshape(columns, -1) @ dy.reshape(B, new_rows, new_columns, D)", "resize", "x"
            ),
        ],
        "dx = cache.vertical.T @ dx.reshape(B, new_rows, columns * D)": [
            Bug("dx = cache.vertical.reshape(rows, -1) @ dx.reshape(B, new_rows, columns * D)", "resize", "x"),
            Bug("dx = cache.vertical.T @ dx.reshape(B, new_rows, columns * D) / new_rows", "resize", "x"),
            Bug("dx = cache.vertical.T[::-1] @ dx.reshape(B, new_rows, columns * D)", "resize", "x"),
        ],
    },
    "ops.pool": {
        "dx[:, 0] = dy[:, :D]": [
            Bug("dx[:, -1] = dy[:, :D]", "pool, cls", "x"),
            Bug("dx[:] = dy[:, None, :D]", "pool, cls", "x"),
            Bug("dx[:, 0] = dy[:, -D:]", "pool, cls+patches", "x"),
        ],
        "dx[:, prefix:] = (dy[:, -D:] / (T - prefix))[:, None]": [
            Bug("dx[:, prefix:] = (dy[:, -D:] / T)[:, None]", "pool, patches", "x"),
            Bug("dx[:, prefix:] = (dy[:, :D] / (T - prefix))[:, None]", "pool, cls+patches", "x"),
            Bug("dx[:] = (dy[:, -D:] / (T - prefix))[:, None]", "pool, patches", "x"),
        ],
        "x[:, prefix:].sum(1)": [
            # class token and registers in the mean
            Bug("x.sum(1)", "pool, patches", "x"),
        ],
        "dx = xp.zeros((B, T, D), dy.dtype)": [
            Bug("dx = xp.ones((B, T, D), dy.dtype)", "pool, cls", "x"),
        ],
        "xp.broadcast_to((dy / T)[:, None], (B, T, D))": [
            Bug("xp.broadcast_to(dy[:, None], (B, T, D))", "pool, mean", "x"),
        ],
        "(dy / T)": [
            Bug("(dy / (T - 1))", "pool, mean", "x"),
        ],
    },
    "ops.loss": {
        "dlogits *= dloss / len(targets)": [
            # shipped: no 1/B
            Bug("dlogits *= dloss", "cross_entropy", "logits"),
            Bug("dlogits *= 1 / len(targets)", "cross_entropy", "logits"),
            Bug("dlogits *= dloss / targets.size", "cross_entropy", "logits"),
        ],
        "dlogits = probabilities - targets": [
            Bug("dlogits = targets - probabilities", "cross_entropy", "logits"),
            Bug("dlogits = probabilities - 1", "cross_entropy", "logits"),
            # shipped: writes into the cached probabilities
            Bug("dlogits = probabilities\n    dlogits -= targets", "cross_entropy", "cache.probabilities"),
        ],
        "* (1 - label_smoothing) + label_smoothing / K": [
            Bug("* (1 - label_smoothing)", "cross_entropy, smoothing", "logits"),
        ],
        "losses.mean()": [
            Bug("losses.sum()", "cross_entropy", "logits"),
        ],
    },
    "model": {
        "dx = head_backward(dlogits, head, grads)": [
            Bug("dx = head_backward(dlogits[::-1], head, grads)", "model, learned, cls", "head.weight"),
        ],
        "dx, *dhead = linear_backward(dx, cache, out)": [
            Bug("dx, *dhead = linear_backward(2 * dx, cache, out)", "model, learned, cls", "head.weight"),
        ],
        "dx, *dhead = mlp_backward(dx, cache, out)": [
            Bug(
                "dx, *dhead = mlp_backward(dx, cache, out)\n        dx = dx[::-1]",
                "model, MLP head", "norm.weight",
            ),
        ],
        'dx = pool_backward(dx, pool)  # (B, D) -> (B, T, D)\n        out = take(grads, "norm."': [
            Bug(
                'dx = pool_backward(dx[::-1], pool)\n        out = take(grads, "norm."',
                "model, learned, cls", "norm.weight",
            ),
        ],
        "dx, *dnorm = layernorm_backward(dx, norm, out)\n    else": [
            Bug(
                "_, *dnorm = layernorm_backward(dx, norm, out)\n    else",
                "model, learned, cls", "blocks.1.mlp.fc2.weight",
            ),
        ],
        "dx, *dnorm = layernorm_backward(dx, norm, out)\n        dx = pool_backward(dx, pool)": [
            # the norm before the pool on the way back, after it on the way up
            Bug(
                "_, *dnorm = layernorm_backward(dx, norm, out)\n        dx = pool_backward(dx, pool)",
                "model, norm after the pool", "blocks.1.mlp.fc2.weight",
            ),
        ],
        "in reversed(range(max(0, frozen - 1), config.depth))": [
            Bug("in range(config.depth)", "model, learned, mean", "blocks.0.norm1.weight"),
        ],
        "dx, *dparts = block_backward(dx, blocks[i], parts)": [
            Bug(
                "dx, *dparts = block_backward(dx, blocks[-1], parts)",
                "model, learned, mean", "blocks.0.mlp.fc1.weight",
            ),
        ],
        "zip(dparts, parts, strict=True)": [
            # norm2 receives the gradient of norm1
            Bug(
                "zip((*dparts[:2], dparts[0], *dparts[3:]), parts, strict=True)",
                "model, learned, cls", "blocks.0.norm2.weight",
            ),
        ],
        "parts = block_params(grads, i)": [
            Bug("parts = block_params(grads, 0)", "model, learned, cls", "blocks.1.norm1.weight"),
            # every block writes its MLP's gradient to block 0
            Bug(
                "parts = (*block_params(grads, i)[:3], block_params(grads, 0)[3], (None, None))",
                "model, learned, cls", "blocks.1.mlp.fc1.weight",
            ),
        ],
        "embed_backward(dx, embed, config, masks, grads, pixels)": [
            Bug("embed_backward(dx[::-1], embed, config, masks, grads, pixels)", "model, learned, cls", "images"),
        ],
    },
    "ops.patch_dropout": {
        "dx = xp.zeros(cache.shape, dy.dtype)": [
            Bug("dx = xp.ones(cache.shape, dy.dtype)", "patch_dropout", "x"),
        ],
        "dx[xp.arange(len(dy))[:, None], cache.kept] = dy": [
            Bug("dx[:, : dy.shape[1]] = dy", "patch_dropout", "x"),
            Bug("dx[xp.arange(len(dy))[:, None], cache.kept] = dy[::-1]", "patch_dropout", "x"),
            Bug("dx[xp.arange(len(dy))[:, None], cache.kept] = dy * dx.shape[1] / dy.shape[1]", "patch_dropout", "x"),
        ],
    },
    "embedding": {
        "dx, *dnorm = layernorm_backward(dx, cache.norm, out)": [
            Bug(
                "_, *dnorm = layernorm_backward(dx, cache.norm, out)", "model, norm before the blocks", "pos_embed"
            ),
        ],
        'dx, *dregisters = registers_backward(dx, cache.registers, out=grads["reg_token"])': [
            Bug(
                'dx = registers_backward(dx, cache.registers)[0]\n        dregisters = [0 * grads["reg_token"] + 1]',
                "model, registers", "reg_token",
            ),
        ],
        "dx = patch_dropout_backward(dx, cache.dropped)": [
            Bug("dx = 2 * patch_dropout_backward(dx, cache.dropped)", "model, patch dropout", "pos_embed"),
        ],
        "dx = dropout_backward(dx, masks.embed)": [
            Bug("pass", "model, dropout", "pos_embed"),
        ],
        'dx, *dpos = add_positions_backward(dx, out=grads["pos_embed"])': [
            Bug('dpos = [0 * grads["pos_embed"] + 1]', "model, learned, cls", "pos_embed"),
        ],
        'dx, *dtoken = class_token_backward(dx, out=grads["cls_token"])': [
            # shipped: the class token never learns
            Bug(
                'dx, _ = class_token_backward(dx)\n        dtoken = [0 * grads["cls_token"] + 1]',
                "model, learned, cls", "cls_token",
            ),
        ],
        "dimages, *dembed = patch_embed_backward(dx, cache.patches, out, pixels=pixels)": [
            Bug(
                "dimages, *dembed = patch_embed_backward(dx, cache.patches, out, pixels=pixels)\n"
                "    dimages = -dimages",
                "model, learned, cls", "images",
            ),
            Bug(
                "dimages, *dembed = patch_embed_backward(dx, cache.patches, out, pixels=not pixels)",
                "model, learned, cls", "images",
            ),
        ],
    },
    "parallel": {
        "vit_forward(params, to_device(inputs, device), config, keep_cache=False)": [
            # shipped: dropout stays on in evaluation
            Bug(
                "vit_forward(params, to_device(inputs, device), config,\n"
                "            draw_masks(config, len(inputs), generator(0, DROPOUT), inputs.dtype, device))",
                "predict", "probabilities",
            ),
        ],
        "list(pool.map(compute, own, sequential=alone))": [
            # shipped: the last images are left out
            Bug(
                "list(pool.map(compute, own, sequential=alone))[:-1]",
                "predict", "probabilities",
            ),
        ],
    },
    "muon": {
        "beta * some.of(momentum) + (1 - beta) * some.of(grads)": [
            Bug("some.of(momentum)", "optim", "matrices"),
            Bug("beta * some.of(momentum) + beta * some.of(grads)", "optim", "matrices"),
        ],
        "moves *= learning_rate * math.sqrt(max(moves.shape[1:]))": [
            Bug("moves *= learning_rate", "optim", "matrices"),
            Bug("moves *= learning_rate * math.sqrt(moves.shape[1])", "optim", "matrices"),
        ],
        "W *= 1 - some.rate * learning_rate * decay": [
            Bug("W *= 1 - decay", "optim", "matrices"),
            Bug("W *= 1 - learning_rate * decay", "optim", "matrices"),
        ],
        "W -= some.rate * move": [
            Bug("W -= move", "optim", "matrices"),
            Bug("W += some.rate * move", "optim", "matrices"),
        ],
        "start += some.n": [Bug("start += 1", "optim", "matrices")],
        'xp.sqrt(xp.einsum("nrc,nrc->n", X, X))': [Bug('xp.einsum("nrc,nrc->n", X, X)', "optim", "matrices")],
        "P = c * (XX @ XX)": [Bug("P = c * XX", "optim", "matrices")],
        "P += b * XX": [Bug("P -= b * XX", "optim", "matrices")],
        "pX += a * X": [Bug("pX += X", "optim", "matrices")],
    },
    "optim": {
        "state.step += 1": [
            # shipped: the step number stays at 1
            Bug("state.step = 1", "optim", "step"),
            Bug("state.step += 2", "optim", "step"),
        ],
        "m *= beta1": [
            Bug("m *= beta2", "optim", "m after step"),
        ],
        "m += (1 - beta1) * grads": [
            Bug("m += beta1 * grads", "optim", "m after step"),
            Bug("m += grads", "optim", "m after step"),
        ],
        "v *= beta2": [
            Bug("v *= beta1", "optim", "v after step"),
        ],
        "(1 - beta2) * (grads * grads)": [
            Bug("(1 - beta2) * abs(grads)", "optim", "v after step"),
            Bug("beta2 * (grads * grads)", "optim", "v after step"),
        ],
        "rms = xp.sqrt(v)": [
            Bug("rms = v.copy()", "optim", "params after step"),
        ],
        "rms *= of_v": [
            Bug("rms *= 1", "optim", "params after step"),
        ],
        "1 / math.sqrt(1 - beta2**state.step)": [
            Bug("1 / (1 - beta2**state.step)", "optim", "params after step"),
        ],
        "        rms += eps\n": [
            Bug("        rms += math.sqrt(eps)\n", "optim", "params after step"),
        ],
        "        rms += eps\n        move": [
            Bug("        move", "optim", "params after step"),
        ],
        "move = m / rms": [
            Bug("move = grads / rms", "optim", "params after step"),
        ],
        "learning_rate / (1 - beta1**state.step)": [
            Bug("learning_rate", "optim", "params after step"),
            Bug("learning_rate / (1 - beta1)", "optim", "params after step"),
        ],
        "move *= of_m": [
            Bug("pass", "optim", "params after step"),
        ],
        "move *= rates": [
            Bug("pass", "optim", "params after step"),
        ],
        "params *= 1 - decay * rate * rates": [
            Bug("params *= 1 - decay", "optim", "params after step"),
            Bug("params *= 1 - decay * rate", "optim", "params after step"),
            # decay that passes through the moments
            Bug("grads += decay * params", "optim", "params after step"),
        ],
        "params -= move": [
            Bug("params += move", "optim", "params after step"),
        ],
        "return xp.sqrt(xp.dot(vector, vector))": [
            Bug("return xp.dot(vector, vector)", "optim", "norm"),
        ],
        "limit / array_module(grads).maximum(before, limit)": [
            Bug("limit / before", "optim", "grads clipped"),
            Bug("1 / array_module(grads).maximum(before, limit)", "optim", "grads clipped"),
        ],
        "weight_decay if len(s) == 2 else 0.0": [
            Bug("weight_decay", "optim", "decay"),
            Bug("weight_decay if len(s) > 1 else 0.0", "optim", "decay"),
        ],
    },
}  # fmt: skip

# The dozen of the page are of `minivit/page/bugs.py`; here is who must notice each.
PAGE = {
    "loss-true-class": ("cross_entropy", "logits"),
    "linear-bias": ("linear", "b"),
    "gelu-product-rule": ("gelu, erf", "x"),
    "layernorm-mean": ("layernorm", "x"),
    "layernorm-stretch": ("layernorm", "x"),
    "softmax-diagonal": ("softmax", "x"),
    "attention-scale": ("dot_product", "q"),
    "attention-transpose": ("dot_product", "k"),
    "attention-heads": ("attention", "Wqkv"),
    "residual-skip": ("block", "x"),
    "positions-order": ("add_positions", "positions"),
    "patches-transpose": ("patch_embed", "images"),
}
for bug in page.BUGS:
    BUGS[bug.module].setdefault(bug.old, []).append(Bug(bug.new, *PAGE[bug.name]))
