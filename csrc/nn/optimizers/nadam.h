// NAdam: Adam that looks ahead as Nesterov's momentum does.
//
//   mu_t = beta1 (1 - 0.96^(t decay) / 2)        P_t = mu_1 mu_2 ... mu_t
//   w <- w - eta (mu_(t+1) / (1 - P_(t+1)) v + (1 - mu_t) / (1 - P_t) g) / (sqrt(s / (1 - beta2^t)) + eps)
//
// v and s as Adam's. Without bias correction all of 1 - P and 1 - beta2^t are 1. Source: T. Dozat, ICLR 2016 workshop,
// with the numbers of PyTorch.
#pragma once

#include "nn/optimizers/optimizer.h"

namespace chainrule {

template <class T> class NAdam final : public Optimizer<T> {
public:
  NAdam(double rate, double beta1, double beta2, double epsilon, double momentum_decay, bool bias_correction,
        bool epsilon_inside)
      : Optimizer<T>(rate), beta1_(below_one("beta1", beta1)), beta2_(below_one("beta2", beta2)),
        epsilon_(positive<T>("eps", epsilon)), momentum_decay_(representable<T>("momentum_decay", momentum_decay)),
        bias_correction_(bias_correction),
        rule_(epsilon_inside ? UpdateRule::nadam_epsilon_inside : UpdateRule::nadam) {}

  UpdateRule rule() const override { return rule_; }

private:
  UpdateNumbers numbers(std::uint64_t t) const override {
    const double now = momentum(t), next = momentum(t + 1), product = product_of_momenta(t);
    return {.beta1 = beta1_,
            .beta2 = beta2_,
            .epsilon = epsilon_,
            .correction2 = bias_correction_ ? filled(beta2_, t) : 1,
            .memory = bias_correction_ ? next / (1 - product * next) : next,
            .fresh = bias_correction_ ? (1 - now) / (1 - product) : 1 - now};
  }

  /// mu_t
  double momentum(std::uint64_t t) const {
    return beta1_ * (1 - 0.5 * std::pow(0.96, static_cast<double>(t) * momentum_decay_));
  }

  /// P_t, up to where 1 - P_t is 1 anyway, or all further factors are beta1: a few hundred steps in usual settings.
  double product_of_momenta(std::uint64_t t) const {
    const double step = std::pow(0.96, momentum_decay_);
    double power = 1, product = 1;
    for (std::uint64_t i = 1; i <= t && product > 0x1p-60; ++i) {
      power *= step;
      product *= beta1_ * (1 - 0.5 * power);
      if (power < 0x1p-54) return product * std::pow(beta1_, static_cast<double>(t - i));
    }
    return product;
  }

  double beta1_, beta2_, epsilon_, momentum_decay_;
  bool bias_correction_;
  UpdateRule rule_;
};

} // namespace chainrule
