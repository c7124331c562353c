// Adam: a running mean of gradients over the root of a running mean of their squares; and AMSGrad, which divides by the
// greatest such mean so far (formulas/updates.h).
//
// Without bias correction, as lecture [002] writes it, the first step is (1 - beta1) / sqrt(1 - beta2) times as long:
// 3.16 eta at 0.9 and 0.999.
#pragma once

#include "nn/optimizers/optimizer.h"

namespace chainrule {

template <class T> class Adam final : public Optimizer<T> {
public:
  Adam(double rate, double beta1, double beta2, double epsilon, bool bias_correction, bool epsilon_inside, bool amsgrad)
      : Optimizer<T>(rate), beta1_(below_one("beta1", beta1)), beta2_(below_one("beta2", beta2)),
        epsilon_(positive<T>("eps", epsilon)), bias_correction_(bias_correction),
        rule_(amsgrad ? (epsilon_inside ? UpdateRule::amsgrad_epsilon_inside : UpdateRule::amsgrad)
                      : (epsilon_inside ? UpdateRule::adam_epsilon_inside : UpdateRule::adam)) {}

  UpdateRule rule() const override { return rule_; }

private:
  UpdateNumbers numbers(std::uint64_t t) const override {
    return {.beta1 = beta1_,
            .beta2 = beta2_,
            .epsilon = epsilon_,
            .correction1 = bias_correction_ ? filled(beta1_, t) : 1,
            .correction2 = bias_correction_ ? filled(beta2_, t) : 1};
  }

  double beta1_, beta2_, epsilon_;
  bool bias_correction_;
  UpdateRule rule_;
};

} // namespace chainrule
