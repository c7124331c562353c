"""An activation and a loss compiled by Numba: mish, z tanh(log(1 + exp(z))), and the log-cosh error.

Target: on a noisy sine the network comes within a mean absolute error of 0.1 of the true curve.

With t = tanh(log(1 + e^z)) and s = 1 / (1 + e^-z):   g = z t      g' = t + z s (1 - t^2)

Source: D. Misra, "Mish: a self regularized non-monotonic activation function", 2019.
"""

import sys

import numba
import numpy as np
from numba import types

import chainrule as cr

MOST_ERROR = 0.1


def compiled(number):
    """Return forward and backward for arrays of this type of Numba, which no lock of Python keeps back."""
    array = types.CPointer(number)

    @numba.cfunc(types.void(types.intp, array, array, types.voidptr), error_model="numpy")
    def mish(n, z, h, user):
        for i in range(n):
            e = np.exp(-abs(z[i]))  # of the negative: nothing overflows
            # tanh(log(1 + e^z)) without the logarithm: (a^2 - 1) / (a^2 + 1) with a = 1 + e^z.
            t = (1 + 2 * e) / (1 + 2 * e + 2 * e * e) if z[i] > 0 else e * (e + 2) / (e * (e + 2) + 2)
            h[i] = z[i] * t

    @numba.cfunc(types.void(types.intp, array, array, array, array, types.voidptr), error_model="numpy")
    def mish_back(n, z, h, dh, dz, user):
        for i in range(n):
            e = np.exp(-abs(z[i]))
            t = (1 + 2 * e) / (1 + 2 * e + 2 * e * e) if z[i] > 0 else e * (e + 2) / (e * (e + 2) + 2)
            s = 1 / (1 + e) if z[i] > 0 else e / (1 + e)
            dz[i] = dh[i] * (t + z[i] * s * (1 - t * t))

    return mish, mish_back


array = types.CPointer(types.float32)


@numba.cfunc(types.float64(types.intp, array, array, array, types.voidptr))
def log_cosh(outputs, p, y, dp, user):
    """Return the sum of log cosh(p - y) of a row: squared near the target, absolute far from it."""
    total = 0.0
    for j in range(outputs):
        d = p[j] - y[j]
        dp[j] = np.tanh(d)
        total += abs(d) + np.log1p(np.exp(-2 * abs(d))) - np.log(2.0)
    return total


# In float32, for the network below, and in float64. Signatures and derivatives are checked here.
forward, backward = zip(*(compiled(number) for number in (types.float32, types.float64)), strict=True)
mish = cr.CustomActivation(forward, backward, name="mish")

rng = np.random.default_rng(0)
x = rng.uniform(-3, 3, size=(400, 1))
y = np.sin(x) + rng.normal(scale=0.1, size=x.shape)
net = cr.Network([cr.Dense(32), cr.Activation(mish), cr.Dense(32), cr.Activation(mish), cr.Dense(1)], inputs=1, seed=0)
trainer = cr.Trainer(net, loss=cr.CustomLoss(log_cosh), optimizer=cr.Adam(0.01))
trainer.fit(x, y, epochs=100, batch_size=32, verbose=False)

grid = np.linspace(-3, 3, 101)[:, None]
error = np.abs(net.predict(grid) - np.sin(grid)).mean()
print(f"mean absolute error {error:.3f} with {mish.name}")
sys.exit(0 if error < MOST_ERROR else f"expected below {MOST_ERROR}")
