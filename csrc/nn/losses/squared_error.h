// SquaredError: c * sum over rows and outputs of (p - y)^2, in the four readings of the lectures.
//
//   c = 1, 1/2 (half), 1/n (mean), 1/(2n) (mean and half),   n = B * K elements
#pragma once

#include "nn/losses/loss.h"

namespace chainrule {

template <class T> class SquaredError final : public Loss<T> {
public:
  SquaredError(bool mean, bool half) : mean_(mean), half_(half) {}

  bool is_mean() const override { return mean_; }

  void evaluate(const Pass<T>& pass, MatrixView<const T> p, Targets<T> targets, const T* weight, T* row_loss,
                MatrixView<T> dp) const override {
    const double scale = (half_ ? 0.5 : 1.0) / (mean_ ? static_cast<double>(p.size()) : 1.0);
    pass.kernels.element_loss(pass.team, ElementLoss::squared_difference, p, targets.values, weight, scale, row_loss,
                              dp);
  }

private:
  bool mean_;
  bool half_;
};

} // namespace chainrule
