// Standardize: each column brought to mean 0 and deviation 1 by figures of the training rows, which are given and not
// learned.
//
//   forward    h = (x - mean) / scale      written (x - mean) * inverse_scale: one quotient a column, not one a number
//   backward   dx = dh * inverse_scale
//
// x, h (B, in), all else (in). Until the figures are given inverse_scale is 0, and so is h; Python does not let it come
// to that. Nothing here measures them: chainrule/standardize.py does, in double precision. Source: lecture [001].
#pragma once

#include "nn/layers/layer.h"

namespace chainrule {

template <class T> class Standardize final : public Layer<T> {
public:
  const char* kind() const override { return "Standardize"; }
  Index outputs(Index inputs) const override { return inputs; }
  std::vector<Parameter> parameters(Index inputs) const override {
    const Initializer zero("constant", 0), one("constant", 1);
    // What a normalization has besides: the variance that divides by 1, and the shift by 0.
    return {{"mean", {inputs}, Role::statistic, zero},
            {"inverse_scale", {inputs}, Role::statistic, zero},
            {"ones", {inputs}, Role::constant, one},
            {"zeros", {inputs}, Role::constant, zero}};
  }

  void forward(const Pass<T>& pass, const LayerPlace<T>& place, const MatrixView<const T>& x,
               const MatrixView<T>& h) const override {
    const Arrays a = arrays(place, x.cols);
    pass.kernels.normalize_forward(pass.team, x, a.mean, a.ones, 0, a.inverse_scale, a.zeros, h);
  }

  void backward(const Pass<T>& pass, const LayerPlace<T>& place, const MatrixView<const T>& x,
                const MatrixView<const T>&, const MatrixView<T>& dh, const MatrixView<T>& dx) const override {
    if (dx.data == nullptr) return;
    const Arrays a = arrays(place, x.cols);
    pass.kernels.normalize_backward(pass.team, x, a.mean, a.ones, 0, a.inverse_scale, dh, false, pass.gradients,
                                    nullptr, nullptr, dx);
  }

private:
  struct Arrays {
    const T *mean, *inverse_scale, *ones, *zeros;
  };
  static Arrays arrays(const LayerPlace<T>& place, Index width) {
    const Index extent = arena_extent<T>(width);
    const T* mean = place.parameters;
    return {mean, mean + extent, mean + 2 * extent, mean + 3 * extent};
  }
};

} // namespace chainrule
