// BinaryCrossEntropy: the mean over rows and outputs of - y log f - (1 - y) log(1 - f), with f = sigmoid(p), or f = p.
#pragma once

#include "nn/losses/loss.h"

namespace chainrule {

template <class T> class BinaryCrossEntropy final : public Loss<T> {
public:
  explicit BinaryCrossEntropy(bool from_logits)
      : formula_(from_logits ? ElementLoss::binary_cross_entropy_logits
                             : ElementLoss::binary_cross_entropy_probabilities) {}

  void evaluate(const Pass<T>& pass, MatrixView<const T> p, Targets<T> targets, const T* weight, T* row_loss,
                MatrixView<T> dp) const override {
    const double scale = 1 / static_cast<double>(p.size());
    pass.kernels.element_loss(pass.team, formula_, p, targets.values, weight, scale, row_loss, dp);
  }

private:
  ElementLoss formula_;
};

} // namespace chainrule
