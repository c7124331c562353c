// AdaGrad: the gradient over the root of the sum of all its squares so far (formulas/updates.h). J. Duchi et al., JMLR
// 12 (2011).
#pragma once

#include "nn/optimizers/optimizer.h"

namespace chainrule {

template <class T> class AdaGrad final : public Optimizer<T> {
public:
  AdaGrad(double rate, double epsilon, bool epsilon_inside)
      : Optimizer<T>(rate), epsilon_(positive<T>("eps", epsilon)),
        rule_(epsilon_inside ? UpdateRule::adagrad_epsilon_inside : UpdateRule::adagrad) {}

  UpdateRule rule() const override { return rule_; }

private:
  UpdateNumbers numbers(std::uint64_t) const override { return {.epsilon = epsilon_}; }

  double epsilon_;
  UpdateRule rule_;
};

} // namespace chainrule
