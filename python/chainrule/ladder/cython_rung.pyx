# The rung of Cython: the loops of Numba's rung with the types written down, translated to C when chainrule is built. For
# which processor, nobody knew then: two numbers an instruction. problem.py has the letters and checks what comes in.
#
# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
import numpy as np
from libc.math cimport exp, log
from libc.stdint cimport int64_t

from chainrule.ladder.problem import Trained, checked


cdef void add(int64_t m, int64_t n, double c, const double* a, int64_t stride, const double* x,
              double* y) noexcept nogil:
    """y (n) <- y + c (a x) with a (m), in steps of a stride, and x (m, n), four rows of it at a time."""
    cdef int64_t i, j
    cdef double a0, a1, a2, a3
    for i in range(m // 4):
        a0, a1, a2, a3 = c * a[0], c * a[stride], c * a[2 * stride], c * a[3 * stride]
        for j in range(n):
            y[j] += a0 * x[j] + a1 * x[n + j] + a2 * x[2 * n + j] + a3 * x[3 * n + j]
        a, x = a + 4 * stride, x + 4 * n
    for i in range(m % 4):
        for j in range(n):
            y[j] += c * a[i * stride] * x[i * n + j]


cdef void descend(int64_t B, double[:, ::1] a, double[:, ::1] dz, double lr, double[:, ::1] W,
                  double[::1] b) noexcept nogil:
    """W (in, out) <- W - lr a^T dz and b (out) <- b - lr (sum of the rows of dz); a (B, in), dz (B, out)."""
    cdef int64_t d
    cdef double one = 1
    add(B, b.shape[0], -lr, &one, 0, &dz[0, 0], &b[0])
    for d in range(W.shape[0]):
        add(B, b.shape[0], -lr, &a[0, d], W.shape[0], &dz[0, 0], &W[d, 0])


def train(problem):
    """Train step by step, without the interpreter."""
    given = checked(problem)
    cdef const double[:, ::1] X = given.X
    cdef const int64_t[::1] labels = given.labels, order = given.order
    cdef double[:, ::1] W1 = given.parameters.W1, W2 = given.parameters.W2
    cdef double[::1] b1 = given.parameters.b1, b2 = given.parameters.b2, losses = np.zeros(given.epochs)
    cdef int64_t D = W1.shape[0], H = W1.shape[1], K = W2.shape[1], n = len(order), size = given.batch_size
    cdef double[:, ::1] x, h, dz1, dz2
    x, h, dz1, dz2 = (np.empty((size, width)) for width in (D, H, H, K))
    cdef int64_t epoch, step, B, i, row, y, j, k
    cdef double lr = given.lr, most, chosen, total, dh
    with nogil:
        for epoch in range(losses.shape[0]):
            for step in range((n + size - 1) // size):
                B = min(size, n - step * size)
                for i in range(B):
                    row, y = order[step * size + i], labels[order[step * size + i]]
                    x[i, :] = X[row, :]
                    h[i, :] = b1
                    add(D, H, 1, &x[i, 0], 1, &W1[0, 0], &h[i, 0])  # z1 = x W1 + b1
                    dz2[i, :] = b2
                    for j in range(H):
                        h[i, j] = max(h[i, j], 0)
                    add(H, K, 1, &h[i, 0], 1, &W2[0, 0], &dz2[i, 0])  # z2 = h W2 + b2
                    most, total = dz2[i, 0], 0
                    for k in range(1, K):
                        most = max(most, dz2[i, k])
                    chosen = dz2[i, y] - most
                    for k in range(K):
                        dz2[i, k] = exp(dz2[i, k] - most)
                        total += dz2[i, k]
                    for k in range(K):
                        dz2[i, k] = (dz2[i, k] / total - (k == y)) / B
                    for j in range(H):
                        dh = 0
                        for k in range(K):
                            dh += dz2[i, k] * W2[j, k]
                        dz1[i, j] = dh if h[i, j] > 0 else 0
                    losses[epoch] += (log(total) - chosen) / n
                descend(B, h, dz2, lr, W2, b2)
                descend(B, x, dz1, lr, W1, b1)
    return Trained(np.asarray(losses), given.parameters)
