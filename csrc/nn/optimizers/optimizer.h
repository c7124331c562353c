// Optimizer: an update rule, its numbers for a step, and the state that it keeps beside the parameters.
//
// An optimizer serves one network: its state arrays are laid out as that network's arena.
#pragma once

#include <array>
#include <atomic>
#include <utility>

#include "core/buffer.h"
#include "nn/numbers.h"
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
  void set_rate(double rate) { rate_ = representable<T>("the learning rate", rate); }

  std::uint64_t steps() const { return steps_; }
  void set_steps(std::uint64_t steps) {
    check(steps < std::uint64_t{1} << 62, "steps must be below 2^62; got ", steps);
    steps_ = steps;
  }

  /// Makes the state for the arena of a network, `size` elements, or checks that it was made for that network.
  void prepare(std::uint64_t network, Index size) {
    if (network_ == 0) {
      std::array<Buffer<T>, 2> state;
      for (int i = 0; i < states(); ++i) state[static_cast<std::size_t>(i)] = Buffer<T>(size);
      state_ = std::move(state);
      size_ = size;
      network_ = network;
    }
    check(network == network_, "this optimizer has the state of another network: make one for each");
  }

  int states() const { return update_rule_states[static_cast<int>(rule())]; }
  Index size() const { return size_; } // 0 before prepare
  T* state(int i) { return state_[static_cast<std::size_t>(i)].data(); }

  /// Step t on n parameters w with gradients g. Called by all threads; counts no step.
  void update(const Pass<T>& pass, std::uint64_t t, T* w, const T* g, Index n) {
    pass.kernels.update(pass.team, rule(), numbers(t), w, g, state(0), state(1), n);
  }

private:
  // Atomic: Python may look at them, or set them, from another thread than the one that trains.
  std::atomic<double> rate_{0};
  std::atomic<std::uint64_t> steps_{0};
  std::uint64_t network_ = 0; // Network::id, 0 before prepare
  Index size_ = 0;
  std::array<Buffer<T>, 2> state_;
};

} // namespace chainrule
