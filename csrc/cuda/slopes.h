// The way back through an activation of single elements: formulas/activations.h for a thread each. What activation.cu
// offers, and what a product queues behind itself that is asked for c g'(h).
#pragma once

#include "cuda/launch.h"
#include "cuda/number.h"
#include "formulas/activations.h"

namespace chainrule::cuda {

template <class T, class Formula> struct TimesSlope {
  Formula formula;
  const T *h, *dh;
  T* dz;
  __device__ void operator()(Index i) const { dz[i] = dh[i] * formula.slope(Number<T>(h[i])).v; }
};

/// dz = dh * g'(z), g' taken from the output h, n elements. dz may alias dh.
template <class T> void queue_slopes(Activation activation, const T* h, const T* dh, T* dz, Index n) {
  with_formula(activation, [&](auto formula) {
    for_elements("activation_backward", n, TimesSlope<T, decltype(formula)>{formula, h, dh, dz});
  });
}

} // namespace chainrule::cuda
