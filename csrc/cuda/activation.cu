// Activations of one element, forward and backward, on the GPU: formulas/activations.h for a thread each.
#include "cuda/launch.h"
#include "cuda/number.h"
#include "cuda/operations.h"
#include "cuda/slopes.h"

namespace chainrule::cuda {
namespace {

template <class T, class Formula> struct Forward {
  Formula formula;
  const T* z;
  T* h;
  __device__ void operator()(Index i) const { h[i] = formula.value(Number<T>(z[i])).v; }
};

template <class T, class Formula> struct Backward {
  Formula formula;
  const T *h, *dh;
  T* dz;
  __device__ void operator()(Index i) const { dz[i] = dh[i] * formula.slope(Number<T>(h[i])).v; }
};

template <class T> void activation_forward(const Team&, Activation activation, const T* z, T* h, Index n) {
  with_formula(activation, [&](auto formula) {
    for_elements("activation_forward", n, Forward<T, decltype(formula)>{formula, z, h});
  });
}

template <class T>
void activation_backward(const Team&, Activation activation, const T* h, const T* dh, T* dz, Index n) {
  queue_slopes(activation, h, dh, dz, n);
}

} // namespace

template <class T> void queue_slopes(Activation activation, const T* h, const T* dh, T* dz, Index n) {
  with_formula(activation, [&](auto formula) {
    for_elements("activation_backward", n, Backward<T, decltype(formula)>{formula, h, dh, dz});
  });
}
template void queue_slopes(Activation, const float*, const float*, float*, Index);
template void queue_slopes(Activation, const double*, const double*, double*, Index);

void list_activation(Device& device) {
  device.float32.activation_forward = activation_forward<float>;
  device.float64.activation_forward = activation_forward<double>;
  device.float32.activation_backward = activation_backward<float>;
  device.float64.activation_backward = activation_backward<double>;
}

} // namespace chainrule::cuda
