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
  bool count_classes = false; // whether an assessment does
  double threshold = 0;       // of a yes, where an output is a question of its own

  /// Whether predictions are asked for, and not only losses.
  bool scores() const { return !metrics.empty() || count_classes; }
};

/// What comes of an epoch, or of an evaluation.
struct EpochRecord {
  bool finished = true;       // false where the loss stopped being finite
  double loss = 0;            // data loss: the mean over rows, or the sum where the loss is one
  double penalty = 0;         // of the parameters at the end
  std::vector<double> scores; // of the metrics, means over rows
  std::vector<double> counts; // (3, K), as kernels.h has them, where classes were counted
  Index steps = 0;
  Index rows = 0;
  double gradient_norm = 0; // of the last update; 0 where nothing is updated
};

/// The sum of all penalties of a network's parameters.
template <class T> double penalty_of(const Network<T>& network, const Penalties<T>& penalties, const PenaltyRows& rows);

/// The loss and the scores of the rows of a batch, and their totals over the batches so far.
template <class T> class Assessment {
public:
  /// Of a network's predictions, up to batch_size rows at a time.
  Assessment(const Objective<T>& objective, Index batch_size, const Network<T>& network);

  /// Forgets the totals.
  void begin();
  /// Goes on from totals() of that many rows; throws where there are more or fewer of them.
  void resume(const std::vector<double>& totals, Index rows);

  /// Loss, scores, and, unless dp.data is null, the gradient dp (B, K) of a prediction p (B, K). Called by all
  /// threads; ends with a barrier.
  void assess(const Pass<T>&, const Data<T>& batch, const MatrixView<const T>& p, const MatrixView<T>& dp);
  /// The scores alone, and the counts, which have no rows to add; the caller has the losses of rows written to
  /// row_loss() (B).
  void score(const Pass<T>&, const Data<T>& batch, const MatrixView<const T>& p);
  T* row_loss() { return row_loss_.data(); }
  const Objective<T>& objective() const { return objective_; }
  /// Whether the loss lets one thread alone do a step.
  bool on_caller() const { return objective_.loss->runs() == Runs::on_caller; }
  /// Adds what was assessed to the totals, which is the work of rank 0. Called after assess and before the next.
  void add(const Pass<T>&, Index rows);

  /// The loss so far: the mean over rows, or the sum where the loss is one. Waits for the device.
  double loss() const;
  /// The record of the totals, after `steps` batches. Waits for the device.
  EpochRecord record(const Network<T>& network, Index steps) const;
  /// All that was added up so far. Waits for the device.
  std::vector<double> totals() const;

private:
  Index metrics() const { return static_cast<Index>(objective_.metrics.size()); }

  Objective<T> objective_;
  Index batch_size_;
  const Memory& memory_;
  Buffer<T> row_loss_;   // (batch)
  Buffer<T> row_scores_; // (metrics, batch)
  // (1 + metrics): of the losses times rows where they are means, and of the scores; then the counts (3, K), if any.
  Buffer<double> totals_;
  Index rows_ = 0; // so far
};

} // namespace chainrule
