// LayerActivation: the activation of a layer, which may be one of single elements or softmax over a row.
#pragma once

#include <string>

#include "core/named.h"
#include "nn/pass.h"

namespace chainrule {

/// An activation of formulas/activations.h by its name; throws a message that lists the known names.
inline Activation activation_named(const std::string& name, double parameter) {
  const auto kind = named<ActivationKind>(activation_names, "activation", name, "softmax");
  check(parameter >= 0 && parameter <= 1e6, "the parameter of ", name, " must be 0 to 1e6; got ", parameter);
  return {kind, parameter};
}

struct LayerActivation {
  bool softmax = false;
  Activation element{}; // identity where softmax is set

  LayerActivation(const std::string& name, double parameter)
      : softmax(name == "softmax"), element(softmax ? Activation{} : activation_named(name, parameter)) {}

  bool is_identity() const { return !softmax && element.kind == ActivationKind::identity; }

  /// What is left to do where a product has applied `element` already.
  template <class T> void finish(const Pass<T>& pass, const MatrixView<T>& h) const {
    if (!softmax) return;
    pass.team.barrier();
    pass.kernels.softmax_forward(pass.team, h, h);
  }

  /// dz = dh g', in place of dh (B, out). Ends with a barrier if it wrote anything.
  template <class T> void backward(const Pass<T>& pass, const MatrixView<const T>& h, const MatrixView<T>& dh) const {
    if (is_identity()) return;
    if (softmax) {
      pass.kernels.softmax_backward(pass.team, h, dh, dh);
    } else {
      pass.kernels.activation_backward(pass.team, element, h.data, dh.data, dh.data, dh.size());
    }
    pass.team.barrier();
  }
};

} // namespace chainrule
