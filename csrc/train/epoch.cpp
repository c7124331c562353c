// Walking the steps of an epoch.
#include "train/epoch.h"

#include <algorithm>
#include <cmath>

#include "core/clock.h"
#include "train/narrow.h"
#include "train/run_state.h"
#include "train/update.h"

namespace chainrule {

namespace {

// Steps that are repeated as one (sampler.h) are no more than a device does in some 10 ms, at 2 * 10^13 operations a
// second: Ctrl-C, and who else wants the network, wait for up to three such lots.
constexpr double most_operations_at_once = 2e11;

Index steps_at_once(Index rows, Index parameters) {
  const double step = 6.0 * static_cast<double>(rows) * static_cast<double>(parameters + 1);
  return std::clamp(static_cast<Index>(std::min(most_operations_at_once / step, 1e3)), Index{1}, most_steps_at_once);
}

} // namespace

template <class T>
Epoch<T>::Epoch(Network<T>& network, std::shared_ptr<Optimizer<T>> optimizer, const Objective<T>& objective,
                Sampler<T> sampler)
    : network_(network), optimizer_(std::move(optimizer)), penalties_(objective.penalties),
      penalty_rows_(objective.penalty_rows),
      penalty_room_(penalties_.empty() ? 0 : network.penalty_room(), Contents::undefined, network.memory()),
      sampler_(std::move(sampler)), buffers_(network, sampler_.batch_size(), true),
      assessment_(objective, sampler_.batch_size(), network), team_(threads()),
      pace_(team_.threads(), network.operations(sampler_.batch_size(), true, sampler_.rows())) {
  optimizer_->prepare(network.id(), network.arena_size(), network.memory());
  if (network.device().make_replay != nullptr) {
    full_steps_.reset(network.device().make_replay());
    last_steps_.reset(network.device().make_replay());
  }
}

template <class T> int Epoch<T>::threads() const {
  return assessment_.on_caller() ? 1 : network_.threads(sampler_.batch_size(), true, sampler_.rows());
}

template <class T> void Epoch<T>::begin(std::uint64_t epoch) {
  network_.gradients();        // allocated before the first step
  const int worth = threads(); // the limit may have changed
  if (worth != team_.threads()) {
    team_ = ThreadTeam(worth);
    pace_ = Pace(worth, network_.operations(sampler_.batch_size(), true, sampler_.rows()));
  }
  epoch_ = epoch;
  sampler_.begin(epoch);
  assessment_.begin();
  next_ = 0;
  finite_ = true;
}

template <class T> void Epoch<T>::resume(const EpochSoFar& so_far) {
  check(so_far.steps >= 0 && so_far.steps <= steps(), "an epoch has ", steps(), " steps; got ", so_far.steps);
  Index rows = 0;
  if (so_far.steps > 0) rows = (so_far.steps - 1) * sampler_.batch_size() + sampler_.rows_of(so_far.steps - 1);
  assessment_.resume(so_far.totals, rows);
  next_ = so_far.steps;
  finite_ = std::isfinite(assessment_.loss());
}

template <class T> bool Epoch<T>::advance(double seconds, Index end) {
  optimizer_->plan(network_.parameters()); // layers may have been frozen since the last slice
  const double begin = seconds_now(), slice = pace_.slice(seconds);
  const Index before = next_, last = std::min(end, steps());
  auto body = [&](const Team& team) { walk(team, slice, last); };
  (pace_.alone() ? alone_ : team_).run(body);
  finite_ = std::isfinite(assessment_.loss()); // waits for the device
  pace_.saw(next_ - before, seconds_now() - begin);
  return next_ == steps() || !finite_;
}

/// One step, by all members of a team. What is the same for all is computed by each; what must be counted once is
/// counted by rank 0, in places that nobody reads before the next barrier. No barrier stands between the update that
/// ends a step and the batch that begins the next: collecting a batch reads nothing that an update writes, and writes
/// nothing that anybody reads after the last barrier before the update.
template <class T> bool Epoch<T>::take(const Pass<T>& pass, Index step, std::uint64_t update_number, double end) {
  const bool counts = pass.team.rank() == 0;
  if (counts) buffers_.set_rows(sampler_.rows_of(step));
  const Data<T> batch = sampler_.batch(pass, step); // ends with a barrier
  if (!finite_) return false;

  if (counts) { // every member has left the update before, and none comes to the next without a barrier
    const double steps_per_epoch = static_cast<double>(steps());
    const double epoch = static_cast<double>(epoch_) + static_cast<double>(step) / steps_per_epoch;
    optimizer_->begin_step({update_number, epoch, steps_per_epoch});
    pause_ = seconds_now() >= end; // read behind the barrier of the assessment
  }
  // The device may do it all as one.
  const bool done = take_narrow_step(pass, network_, batch, buffers_.result(), assessment_);
  if (!done) {
    network_.forward_training(pass, batch.x, buffers_);
    assessment_.assess(pass, batch, buffers_.result(), buffers_.gradient(network_.depth() - 1));
  }
  assessment_.add(pass, batch.rows());
  if (counts && network_.device().is_host()) finite_ = std::isfinite(assessment_.loss());
  if (!done) network_.backward(pass, batch.x, buffers_);

  const PenaltyRows rows{penalty_rows_.data, static_cast<double>(batch.rows())};
  update(pass, network_, *optimizer_, penalties_, rows, penalty_room_.data());
  return true;
}

template <class T> EpochRecord Epoch<T>::record() const {
  EpochRecord record = assessment_.record(network_, next_);
  record.gradient_norm = gradient_norm(network_);
  return record;
}

/// Every member walks the same steps, up to `last`.
template <class T> void Epoch<T>::walk(const Team& team, double seconds, Index last) {
  const double end = seconds_now() + seconds;
  const std::uint64_t first_pass = network_.steps(), first_update = optimizer_->steps();
  const Index begin = next_;
  Prefetch prefetch;
  Team member = team;
  member.set_prefetch(&prefetch);
  auto take_next = [&](Index step) {
    const auto done = static_cast<std::uint64_t>(step - begin);
    prefetch = sampler_.prefetch(member, step + 1);
    Pass<T> pass = network_.pass(member);
    pass.step = first_pass + done;
    return take(pass, step, first_update + done, end);
  };

  const Index at_once = steps_at_once(sampler_.batch_size(), network_.arena_size());
  Index step = begin;
  for (bool pause = false; step < last && !pause; pause = pause_) {
    if (full_steps_ == nullptr) {
      if (!take_next(step)) break;
      ++step;
      continue;
    }
    // The steps at the end of an epoch may be fewer, and the last one smaller: they are repeated apart.
    const Index count = sampler_.prepare(step, std::min(at_once, last - step));
    (step + count == steps() ? last_steps_ : full_steps_)->run([&] {
      for (Index i = 0; i < count; ++i) take_next(step + i);
    });
    step += count;
    pause_ = seconds_now() >= end; // run() has waited
  }
  team.barrier(); // everyone has read where it began

  if (team.rank() == 0) {
    next_ = step;
    network_.set_steps(first_pass + static_cast<std::uint64_t>(step - begin));
    optimizer_->set_steps(first_update + static_cast<std::uint64_t>(step - begin));
  }
}

template class Epoch<float>;
template class Epoch<double>;

} // namespace chainrule
