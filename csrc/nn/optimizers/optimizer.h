// Optimizer: an update rule, its numbers for a step, and the state that it keeps beside the parameters.
//
// An optimizer serves one network: its state arrays are laid out as that network's arena.
#pragma once

#include <array>
#include <cmath>

#include "core/buffer.h"
#include "nn/pass.h"

namespace chainrule {

template <class T> class Optimizer {
public:
  explicit Optimizer(double rate) { set_rate(rate); }
  virtual ~Optimizer() = default;

  virtual UpdateRule rule() const = 0;
  /// The numbers of step t = 1, 2, ...
  virtual UpdateNumbers numbers(std::uint64_t t) const = 0;

  double rate() const { return rate_; }
  void set_rate(double rate) {
    check(std::isfinite(rate) && rate >= 0, "the learning rate must be a finite number of at least 0, got ", rate);
    rate_ = rate;
  }

  std::uint64_t steps() const { return steps_; }
  void set_steps(std::uint64_t steps) { steps_ = steps; }

  /// Makes the state for an arena of `size` elements, or checks that it was made for one.
  void prepare(Index size) {
    if (size_ == 0) {
      for (int i = 0; i < states(); ++i)
        state_[static_cast<std::size_t>(i)] = Buffer<T>(size);
      size_ = size;
    }
    check(size == size_, "this optimizer's state belongs to a network of ", size_, " parameters, not ", size);
  }

  int states() const { return update_rule_states[static_cast<int>(rule())]; }
  Index size() const { return size_; } // 0 before prepare
  T* state(int i) { return state_[static_cast<std::size_t>(i)].data(); }

  /// Step t on n parameters w with gradients g. Called by all threads; counts no step.
  void update(const Pass<T>& pass, std::uint64_t t, T* w, const T* g, Index n) {
    pass.kernels.update(pass.team, rule(), numbers(t), w, g, state(0), state(1), n);
  }

private:
  double rate_ = 0;
  std::uint64_t steps_ = 0;
  Index size_ = 0;
  std::array<Buffer<T>, 2> state_;
};

/// Checks a decay rate of a running mean.
inline double decay_rate(const char* name, double value) {
  check(value >= 0 && value < 1, name, " must be at least 0 and below 1, got ", value);
  return value;
}

} // namespace chainrule
