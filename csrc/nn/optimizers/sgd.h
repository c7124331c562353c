// SGD: plain gradient descent, w <- w - eta g.
#pragma once

#include "nn/optimizers/optimizer.h"

namespace chainrule {

template <class T> class SGD final : public Optimizer<T> {
public:
  using Optimizer<T>::Optimizer;

  UpdateRule rule() const override { return UpdateRule::gradient_descent; }

private:
  UpdateNumbers numbers(std::uint64_t) const override { return {}; }
};

} // namespace chainrule
