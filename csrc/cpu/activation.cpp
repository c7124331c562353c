// Activations of one element, forward and backward: the loops around formulas/activations.h.
#include "cpu/operations.h"
#include "cpu/vector_math.h"

namespace chainrule::cpu::CHAINRULE_ISA {
namespace {

template <class T> void activation_forward(const Team& team, Activation activation, const T* z, T* h, Index n) {
  with_formula(activation, [&](auto formula) {
    each_vector<T>(team.share(n, line_elements<T>),
                   [&](Index i, auto part) { store(formula.value(load(z + i, part)), h + i, part); });
  });
}

template <class T>
void activation_backward(const Team& team, Activation activation, const T* h, const T* dh, T* dz, Index n) {
  with_formula(activation, [&](auto formula) {
    each_vector<T>(team.share(n, line_elements<T>), [&](Index i, auto part) {
      store(load(dh + i, part) * formula.slope(load(h + i, part)), dz + i, part);
    });
  });
}

} // namespace

void list_activation(Device& device) {
  device.float32.activation_forward = activation_forward<float>;
  device.float64.activation_forward = activation_forward<double>;
  device.float32.activation_backward = activation_backward<float>;
  device.float64.activation_backward = activation_backward<double>;
}

} // namespace chainrule::cpu::CHAINRULE_ISA
