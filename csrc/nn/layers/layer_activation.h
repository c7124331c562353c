// LayerActivation: the activation of a layer, which may be one of single elements or softmax over a row.
#pragma once

#include <string>

#include "core/check.h"
#include "nn/pass.h"

namespace chainrule {

/// An activation of formulas/activations.h by its name; throws a message that lists the known names.
inline Activation activation_named(const std::string& name, double parameter) {
  std::string known;
  for (std::size_t i = 0; i < std::size(activation_names); ++i) {
    if (name == activation_names[i]) {
      check(parameter >= 0 && parameter <= 1e6, "the parameter of ", name, " must be 0 to 1e6; got ", parameter);
      return {static_cast<ActivationKind>(i), parameter};
    }
    known += std::string(activation_names[i]) + ", ";
  }
  fail("unknown activation \"", name, "\"; known are: ", known, "softmax");
}

struct LayerActivation {
  bool softmax = false;
  Activation element{}; // identity where softmax is set

  LayerActivation(const std::string& name, double parameter)
      : softmax(name == "softmax"), element(softmax ? Activation{} : activation_named(name, parameter)) {}

  bool is_identity() const { return !softmax && element.kind == ActivationKind::identity; }

  /// dz = dh g', in place of dh (B, out). Ends with a barrier if it wrote anything.
  template <class T> void backward(const Pass<T>& pass, MatrixView<const T> h, MatrixView<T> dh) const {
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
