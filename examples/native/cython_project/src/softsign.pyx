# cython: boundscheck=False, wraparound=False, cdivision=True
"""Softsign as an activation for chainrule: g(z) = z / (1 + |z|), g'(z) = (1 - |g(z)|)^2.

The functions are exported by `api`: capsules in `__pyx_capi__`, named by their signatures, which chainrule reads.

Source: J. Bergstra et al., "Quadratic polynomials learn better image features", 2009.
"""
from libc.math cimport fabs, fabsf

import sys

import chainrule



cdef api void forward_float32(ptrdiff_t n, const float* z, float* h, void* user) noexcept nogil:
    cdef ptrdiff_t i
    for i in range(n):
        h[i] = z[i] / (1 + fabsf(z[i]))


cdef api void backward_float32(
    ptrdiff_t n, const float* z, const float* h, const float* dh, float* dz, void* user
) noexcept nogil:
    cdef ptrdiff_t i
    for i in range(n):
        dz[i] = dh[i] * (1 - fabsf(h[i])) * (1 - fabsf(h[i]))


cdef api void forward_float64(ptrdiff_t n, const double* z, double* h, void* user) noexcept nogil:
    cdef ptrdiff_t i
    for i in range(n):
        h[i] = z[i] / (1 + fabs(z[i]))


cdef api void backward_float64(
    ptrdiff_t n, const double* z, const double* h, const double* dh, double* dz, void* user
) noexcept nogil:
    cdef ptrdiff_t i
    for i in range(n):
        dz[i] = dh[i] * (1 - fabs(h[i])) * (1 - fabs(h[i]))


def softsign():
    """Return the activation, for a layer `chainrule.Activation(softsign())`."""
    exported = sys.modules[__name__].__pyx_capi__
    return chainrule.CustomActivation(
        [exported["forward_float32"], exported["forward_float64"]],
        [exported["backward_float32"], exported["backward_float64"]],
        name="softsign",
    )
