// CrossEntropy: the mean over rows of - sum over classes of y log f, with f = softmax(p), or f = p.
#pragma once

#include "nn/losses/loss.h"

namespace chainrule {

template <class T> class CrossEntropy final : public Loss<T> {
public:
  explicit CrossEntropy(bool from_logits) : from_logits_(from_logits) {}

  bool takes_labels() const override { return true; }

  void evaluate(const Pass<T>& pass, MatrixView<const T> p, Targets<T> targets, const T* weight, T* row_loss,
                MatrixView<T> dp) const override {
    const double scale = 1 / static_cast<double>(p.rows);
    pass.kernels.cross_entropy(pass.team, from_logits_, p, targets, weight, scale, row_loss, dp);
  }

private:
  bool from_logits_;
};

} // namespace chainrule
