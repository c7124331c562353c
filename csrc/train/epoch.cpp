// Walking the steps of an epoch.
#include "train/epoch.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>

namespace chainrule {

namespace {

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

/// Loss and metrics of one batch into row_loss (B) and row_scores (metrics, B).
template <class T>
void assess(const Pass<T>& pass, const Objective<T>& objective, const Data<T>& batch, MatrixView<const T> p,
            T* row_loss, T* row_scores, Index score_stride, MatrixView<T> dp) {
  for (std::size_t m = 0; m < objective.metrics.size(); ++m) {
    score_rows(pass, objective.metrics[m], p, batch.targets, objective.threshold,
               row_scores + static_cast<Index>(m) * score_stride);
  }
  objective.loss->evaluate(pass, p, batch.targets, batch.weight, row_loss, dp);
  pass.team.barrier();
}

} // namespace

template <class T>
double penalty_of(const Network<T>& network, const std::vector<std::shared_ptr<const Penalty<T>>>& penalties) {
  if (penalties.empty()) return 0;
  double sum = 0;
  Buffer<double> blocks(network.arena_size() / sum_block + 1);
  auto body = [&](const Team& team) {
    const Pass<T> pass{team, network.kernels()};
    for (const auto& penalty : penalties) {
      const double value = penalty->value(pass, network.parameters(), network.arena(), blocks.data());
      if (team.rank() == 0) sum += value;
    }
  };
  ThreadTeam(threads_for(2.0 * static_cast<double>(network.arena_size()))).run(body);
  return sum;
}

template <class T>
Epoch<T>::Epoch(Network<T>& network, std::shared_ptr<Optimizer<T>> optimizer, Objective<T> objective,
                Sampler<T> sampler)
    : network_(network), optimizer_(std::move(optimizer)), objective_(std::move(objective)),
      sampler_(std::move(sampler)), buffers_(network, sampler_.batch_size(), true), row_loss_(sampler_.batch_size()),
      row_scores_(sampler_.batch_size() * static_cast<Index>(objective_.metrics.size())),
      team_(network.threads(sampler_.batch_size(), true)),
      totals_(objective_.loss->is_mean(), objective_.metrics.size()) {
  optimizer_->prepare(network.arena_size());
}

template <class T> void Epoch<T>::begin(std::uint64_t epoch) {
  network_.gradients();                                              // allocated before the first step
  const int threads = network_.threads(sampler_.batch_size(), true); // the limit may have changed
  if (threads != team_.threads()) team_ = ThreadTeam(threads);
  sampler_.begin(epoch);
  totals_ = Totals(objective_.loss->is_mean(), objective_.metrics.size());
  next_ = 0;
  finite_ = true;
}

template <class T> bool Epoch<T>::advance(double seconds) {
  pause_ = false;
  auto body = [&](const Team& team) { walk(team, seconds); };
  team_.run(body);
  return next_ == steps() || !finite_;
}

/// Every member walks the same steps. What is the same for all is computed by each; what must be counted once is
/// counted by rank 0, in places that nobody reads before the next barrier.
template <class T> void Epoch<T>::walk(const Team& team, double seconds) {
  const double end = now() + seconds;
  const std::uint64_t first_step = network_.steps(), first_update = optimizer_->steps();
  const Index begin = next_;
  Pass<T> pass{.team = team, .kernels = network_.kernels(), .training = true, .seed = network_.seed()};
  const Index last_layer = network_.depth() - 1;
  StepBuffers<T>& buffers = buffers_;

  Index step = begin;
  team.barrier(); // everyone has read where to begin
  for (bool pause = false; step < steps() && !pause; ++step) {
    const auto done = static_cast<std::uint64_t>(step - begin);
    pass.step = first_step + done;
    if (team.rank() == 0) buffers.set_rows(sampler_.rows_of(step));
    team.barrier();
    const Data<T> batch = sampler_.batch(pass, step);

    network_.forward(pass, batch.x, buffers);
    assess<T>(pass, objective_, batch, buffers.result(), row_loss_.data(), row_scores_.data(), sampler_.batch_size(),
              buffers.gradient(last_layer));
    network_.backward(pass, batch.x, buffers);

    for (const auto& penalty : objective_.penalties) {
      penalty->add_gradient(pass, network_.parameters(), network_.arena(), network_.gradients());
      team.barrier();
    }
    optimizer_->update(pass, first_update + done + 1, network_.arena(), network_.gradients(), network_.arena_size());

    if (team.rank() == 0) {
      const double loss = totals_.add(buffers.rows(), row_loss_.data(), row_scores_.data(), sampler_.batch_size());
      finite_ = finite_ && std::isfinite(loss);
      pause_ = !finite_ || now() >= end;
    }
    team.barrier();
    pause = pause_;
  }
  if (team.rank() == 0) {
    next_ = step;
    network_.set_steps(first_step + static_cast<std::uint64_t>(step - begin));
    optimizer_->set_steps(first_update + static_cast<std::uint64_t>(step - begin));
  }
}

template <class T> EpochRecord Epoch<T>::record() const {
  EpochRecord record{.finished = finite_,
                     .loss = totals_.loss(),
                     .penalty = penalty_of(network_, objective_.penalties),
                     .scores = {},
                     .steps = next_,
                     .rows = totals_.rows()};
  for (std::size_t m = 0; m < objective_.metrics.size(); ++m)
    record.scores.push_back(totals_.score(m));
  return record;
}

template <class T>
EpochRecord evaluate(const Network<T>& network, const Objective<T>& objective, Data<T> data, Index batch_size) {
  Sampler<T> sampler(data, batch_size, false, false, 0);
  StepBuffers<T> buffers(network, sampler.batch_size(), false);
  Buffer<T> row_loss(sampler.batch_size());
  Buffer<T> row_scores(sampler.batch_size() * static_cast<Index>(objective.metrics.size()));
  Totals totals(objective.loss->is_mean(), objective.metrics.size());

  auto body = [&](const Team& team) {
    const Pass<T> pass{team, network.kernels()};
    for (Index step = 0; step < sampler.steps(); ++step) {
      if (team.rank() == 0) buffers.set_rows(sampler.rows_of(step));
      team.barrier();
      const Data<T> batch = sampler.batch(pass, step);
      network.forward(pass, batch.x, buffers);
      assess<T>(pass, objective, batch, buffers.result(), row_loss.data(), row_scores.data(), sampler.batch_size(), {});
      if (team.rank() == 0) totals.add(batch.rows(), row_loss.data(), row_scores.data(), sampler.batch_size());
      team.barrier();
    }
  };
  ThreadTeam(network.threads(sampler.batch_size(), false)).run(body);

  EpochRecord record{.finished = std::isfinite(totals.loss()),
                     .loss = totals.loss(),
                     .penalty = penalty_of(network, objective.penalties),
                     .scores = {},
                     .steps = sampler.steps(),
                     .rows = totals.rows()};
  for (std::size_t m = 0; m < objective.metrics.size(); ++m)
    record.scores.push_back(totals.score(m));
  return record;
}

template <class T>
void predict(const Network<T>& network, MatrixView<const T> x, MatrixView<T> p, StepBuffers<T>& buffers,
             ThreadTeam& team) {
  auto body = [&](const Team& member) {
    const Pass<T> pass{member, network.kernels()};
    for (Index first = 0; first < x.rows; first += buffers.capacity()) {
      const Index rows = std::min(buffers.capacity(), x.rows - first);
      if (member.rank() == 0) buffers.set_rows(rows);
      member.barrier();
      network.forward(pass, {x.row(first), rows, x.cols, x.stride}, buffers);
      const Range share = member.share(rows);
      const MatrixView<T> result = buffers.result();
      for (Index i = share.begin; i < share.end; ++i) {
        std::memcpy(p.row(first + i), result.row(i), static_cast<std::size_t>(p.cols) * sizeof(T));
      }
      member.barrier();
    }
  };
  team.run(body);
}

#define CHAINRULE_INSTANTIATE(T)                                                                                       \
  template class Epoch<T>;                                                                                             \
  template double penalty_of(const Network<T>&, const std::vector<std::shared_ptr<const Penalty<T>>>&);                \
  template EpochRecord evaluate(const Network<T>&, const Objective<T>&, Data<T>, Index);                               \
  template void predict(const Network<T>&, MatrixView<const T>, MatrixView<T>, StepBuffers<T>&, ThreadTeam&);
CHAINRULE_INSTANTIATE(float)
CHAINRULE_INSTANTIATE(double)

} // namespace chainrule
