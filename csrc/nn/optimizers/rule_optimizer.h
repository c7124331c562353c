// RuleOptimizer: an update rule of formulas/updates.h whose numbers stay the same, but for the corrections of the bias
// of running means that began at 0: gradient descent, AdaGrad, AdaDelta, RMSprop, Adam, AMSGrad. A rule whose numbers
// follow a law of their own has a class of its own, in a file beside this one.
//
//   c1 = 1 - beta1^t,  c2 = 1 - beta2^t       or both 1, as lecture [002] has it: the first step is then longer, 3.16
//   eta
//                                             for Adam at 0.9 and 0.999, 31.6 eta for RMSprop at 0.999
#pragma once

#include <string>

#include "core/named.h"
#include "nn/optimizers/optimizer.h"

namespace chainrule {

template <class T> class RuleOptimizer final : public Optimizer<T> {
public:
  /// A rule takes those of the numbers that it names; epsilon is 0 for rules without.
  RuleOptimizer(double rate, const std::string& rule, double beta1, double beta2, double epsilon, bool bias_correction)
      : Optimizer<T>(rate), rule_(named<UpdateRule>(update_rule_names, "rule", rule)),
        beta1_(below_one("beta1", beta1)), beta2_(below_one("beta2", beta2)),
        epsilon_(epsilon == 0 ? 0 : positive<T>("eps", epsilon)), bias_correction_(bias_correction) {}

  UpdateRule rule() const override { return rule_; }

private:
  UpdateNumbers numbers(std::uint64_t t) const override {
    return {.beta1 = beta1_,
            .beta2 = beta2_,
            .epsilon = epsilon_,
            .correction1 = bias_correction_ ? filled(beta1_, t) : 1,
            .correction2 = bias_correction_ ? filled(beta2_, t) : 1};
  }

  UpdateRule rule_;
  double beta1_, beta2_, epsilon_;
  bool bias_correction_;
};

} // namespace chainrule
