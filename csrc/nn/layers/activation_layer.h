// ActivationLayer: an activation as a layer of its own, for where it does not directly follow a Dense layer.
//
//   forward    h = g(x)          backward   dx = dh * g'(x)
#pragma once

#include "nn/layers/layer.h"
#include "nn/layers/layer_activation.h"

namespace chainrule {

template <class T> class ActivationLayer final : public Layer<T> {
public:
  explicit ActivationLayer(LayerActivation activation) : activation_(activation) {}

  const char* kind() const override { return "Activation"; }
  Index outputs(Index inputs) const override { return inputs; }

  void forward(const Pass<T>& pass, const LayerPlace<T>&, const MatrixView<const T>& x,
               const MatrixView<T>& h) const override {
    if (activation_.softmax) {
      pass.kernels.softmax_forward(pass.team, x, h);
    } else {
      pass.kernels.activation_forward(pass.team, activation_.element, x.data, h.data, h.size());
    }
  }

  void backward(const Pass<T>& pass, const LayerPlace<T>&, const MatrixView<const T>&, const MatrixView<const T>& h,
                const MatrixView<T>& dh, const MatrixView<T>& dx) const override {
    if (dx.data == nullptr) return;
    if (activation_.softmax) {
      pass.kernels.softmax_backward(pass.team, h, dh, dx);
    } else {
      pass.kernels.activation_backward(pass.team, activation_.element, h.data, dh.data, dx.data, dx.size());
    }
  }

private:
  LayerActivation activation_;
};

} // namespace chainrule
