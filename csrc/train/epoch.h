// Epoch: trains a network on all batches of a data set once.
//
// The steps run in slices of time. A slice is one parallel region: all threads walk the steps together, with barriers
// where one reads what another wrote. Between slices the caller may look at signals and report progress; the network
// is then at the end of a step. How an epoch is sliced changes no result.
#pragma once

#include <memory>

#include "nn/optimizers/optimizer.h"
#include "train/objective.h"
#include "train/pace.h"
#include "train/sampler.h"

namespace chainrule {

/// How far an epoch has come; with a state of the run (run_state.h), all that it takes to go on from there.
struct EpochSoFar {
  Index steps = 0;
  std::vector<double> totals; // of its assessment
};

template <class T> class Epoch {
public:
  Epoch(Network<T>& network, std::shared_ptr<Optimizer<T>> optimizer, const Objective<T>& objective,
        Sampler<T> sampler);

  Index steps() const { return sampler_.steps(); }
  Index steps_done() const { return next_; }
  double loss_so_far() const { return assessment_.loss(); }

  /// Starts an epoch: its number decides the order of the rows.
  void begin(std::uint64_t epoch);
  /// Goes on from the midst of the epoch that was begun.
  void resume(const EpochSoFar& so_far);
  /// Steps for about `seconds`, one step at least, but not beyond step `end`; true when the epoch is over.
  bool advance(double seconds, Index end);
  EpochSoFar so_far() const { return {next_, assessment_.totals()}; }
  EpochRecord record() const;

private:
  /// Threads that a step is worth.
  int threads() const;
  void walk(const Team& team, double seconds, Index last);
  /// Takes a step, which `update_number` updates came before, unless the loss is not finite any more; false then.
  /// After `end` it asks for a pause.
  bool take(const Pass<T>& pass, Index step, std::uint64_t update_number, double end);

  Network<T>& network_;
  std::shared_ptr<Optimizer<T>> optimizer_;
  Penalties<T> penalties_;
  PenaltyRows penalty_rows_;
  Buffer<double> penalty_room_;
  Sampler<T> sampler_;
  StepBuffers<T> buffers_;
  Assessment<T> assessment_;
  ThreadTeam team_, alone_;
  Pace pace_;
  std::unique_ptr<Replay> full_steps_, last_steps_; // null where the device repeats nothing
  std::uint64_t epoch_ = 0;
  Index next_ = 0;     // step to do
  bool finite_ = true; // every loss so far
  bool pause_ = false; // rank 0 tells the team to end the slice; read after a barrier
};

} // namespace chainrule
