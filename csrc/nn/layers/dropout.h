// Dropout, inverted: in training each element is dropped with probability `rate` and the others are scaled up, so
// that the expected output is the input and prediction needs no correction.
//
//   training    h = x * mask / (1 - rate),  P(mask = 0) = rate        dx = dh * mask / (1 - rate)
//   prediction  h = x
//
// The mask is counted by seed, layer and step, so backward recomputes what forward used. Source: N. Srivastava et
// al., JMLR 15 (2014), in the scaling that libraries use; lecture [000] names it among the regularisers.
#pragma once

#include "core/check.h"
#include "nn/layers/layer.h"

namespace chainrule {

template <class T> class Dropout final : public Layer<T> {
public:
  explicit Dropout(double rate) : rate_(rate) {
    check(rate >= 0 && rate < 1, "rate must be at least 0 and below 1; got ", rate);
  }

  const char* kind() const override { return "Dropout"; }
  Index outputs(Index inputs) const override { return inputs; }

  void forward(const Pass<T>& pass, const LayerPlace<T>& place, MatrixView<const T> x, MatrixView<T> h) const override {
    pass.kernels.dropout(pass.team, stream(pass, place), pass.training ? rate_ : 0, x.data, h.data, h.size());
  }

  void backward(const Pass<T>& pass, const LayerPlace<T>& place, MatrixView<const T>, MatrixView<const T>,
                MatrixView<T> dh, MatrixView<T> dx) const override {
    if (dx.data == nullptr) return;
    pass.kernels.dropout(pass.team, stream(pass, place), rate_, dh.data, dx.data, dx.size());
  }

private:
  static Stream stream(const Pass<T>& pass, const LayerPlace<T>& place) {
    return {pass.seed, Purpose::dropout, place.number, pass.step};
  }

  double rate_;
};

} // namespace chainrule
