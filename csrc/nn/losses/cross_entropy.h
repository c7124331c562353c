// CrossEntropy: the mean, or the sum, over rows of - sum over classes of y' log f, with f = softmax(p), or f = p.
//
//   y' = (1 - smoothing) y + smoothing / K      label smoothing: C. Szegedy et al., CVPR 2016; named in lecture [003]
#pragma once

#include "nn/losses/loss.h"
#include "nn/numbers.h"

namespace chainrule {

template <class T> class CrossEntropy final : public Loss<T> {
public:
  CrossEntropy(bool from_logits, double smoothing, Reduction reduction)
      : Loss<T>(reduction), from_logits_(from_logits), smoothing_(below_one("label_smoothing", smoothing)) {}

  bool takes_labels() const override { return true; }

  void evaluate(const Pass<T>& pass, const MatrixView<const T>& p, const Targets<T>& targets, const T* weight,
                T* row_loss, const MatrixView<T>& dp) const override {
    pass.kernels.cross_entropy(pass.team, from_logits_, smoothing_, p, targets, weight, this->row_scale(p.rows),
                               row_loss, dp);
  }

  std::optional<NarrowLoss> narrow(Index rows, Index) const override {
    if (!from_logits_) return {};
    return NarrowLoss{.cross_entropy = true, .smoothing = smoothing_, .element = {}, .scale = this->row_scale(rows)};
  }

private:
  bool from_logits_;
  double smoothing_;
};

} // namespace chainrule
