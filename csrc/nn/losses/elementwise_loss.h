// ElementwiseLoss: the sum over rows and outputs of a formula of formulas/losses.h, in any of its readings.
//
//   L = c * sum over the batch of l(p, y)      c = factor, factor / B or factor / (B K)
//
// The squared error's four readings in the lectures are factor 1 or 1/2, sum or mean: 1/2 sum (y - p)^2 [002], [004];
// 1/m sum (y - p)^2 [003], [004].
#pragma once

#include "nn/losses/loss.h"
#include "nn/numbers.h"

namespace chainrule {

template <class T> class ElementwiseLoss final : public Loss<T> {
public:
  ElementwiseLoss(const std::string& formula, double parameter, double factor, Reduction reduction)
      : Loss<T>(reduction), formula_{named<ElementLossKind>(element_loss_names, "loss", formula),
                                     representable<T>("the parameter of a loss", parameter)},
        factor_(representable<T>("the factor of a loss", factor)) {
    // A quantile, or a share of smoothing; only Huber's distance may be above 1.
    check(parameter <= 1 || formula_.kind == ElementLossKind::huber, "the parameter of ", formula,
          " must be at most 1; got ", parameter);
  }

  void evaluate(const Pass<T>& pass, const MatrixView<const T>& p, const Targets<T>& targets, const T* weight,
                T* row_loss, const MatrixView<T>& dp) const override {
    pass.kernels.element_loss(pass.team, formula_, p, targets.values, weight, scale(p.rows, p.cols), row_loss, dp);
  }

  std::optional<NarrowLoss> narrow(Index rows, Index outputs) const override {
    return NarrowLoss{.element = formula_, .scale = scale(rows, outputs)};
  }

private:
  double scale(Index rows, Index outputs) const {
    const Reduction over = this->reduction();
    const Index count = over == Reduction::sum ? 1 : over == Reduction::mean ? rows * outputs : rows;
    return factor_ / static_cast<double>(count);
  }

  ElementLoss formula_;
  double factor_;
};

} // namespace chainrule
