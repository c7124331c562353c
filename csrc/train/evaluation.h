// Evaluation: loss, penalty and metrics of a network on a data set; and predict: what it says of new rows. Both in
// evaluation mode, piece by piece, in slices of time like an epoch (epoch.h). Neither changes the network.
#pragma once

#include "train/objective.h"
#include "train/sampler.h"

namespace chainrule {

/// Rows that are evaluated or predicted at a time: the activations of usual widths stay in the second-level cache.
inline constexpr Index piece_rows = 512;

template <class T> class Evaluation {
public:
  Evaluation(const Network<T>& network, const Objective<T>& objective, Data<T> data);

  /// Goes on for about `seconds`, one piece at least; true when all rows were seen.
  bool advance(double seconds);
  EpochRecord record() const { return assessment_.record(network_, next_); }

private:
  const Network<T>& network_;
  Sampler<T> sampler_;
  StepBuffers<T> buffers_;
  Assessment<T> assessment_;
  ThreadTeam team_;
  Index next_ = 0;
};

/// Predicts p (N, outputs), without gaps between its rows, from x (N, inputs), from row `first` on, for about
/// `seconds`, one piece at least; returns the row to go on from, N at the end. `first` is a multiple of the capacity of
/// `buffers`; those and `team` serve from call to call.
template <class T>
Index predict(const Network<T>& network, MatrixView<const T> x, MatrixView<T> p, Index first, double seconds,
              StepBuffers<T>& buffers, ThreadTeam& team);

} // namespace chainrule
