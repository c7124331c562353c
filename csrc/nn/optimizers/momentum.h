// Momentum: gradient descent with a velocity, in three styles (formulas/updates.h).
#pragma once

#include <string>

#include "nn/optimizers/optimizer.h"

namespace chainrule {

template <class T> class Momentum final : public Optimizer<T> {
public:
  Momentum(double rate, double beta, const std::string& style)
      : Optimizer<T>(rate), beta_(decay_rate("beta", beta)), rule_(rule_of(style)) {}

  UpdateRule rule() const override { return rule_; }
  UpdateNumbers numbers(std::uint64_t) const override { return {.rate = this->rate(), .beta1 = beta_}; }

private:
  static UpdateRule rule_of(const std::string& style) {
    if (style == "ema") return UpdateRule::momentum_ema;
    if (style == "heavy_ball") return UpdateRule::momentum_heavy_ball;
    check(style == "nesterov", "unknown style \"", style, "\" of momentum; known are: ema, heavy_ball, nesterov");
    return UpdateRule::momentum_nesterov;
  }

  double beta_;
  UpdateRule rule_;
};

} // namespace chainrule
