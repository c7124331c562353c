// Objective: what a network is trained towards and measured by, and what comes of walking over a data set.
#pragma once

#include <memory>
#include <vector>

#include "nn/losses/loss.h"
#include "nn/penalties/penalty.h"
#include "train/metrics.h"
#include "train/network.h"

namespace chainrule {

template <class T> using Penalties = std::vector<std::shared_ptr<const Penalty<T>>>;

/// The loss, the penalties, and the metrics that are reported.
template <class T> struct Objective {
  std::shared_ptr<const Loss<T>> loss;
  Penalties<T> penalties;
  PenaltyRows penalty_rows; // what the reported penalty is divided by
  std::vector<Metric> metrics;
  double threshold = 0; // of binary accuracy
};

/// What comes of an epoch, or of an evaluation.
struct EpochRecord {
  bool finished = true;       // false where the loss stopped being finite
  double loss = 0;            // data loss: the mean over rows, or the sum where the loss is one
  double penalty = 0;         // of the parameters at the end
  std::vector<double> scores; // of the metrics, means over rows
  Index steps = 0;
  Index rows = 0;
};

/// The sum of all penalties of a network's parameters.
template <class T> double penalty_of(const Network<T>& network, const Penalties<T>& penalties, const PenaltyRows& rows);

/// The loss and the scores of the rows of a batch, and their totals over the batches so far.
template <class T> class Assessment {
public:
  Assessment(const Objective<T>& objective, Index batch_size);

  /// Forgets the totals.
  void begin() { totals_ = Totals(objective_.loss->is_mean(), objective_.metrics.size()); }

  /// Loss, scores, and, unless dp.data is null, the gradient dp (B, K) of a prediction p (B, K). Called by all
  /// threads; ends with a barrier.
  void assess(const Pass<T>&, const Data<T>& batch, MatrixView<const T> p, MatrixView<T> dp);
  /// Adds what was assessed to the totals; returns the loss of the batch. Called by one thread, after assess and
  /// before the next.
  double add(Index rows) { return totals_.add(rows, row_loss_.data(), row_scores_.data(), batch_size_); }

  const Totals& totals() const { return totals_; }
  /// The record of the totals, after `steps` batches.
  EpochRecord record(const Network<T>& network, Index steps) const;

private:
  Objective<T> objective_;
  Index batch_size_;
  Buffer<T> row_loss_;   // (batch)
  Buffer<T> row_scores_; // (metrics, batch)
  Totals totals_;
};

} // namespace chainrule
