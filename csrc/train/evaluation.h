// Evaluation: loss, penalty and metrics of a network on a data set; and predict: what it says of new rows. Both in
// evaluation mode, piece by piece, in slices of time like an epoch (epoch.h). Neither changes the network.
#pragma once

#include <algorithm>

#include "train/objective.h"
#include "train/sampler.h"

namespace chainrule {

/// Rows that are evaluated or predicted at a time: few, so that the activations of usual widths stay in the
/// second-level cache of a processor; or enough to keep all of a GPU busy, unless they are as long as a lot.
inline Index piece_rows(const Device& device, Index row_bytes) {
  return device.is_host() ? 512 : std::clamp(lot_bytes / std::max<Index>(row_bytes, 1), Index{1}, Index{8192});
}

template <class T> Index piece_rows(const Network<T>& network) {
  return piece_rows(network.device(), network.inputs() * static_cast<Index>(sizeof(T)));
}

template <class T> class Evaluation {
public:
  Evaluation(const Network<T>& network, const Objective<T>& objective, Data<T> data);

  /// Starts anew.
  void begin();
  /// Goes on for about `seconds`, one piece at least; true when all rows were seen.
  bool advance(double seconds);
  EpochRecord record() const { return assessment_.record(network_, next_); }

private:
  /// Threads that a piece is worth.
  int threads() const;

  const Network<T>& network_;
  Sampler<T> sampler_;
  StepBuffers<T> buffers_;
  Assessment<T> assessment_;
  ThreadTeam team_;
  Index next_ = 0;
};

/// What predictions of up to `rows` rows at a time need besides the network.
template <class T> struct PredictionBuffers {
  PredictionBuffers(const Network<T>& network, Index rows);

  StepBuffers<T> step;
  Buffer<T> x; // (rows, inputs), where the device has a memory of its own
};

/// Predicts p (N, outputs) from x (N, inputs), without gaps between their rows, from row `first` on, for about
/// `seconds`, one piece at least; returns the row to go on from, N at the end. `first` is a multiple of the capacity of
/// `buffers`; those and `team` serve from call to call. x and p lie in `memory`: the network's, or that of this
/// process.
template <class T>
Index predict(const Network<T>& network, const Memory& memory, const Inputs<T>& x, const MatrixView<T>& p, Index first,
              double seconds, PredictionBuffers<T>& buffers, ThreadTeam& team);

} // namespace chainrule
