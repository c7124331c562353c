// Adam: a running mean of gradients over the root of a running mean of their squares (formulas/updates.h).
#pragma once

#include <cmath>

#include "nn/optimizers/optimizer.h"

namespace chainrule {

template <class T> class Adam final : public Optimizer<T> {
public:
  Adam(double rate, double beta1, double beta2, double epsilon, bool bias_correction, bool epsilon_inside)
      : Optimizer<T>(rate), beta1_(decay_rate("beta1", beta1)), beta2_(decay_rate("beta2", beta2)), epsilon_(epsilon),
        bias_correction_(bias_correction), rule_(epsilon_inside ? UpdateRule::adam_epsilon_inside : UpdateRule::adam) {
    check(representable<T>("eps", epsilon) > 0 && static_cast<T>(epsilon) > 0, "eps must be above 0",
          sizeof(T) == 4 ? " in float32" : "", "; got ", epsilon);
  }

  UpdateRule rule() const override { return rule_; }
  UpdateNumbers numbers(std::uint64_t t) const override {
    const double steps = static_cast<double>(t);
    return {.rate = this->rate(),
            .beta1 = beta1_,
            .beta2 = beta2_,
            .epsilon = epsilon_,
            .correction1 = bias_correction_ ? 1 - std::pow(beta1_, steps) : 1,
            .correction2 = bias_correction_ ? 1 - std::pow(beta2_, steps) : 1};
  }

private:
  double beta1_, beta2_, epsilon_;
  bool bias_correction_;
  UpdateRule rule_;
};

} // namespace chainrule
