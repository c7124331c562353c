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
Assessment<T>::Assessment(const Objective<T>& objective, Index batch_size, const Network<T>& network)
    : objective_(objective), batch_size_(batch_size), memory_(network.memory()),
      row_loss_(batch_size, Contents::undefined, memory_),
      row_scores_(batch_size * metrics(), Contents::undefined, memory_),
      totals_(1 + metrics() + (objective.count_classes ? 3 * network.outputs() : 0), Contents::zero, memory_) {
  check(network.device().is_host() || objective.loss->runs() == Runs::anywhere,
        "a loss that is a function of one's own runs on the CPU alone: the network's device must be 'cpu'");
}

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

template <class T> void Assessment<T>::score(const Pass<T>& pass, const Data<T>& batch, const MatrixView<const T>& p) {
  T* scores = row_scores_.data();
  for (const Metric metric : objective_.metrics) {
    score_rows(pass, metric, p, batch.targets, objective_.threshold, scores);
    scores += batch_size_;
  }
  if (objective_.count_classes) {
    // Where labels may stand for targets, classes exclude each other.
    pass.kernels.count_classes(pass.team, p, batch.targets, objective_.loss->takes_labels(), objective_.threshold,
                               totals_.data() + 1 + metrics());
  }
}

template <class T>
void Assessment<T>::assess(const Pass<T>& pass, const Data<T>& batch, const MatrixView<const T>& p,
                           const MatrixView<T>& dp) {
  score(pass, batch, p);
  objective_.loss->evaluate(pass, p, batch.targets, batch.weight, row_loss_.data(), dp);
  pass.team.barrier();
}

template <class T> void Assessment<T>::add(const Pass<T>& pass, Index rows) {
  // The loss of a batch is a sum, or the mean over its rows.
  const double factor = objective_.loss->is_mean() ? static_cast<double>(rows) : 1;
  pass.kernels.accumulate(pass.team, row_loss_.data(), rows, factor, totals_.data());
  for (Index metric = 0; metric < metrics(); ++metric) {
    const T* scores = row_scores_.data() + metric * batch_size_;
    pass.kernels.accumulate(pass.team, scores, rows, 1, totals_.data() + 1 + metric);
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
                     .counts = {},
                     .steps = steps,
                     .rows = rows_};
  const auto counts = totals.begin() + 1 + metrics();
  for (auto total = totals.begin() + 1; total != counts; ++total) {
    record.scores.push_back(rows_ > 0 ? *total / static_cast<double>(rows_) : 0);
  }
  record.counts.assign(counts, totals.end());
  return record;
}

#define CHAINRULE_INSTANTIATE(T)                                                                                       \
  template class Assessment<T>;                                                                                        \
  template double penalty_of(const Network<T>&, const Penalties<T>&, const PenaltyRows&);
CHAINRULE_INSTANTIATE(float)
CHAINRULE_INSTANTIATE(double)

} // namespace chainrule
