"""Half precision kept inside float32.

Every float16 and bfloat16 value is also a float32 value, so such tensors lie exactly in `values`.
A server step computes in float32; afterwards these tensors are rounded to what the model can
hold, so that the committed version is the version that clients load. NumPy has no bfloat16: it
is the upper half of a float32, rounded to the nearest, ties to even, as torch does it.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32

from flnb.tensors.layout import Layout


def round_halves(layout: Layout, values: Float32[np.ndarray, " n"]) -> None:
    """Round every half-precision tensor in `values`, in place, to a value of its own dtype.

    Args:
        layout: Says which tensors are float16 or bfloat16.
        values: A writable vector of that layout. What is too large becomes infinite, as in torch.
    """
    for slot in layout.half_slots:
        part = values[slot.span]
        if slot.dtype == "float16":
            with np.errstate(over="ignore"):
                part[:] = part.astype(np.float16)
        else:
            _round_bfloat16(part)


def _round_bfloat16(part: Float32[np.ndarray, " n"]) -> None:
    bits = part.view(np.uint32)
    # Half of the dropped unit, less one bit if the kept part is even: ties go to even. A carry
    # into the exponent is right; only NaN would lose itself in it, and keeps its bits.
    rounded = (bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) & np.uint32(
        0xFFFF0000
    )
    np.copyto(bits, rounded, where=~np.isnan(part))
