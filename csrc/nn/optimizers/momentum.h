// Momentum: gradient descent with a memory v of the gradients (formulas/updates.h).
//
//   heavy_ball          v <- beta v + g                w <- w - eta v
//   ema                 v <- beta v + (1 - beta) g     w <- w - eta v            lecture [002]
//   torch_dampening     as ema, but v = g at t = 1                               PyTorch's SGD with dampening = beta
//   nesterov            v <- beta v + g                w <- w - eta (g + beta v)
#pragma once

#include <string>

#include "core/named.h"
#include "nn/optimizers/optimizer.h"

namespace chainrule {

template <class T> class Momentum final : public Optimizer<T> {
public:
  Momentum(double rate, double beta, const std::string& style)
      : Optimizer<T>(rate), beta_(below_one("beta", beta)), style_(named<Style>(style_names, "style", style)) {}

  UpdateRule rule() const override { return style_ == Style::nesterov ? UpdateRule::nesterov : UpdateRule::momentum; }

private:
  enum class Style { heavy_ball, ema, nesterov, torch_dampening };
  static constexpr const char* style_names[] = {"heavy_ball", "ema", "nesterov", "torch_dampening"};

  UpdateNumbers numbers(std::uint64_t t) const override {
    const bool mean = style_ == Style::ema || (style_ == Style::torch_dampening && t > 1);
    return {.beta1 = beta_, .gain = mean ? 1 - beta_ : 1};
  }

  double beta_;
  Style style_;
};

} // namespace chainrule
