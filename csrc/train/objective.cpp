// Assessing batches against an objective.
#include "train/objective.h"

#include <cmath>

namespace chainrule {

template <class T>
double penalty_of(const Network<T>& network, const Penalties<T>& penalties, const PenaltyRows& rows) {
  if (penalties.empty()) return 0;
  double sum = 0;
  Buffer<double> room(network.penalty_room(), Contents::undefined, network.memory());
  auto body = [&](const Team& team) {
    const Pass<T> pass = network.pass(team);
    for (const auto& penalty : penalties) {
      const double value = penalty->value(pass, network.parameters(), rows, network.arena(), room.data());
      if (team.rank() == 0) sum += value;
    }
  };
  ThreadTeam(network.arena_threads()).run(body);
  return sum;
}

template <class T>
Assessment<T>::Assessment(const Objective<T>& objective, Index batch_size, const Memory& memory)
    : objective_(objective), batch_size_(batch_size), memory_(memory),
      row_loss_(batch_size, Contents::undefined, memory),
      row_scores_(batch_size * static_cast<Index>(objective.metrics.size()), Contents::undefined, memory),
      totals_(1 + static_cast<Index>(objective.metrics.size()), Contents::zero, memory) {}

template <class T> void Assessment<T>::begin() {
  memory_.clear(totals_.data(), static_cast<std::size_t>(totals_.size()) * sizeof(double));
  rows_ = 0;
}

template <class T> void Assessment<T>::resume(const std::vector<double>& totals, Index rows) {
  check(static_cast<Index>(totals.size()) == totals_.size(), "there must be ", totals_.size(), " totals; got ",
        totals.size());
  copy_in(memory_, totals_.data(), totals.data(), totals_.size());
  rows_ = rows;
}

template <class T> void Assessment<T>::score(const Pass<T>& pass, const Data<T>& batch, MatrixView<const T> p) {
  T* scores = row_scores_.data();
  for (const Metric metric : objective_.metrics) {
    score_rows(pass, metric, p, batch.targets, objective_.threshold, scores);
    scores += batch_size_;
  }
}

template <class T>
void Assessment<T>::assess(const Pass<T>& pass, const Data<T>& batch, MatrixView<const T> p, MatrixView<T> dp) {
  score(pass, batch, p);
  objective_.loss->evaluate(pass, p, batch.targets, batch.weight, row_loss_.data(), dp);
  pass.team.barrier();
}

template <class T> void Assessment<T>::add(const Pass<T>& pass, Index rows) {
  // The loss of a batch is a sum, or the mean over its rows.
  const double factor = objective_.loss->is_mean() ? static_cast<double>(rows) : 1;
  pass.kernels.accumulate(pass.team, row_loss_.data(), rows, factor, totals_.data());
  for (Index metric = 1; metric < totals_.size(); ++metric) {
    const T* scores = row_scores_.data() + (metric - 1) * batch_size_;
    pass.kernels.accumulate(pass.team, scores, rows, 1, totals_.data() + metric);
  }
  if (pass.team.rank() == 0) rows_ += rows;
}

template <class T> std::vector<double> Assessment<T>::totals() const {
  std::vector<double> totals(static_cast<std::size_t>(totals_.size()));
  copy_out(memory_, totals.data(), totals_.data(), totals_.size());
  return totals;
}

template <class T> double Assessment<T>::loss() const {
  double total = 0;
  copy_out(memory_, &total, totals_.data(), 1);
  return objective_.loss->is_mean() && rows_ > 0 ? total / static_cast<double>(rows_) : total;
}

template <class T> EpochRecord Assessment<T>::record(const Network<T>& network, Index steps) const {
  const std::vector<double> totals = this->totals();
  EpochRecord record{.finished = std::isfinite(totals.front()),
                     .loss = loss(),
                     .penalty = penalty_of(network, objective_.penalties, objective_.penalty_rows),
                     .scores = {},
                     .steps = steps,
                     .rows = rows_};
  for (std::size_t m = 1; m < totals.size(); ++m) {
    record.scores.push_back(rows_ > 0 ? totals[m] / static_cast<double>(rows_) : 0);
  }
  return record;
}

#define CHAINRULE_INSTANTIATE(T)                                                                                       \
  template class Assessment<T>;                                                                                        \
  template double penalty_of(const Network<T>&, const Penalties<T>&, const PenaltyRows&);
CHAINRULE_INSTANTIATE(float)
CHAINRULE_INSTANTIATE(double)

} // namespace chainrule
