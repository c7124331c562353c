// Epoch: trains a network on all batches of a data set once, and evaluates one without training.
//
// The steps of an epoch run in slices of time. A slice is one parallel region: all threads walk the steps together,
// with barriers where one reads what another wrote. Between slices the caller may look at signals and report
// progress; the network is then at the end of a step. How an epoch is sliced changes no result.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "nn/losses/loss.h"
#include "nn/optimizers/optimizer.h"
#include "nn/penalties/penalty.h"
#include "train/metrics.h"
#include "train/network.h"
#include "train/sampler.h"

namespace chainrule {

/// What is trained towards: the loss, the penalties, and the metrics that are reported.
template <class T> struct Objective {
  std::shared_ptr<const Loss<T>> loss;
  std::vector<std::shared_ptr<const Penalty<T>>> penalties;
  std::vector<Metric> metrics;
  double threshold = 0; // of binary accuracy
};

/// What comes of an epoch.
struct EpochRecord {
  bool finished = true;       // false where the loss stopped being finite
  double loss = 0;            // data loss: the mean over rows, or the sum where the loss is one
  double penalty = 0;         // of the parameters at the end
  std::vector<double> scores; // of the metrics, means over rows
  Index steps = 0;
  Index rows = 0;
};

/// The sum of all penalties of a network's parameters.
template <class T>
double penalty_of(const Network<T>& network, const std::vector<std::shared_ptr<const Penalty<T>>>& penalties);

template <class T> class Epoch {
public:
  Epoch(Network<T>& network, std::shared_ptr<Optimizer<T>> optimizer, Objective<T> objective, Sampler<T> sampler);

  Index steps() const { return sampler_.steps(); }
  Index steps_done() const { return next_; }
  double loss_so_far() const { return totals_.loss(); }

  /// Starts an epoch: its number decides the order of the rows.
  void begin(std::uint64_t epoch);
  /// Steps for about `seconds`; true when the epoch is over.
  bool advance(double seconds);
  EpochRecord record() const;

private:
  void walk(const Team& team, double seconds);

  Network<T>& network_;
  std::shared_ptr<Optimizer<T>> optimizer_;
  Objective<T> objective_;
  Sampler<T> sampler_;
  StepBuffers<T> buffers_;
  Buffer<T> row_loss_;   // (batch)
  Buffer<T> row_scores_; // (metrics, batch)
  ThreadTeam team_;
  Totals totals_;
  Index next_ = 0;     // step to do
  bool finite_ = true; // every loss so far
  bool pause_ = false; // rank 0 tells the team to end the slice; read after a barrier
};

/// Loss, penalty and metrics of a network in evaluation mode, over rows of `data` taken `batch_size` at a time.
template <class T>
EpochRecord evaluate(const Network<T>& network, const Objective<T>& objective, Data<T> data, Index batch_size);

/// p (N, outputs) from x (N, inputs) in evaluation mode. `buffers` and `team` are reused from call to call.
template <class T>
void predict(const Network<T>& network, MatrixView<const T> x, MatrixView<T> p, StepBuffers<T>& buffers,
             ThreadTeam& team);

} // namespace chainrule
