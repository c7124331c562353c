# cython: boundscheck=False, wraparound=False, cdivision=True
"""A gatherer of pictures: bytes become floats batch by batch, and the engine predicts each, without Python in between.

A data set of pictures in bytes has a quarter of the memory that it would have in float32. It is never turned into
floats whole: a batch at a time is gathered, scaled, and handed to the engine (chainrule/engine.h).
"""
from libc.stdint cimport int32_t, uint8_t

import numpy as np

from chainrule cimport native

# Rows of a batch: with a few hundred columns they stay in the second-level cache.
cdef enum:
    BATCH = 256


cdef void gather(
    const uint8_t* pictures, const int32_t* rows, ptrdiff_t count, ptrdiff_t pixels, float scale, float* x
) noexcept nogil:
    """Write x (count, pixels) = scale * the pictures of these rows."""
    cdef ptrdiff_t i, j
    cdef const uint8_t* picture
    for i in range(count):
        picture = pictures + rows[i] * pixels
        for j in range(pixels):
            x[i * pixels + j] = scale * picture[j]


def predicted_classes(net, const uint8_t[:, ::1] pictures, const int32_t[::1] rows, double scale=1.0 / 255.0):
    """Return the class with the greatest output for some rows of `pictures` (N, pixels), (len(rows),).

    Parameters
    ----------
    net : chainrule.Network
        Of float32, with an input for each pixel.
    pictures : array of uint8 (N, pixels)
    rows : array of int32
        Which pictures.
    scale : float, default 1/255
        What a byte is multiplied by.
    """
    cdef const native.chainrule_engine* engine = native.engine()
    handle = net.core.handle()  # keeps the network
    cdef native.chainrule_network* network = native.network(handle)
    cdef ptrdiff_t pixels = pictures.shape[1], outputs = engine.outputs(network), total = rows.shape[0]
    if engine.inputs(network) != pixels:
        raise ValueError(f"pictures must have {engine.inputs(network)} pixels; they have {pixels}")
    if total and not 0 <= np.min(rows) <= np.max(rows) < pictures.shape[0]:
        raise ValueError(f"rows must be 0 to {pictures.shape[0] - 1}")
    cdef float[:, ::1] x = np.empty((BATCH, pixels), np.float32)
    cdef float[:, ::1] p = np.empty((BATCH, outputs), np.float32)
    found = np.empty(total, np.int32)
    cdef int32_t[::1] classes = found
    cdef ptrdiff_t first = 0, count, i, j, best
    cdef int failed = 0
    if total == 0:
        return found
    with nogil:
        while first < total:
            count = min(<ptrdiff_t> BATCH, total - first)
            gather(&pictures[0, 0], &rows[first], count, pixels, <float> scale, &x[0, 0])
            failed = engine.predict_float32(network, count, &x[0, 0], &p[0, 0])
            if failed:
                break
            for i in range(count):
                best = 0
                for j in range(1, outputs):
                    if p[i, j] > p[i, best]:
                        best = j
                classes[first + i] = <int32_t> best
            first += count
    if failed:
        raise RuntimeError(engine.error().decode())
    return found
