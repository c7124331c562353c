# cython: boundscheck=False, wraparound=False, cdivision=True
"""Swish as an activation for chainrule: g(z) = z s(z), g'(z) = s(z) + g(z) (1 - s(z)), with s(z) = 1 / (1 + exp(-z)).

The functions are exported by `api`: capsules in `__pyx_capi__`, named by their signatures, which chainrule reads. The
sigmoid is the engine's, which computes it by vectors; a loop over `exp` would take several times as long.

Source: P. Ramachandran, B. Zoph, Q. Le, "Searching for activation functions", 2017.
"""
import sys

import chainrule

from chainrule cimport native

cdef const native.chainrule_engine* engine = native.engine()


cdef api void forward_float32(ptrdiff_t n, const float* z, float* h, void* user) noexcept nogil:
    cdef ptrdiff_t i
    engine.sigmoid_float32(n, z, h)
    for i in range(n):
        h[i] = z[i] * h[i]


cdef api void backward_float32(
    ptrdiff_t n, const float* z, const float* h, const float* dh, float* dz, void* user
) noexcept nogil:
    cdef ptrdiff_t i
    engine.sigmoid_float32(n, z, dz)
    for i in range(n):
        dz[i] = dh[i] * (dz[i] + h[i] * (1 - dz[i]))


cdef api void forward_float64(ptrdiff_t n, const double* z, double* h, void* user) noexcept nogil:
    cdef ptrdiff_t i
    engine.sigmoid_float64(n, z, h)
    for i in range(n):
        h[i] = z[i] * h[i]


cdef api void backward_float64(
    ptrdiff_t n, const double* z, const double* h, const double* dh, double* dz, void* user
) noexcept nogil:
    cdef ptrdiff_t i
    engine.sigmoid_float64(n, z, dz)
    for i in range(n):
        dz[i] = dh[i] * (dz[i] + h[i] * (1 - dz[i]))


def swish():
    """Return the activation, for a layer `chainrule.Activation(swish())`."""
    exported = sys.modules[__name__].__pyx_capi__
    return chainrule.CustomActivation(
        [exported["forward_float32"], exported["forward_float64"]],
        [exported["backward_float32"], exported["backward_float64"]],
        name="swish",
    )
