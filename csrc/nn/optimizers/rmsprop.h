// RMSprop: the gradient over the root of a running mean of its squares (formulas/updates.h). T. Tieleman and G. Hinton,
// Coursera lecture 6.5, 2012.
//
// Lecture [002] has beta = 0.999 and epsilon inside the root; without bias correction the first step is
// 1 / sqrt(1 - beta) times as long: 31.6 eta, or 3.16 eta at 0.9.
#pragma once

#include "nn/optimizers/optimizer.h"

namespace chainrule {

template <class T> class RMSprop final : public Optimizer<T> {
public:
  RMSprop(double rate, double beta, double epsilon, bool bias_correction, bool epsilon_inside)
      : Optimizer<T>(rate), beta_(below_one("beta", beta)), epsilon_(positive<T>("eps", epsilon)),
        bias_correction_(bias_correction),
        rule_(epsilon_inside ? UpdateRule::rmsprop_epsilon_inside : UpdateRule::rmsprop) {}

  UpdateRule rule() const override { return rule_; }

private:
  UpdateNumbers numbers(std::uint64_t t) const override {
    return {.beta2 = beta_, .epsilon = epsilon_, .correction2 = bias_correction_ ? filled(beta_, t) : 1};
  }

  double beta_, epsilon_;
  bool bias_correction_;
  UpdateRule rule_;
};

} // namespace chainrule
