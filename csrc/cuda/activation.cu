// Activations of one element, forward and backward, on the GPU: formulas/activations.h for a thread each.
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

void list_activation(Device& device) {
  device.float32.activation_forward = activation_forward<float>;
  device.float64.activation_forward = activation_forward<double>;
  device.float32.activation_backward = activation_backward<float>;
  device.float64.activation_backward = activation_backward<double>;
}

} // namespace chainrule::cuda
