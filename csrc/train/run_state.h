// RunState: a run of training at one moment, kept in the device's memory, so that the run can go back to it.
//
// Parameters and statistics; with an optimizer also its state and learning rate, and the counts of updates and of
// dropout masks: from there training goes on as it did the first time, bit for bit.
#pragma once

#include <array>
#include <memory>
#include <vector>

#include "nn/optimizers/optimizer.h"
#include "train/network.h"

namespace chainrule {

/// The same in this process's memory, as it goes into a file and comes back.
template <class T> struct RunContent {
  std::vector<T> arena;
  std::vector<std::vector<T>> states; // of the optimizer
  std::uint64_t passes = 0, updates = 0;
  double rate = 0;
};

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

  /// What was kept last. `network` is the one of the constructor, here and below.
  RunContent<T> content(const Network<T>& network) const;
  /// Takes what another run kept in place of what was kept before; its arrays must have the sizes of this one's. What
  /// is given with the layers, and what fills the arena up, stays as it is.
  void take(const Network<T>& network, const RunContent<T>& content);

private:
  std::shared_ptr<Optimizer<T>> optimizer_;
  Buffer<T> arena_;
  std::array<Buffer<T>, 3> states_; // of the optimizer; those that it has not are empty
  bool states_at_start_ = false;    // they were as the optimizer makes them: nothing was copied
  bool kept_ = false;
  std::uint64_t passes_ = 0, updates_ = 0;
  double rate_ = 0;
};

/// Whether all parameters and statistics of a network are finite, and so is the sum of their sizes in double precision.
template <class T> bool is_finite(const Network<T>& network);

/// The norm of the gradients of all that learns, as the last update had them: with those of the penalties, clipped.
template <class T> double gradient_norm(Network<T>& network);

} // namespace chainrule
