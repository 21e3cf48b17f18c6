"""A dozen bugs of hand-written backward passes, to be found: a sign, a missing term, a swapped transpose.

Each is a line of `minivit.ops` and another text for it. `record(..., bug=bug)` runs the passes of copied modules with
it (`learn/copies.py`), and `Tape.disagreements` finds the gradients that differ from their finite differences. Several
of them have shipped in the code of others; the tests plant them, too.
"""

from ..learn import Bug

BUGS = (
    Bug(
        name="loss-true-class",
        title="cross-entropy forgets that the true class is different",
        module="ops.loss",
        old="dlogits = probabilities - targets",
        new="dlogits = probabilities * (1 - targets)",
        hint="The gradient of the logits sums to zero.",
        reason=(
            "The gradient is prediction minus target. Here the true class receives 0 in place of p - 1, so nothing "
            "pushes its logit up. Everything below the logits receives a wrong gradient."
        ),
    ),
    Bug(
        name="linear-bias",
        title="the bias receives the gradient of the first token only",
        module="ops.linear",
        old="db = column_sums(drows, out=db) if has_bias",
        new="db = drows[0] if has_bias",
        hint="A parameter that every token uses.",
        reason=(
            "The bias is added to every row, so its gradient is a sum over all rows, not the first of them. Only the "
            "biases of linear layers are wrong. Where the first row is the only one with a gradient, as at the head, "
            "its bias is right."
        ),
    ),
    Bug(
        name="gelu-product-rule",
        title="GELU's slope lacks one term of the product rule",
        module="ops.gelu",
        old="slope += cdf",
        new="slope += 0",
        hint="y = x·Φ(x) holds x twice.",
        reason=(
            "The slope of x·Φ(x) is Φ(x) + x·Φ'(x), and Φ(x) is missing. In every block the gradient of the hidden "
            "features is wrong, and all that is below."
        ),
    ),
    Bug(
        name="layernorm-mean",
        title="LayerNorm does not take the mean out of the gradient",
        module="ops.layernorm",
        old="dx -= mean",
        new="dx -= 0",
        hint="Adding one constant to a token changes nothing: what must its gradient sum to?",
        reason=(
            "x - mean(x) subtracts an average in the forward pass, so the gradient loses its average on the way "
            "back. Without that its sum over a token's features is not zero."
        ),
    ),
    Bug(
        name="layernorm-stretch",
        title="LayerNorm adds the projection on xhat in place of subtracting it",
        module="ops.layernorm",
        old="row_dots(u, xhat) / -D",
        new="row_dots(u, xhat) / D",
        hint="Stretching a token changes almost nothing: what is the product of its gradient with xhat?",
        reason=(
            "The standard deviation depends on every feature, which takes the component along xhat out of the "
            "gradient. With the wrong sign it is doubled."
        ),
    ),
    Bug(
        name="softmax-diagonal",
        title="softmax uses the diagonal of its Jacobian only",
        module="ops.softmax",
        old="dx = dy - dots",
        new="dx = dy * (1 - y)",
        hint="A constant added to a row of scores changes nothing: what must their gradient sum to?",
        reason=(
            "Every weight depends on every score of its row, through the sum. y·dy·(1 - y) is the slope of a weight "
            "with its own score; the others are missing, and the rows do not sum to zero."
        ),
    ),
    Bug(
        name="attention-scale",
        title="attention forgets 1/sqrt(Dh) on the way back",
        module="ops.attention",
        old="dscores *= 1 / math.sqrt(q.shape[-1])",
        new="dscores *= 1",
        hint="The gradients of two tensors are too large by the same factor.",
        reason=(
            "The scores are q @ kᵀ / sqrt(Dh), and a factor of the forward pass is a factor of the backward pass. "
            "Queries and keys receive sqrt(Dh) times too much; the values are right."
        ),
    ),
    Bug(
        name="attention-transpose",
        title="the gradient of the keys lacks a transpose",
        module="ops.attention",
        old="xp.matmul(dscores.swapaxes(-1, -2), q, out=dk)",
        new="xp.matmul(dscores, q, out=dk)",
        hint="A matrix that is square for every head, so that no shape complains.",
        reason=(
            "scores = q @ kᵀ gives dk = dscoresᵀ @ q. Without the transpose a key receives what belongs to the query "
            "at its place. Queries and values are right."
        ),
    ),
    Bug(
        name="attention-heads",
        title="the heads are split wrongly on the way back",
        module="ops.attention",
        old="djoined.reshape(B, Tq, heads, D // heads).swapaxes(1, 2)",
        new="djoined.reshape(B, heads, Tq, D // heads)",
        hint="Same shape, same numbers, another order.",
        reason=(
            "The columns hold head after head, so the split must name the heads in the last axis and then swap. The "
            "shorter reshape has the right shape and mixes tokens with heads."
        ),
    ),
    Bug(
        name="residual-skip",
        title="the skip connection around the MLP is left out of the gradient",
        module="ops.block",
        old="dh += dy",
        new="dh += 0",
        hint="A tensor that is read twice receives two gradients.",
        reason=(
            "h feeds the MLP and the sum behind it, so its gradient is that of the branch plus dy. Without dy the "
            "identity path through the stack is cut, and gradients shrink from block to block."
        ),
    ),
    Bug(
        name="positions-order",
        title="the positions receive the gradients of the tokens in reverse",
        module="ops.positions",
        old="dy.sum(0, keepdims=True, out=out)",
        new="dy[:, ::-1].sum(0, keepdims=True, out=out)",
        hint="One parameter, and nothing else.",
        reason=(
            "Position t is added to token t, so it receives the gradient of token t. Only the parameter is wrong: the "
            "gradient goes on to the tokens unchanged."
        ),
    ),
    Bug(
        name="patches-transpose",
        title="every patch is transposed on its way back to the pixels",
        module="ops.patches",
        old='"b (h w) (c p q) -> b c (h p) (w q)"',
        new='"b (h w) (c q p) -> b c (h p) (w q)"',
        hint="The very end of the backward pass.",
        reason=(
            "The pixels of a patch are laid out row by row, and their gradients must go back to the places they came "
            "from. No parameter is wrong, so training would never show it."
        ),
    ),
)
