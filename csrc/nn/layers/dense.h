// Dense: every output is connected to every input.
//
//   forward    z = x W + b           h = g(z)
//   backward   dz = dh * g'(z)
//              dW = x^T dz           db = sum of dz over rows        dx = dz W^T
//
// x (B, in), W (in, out), b (out), z and h (B, out). The activation is part of the layer so that it happens where
// the product is stored. Lecture [004] writes W as (out, in) and h = W x; ours is the transpose, rows are samples.
#pragma once

#include "nn/layers/layer.h"
#include "nn/layers/layer_activation.h"

namespace chainrule {

template <class T> class Dense final : public Layer<T> {
public:
  Dense(Index units, LayerActivation activation, bool bias, Initializer weight_init, Initializer bias_init)
      : units_(units), activation_(activation), bias_(bias), weight_init_(weight_init), bias_init_(bias_init) {
    check(units >= 1 && units < Index{1} << 31, "units must be 1 to 2147483647; got ", units);
  }

  const char* kind() const override { return "Dense"; }
  Index outputs(Index) const override { return units_; }

  std::vector<Parameter> parameters(Index inputs) const override {
    std::vector<Parameter> list{{"weight", {inputs, units_}, false, weight_init_, inputs, units_}};
    if (bias_) list.push_back({"bias", {units_}, true, bias_init_, inputs, units_});
    return list;
  }

  void forward(const Pass<T>& pass, const LayerPlace<T>& place, MatrixView<const T> x, MatrixView<T> h) const override {
    const MatrixView<const T> weight = dense_view<const T>(place.parameters, x.cols, units_);
    const T* bias = bias_ ? place.parameters + bias_offset(x.cols) : nullptr;
    pass.kernels.matmul(pass.team, {x}, {weight}, h, Write::overwrite, {bias, activation_.element});
    if (activation_.softmax) {
      pass.team.barrier();
      pass.kernels.softmax_forward(pass.team, h, h);
    }
  }

  void backward(const Pass<T>& pass, const LayerPlace<T>& place, MatrixView<const T> x, MatrixView<const T> h,
                MatrixView<T> dh, MatrixView<T> dx) const override {
    activation_.backward(pass, h, dh);
    const MatrixView<const T> dz = dh;
    const MatrixView<const T> weight = dense_view<const T>(place.parameters, x.cols, units_);
    const MatrixView<T> dweight = dense_view<T>(place.gradients, x.cols, units_);
    pass.kernels.matmul(pass.team, {x, true}, {dz}, dweight, pass.gradients, {});
    if (bias_) pass.kernels.column_sum(pass.team, dz, place.gradients + bias_offset(x.cols), pass.gradients);
    if (dx.data != nullptr) pass.kernels.matmul(pass.team, {dz}, {weight, true}, dx, Write::overwrite, {});
  }

private:
  /// The bias follows the weight, at the next cache line.
  Index bias_offset(Index inputs) const { return arena_extent<T>(inputs * units_); }

  Index units_;
  LayerActivation activation_;
  bool bias_;
  Initializer weight_init_, bias_init_;
};

} // namespace chainrule
