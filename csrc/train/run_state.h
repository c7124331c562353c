// RunState: a run of training at one moment, kept in the device's memory, so that the run can go back to it.
//
// Parameters and statistics; with an optimizer also its state and learning rate, and the counts of updates and of
// dropout masks: from there training goes on as it did the first time, bit for bit.
#pragma once

#include <array>
#include <memory>

#include "nn/optimizers/optimizer.h"
#include "train/network.h"

namespace chainrule {

template <class T> class RunState {
public:
  /// `optimizer` may be null, or is that of the network. Nothing is kept yet.
  RunState(const Network<T>& network, std::shared_ptr<Optimizer<T>> optimizer);

  /// Keeps what is now, in place of what was kept before.
  void keep(const Network<T>& network);
  /// Makes what was kept last the present of the network and the optimizer.
  void restore(Network<T>& network) const;
  /// Whether the network has the very parameters that were kept last.
  bool is_here(const Network<T>& network) const;

private:
  std::shared_ptr<Optimizer<T>> optimizer_;
  Buffer<T> arena_;
  std::array<Buffer<T>, 3> states_; // of the optimizer; those that it has not are empty
  bool kept_ = false;
  std::uint64_t passes_ = 0, updates_ = 0;
  double rate_ = 0;
};

/// Whether all parameters and statistics of a network are finite, and so is the sum of their sizes in double precision.
template <class T> bool is_finite(const Network<T>& network);

} // namespace chainrule
