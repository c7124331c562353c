// Assessing batches against an objective.
#include "train/objective.h"

#include <cmath>

namespace chainrule {

template <class T>
double penalty_of(const Network<T>& network, const Penalties<T>& penalties, const PenaltyRows& rows) {
  if (penalties.empty()) return 0;
  double sum = 0;
  Buffer<double> blocks(sum_blocks(network.arena_size()));
  auto body = [&](const Team& team) {
    const Pass<T> pass{team, network.kernels()};
    for (const auto& penalty : penalties) {
      const double value = penalty->value(pass, network.parameters(), rows, network.arena(), blocks.data());
      if (team.rank() == 0) sum += value;
    }
  };
  ThreadTeam(network.arena_threads()).run(body);
  return sum;
}

template <class T>
Assessment<T>::Assessment(const Objective<T>& objective, Index batch_size)
    : objective_(objective), batch_size_(batch_size), row_loss_(batch_size),
      row_scores_(batch_size * static_cast<Index>(objective.metrics.size())),
      totals_(objective.loss->is_mean(), objective.metrics.size()) {}

template <class T>
void Assessment<T>::assess(const Pass<T>& pass, const Data<T>& batch, MatrixView<const T> p, MatrixView<T> dp) {
  T* scores = row_scores_.data();
  for (const Metric metric : objective_.metrics) {
    score_rows(pass, metric, p, batch.targets, objective_.threshold, scores);
    scores += batch_size_;
  }
  objective_.loss->evaluate(pass, p, batch.targets, batch.weight, row_loss_.data(), dp);
  pass.team.barrier();
}

template <class T> EpochRecord Assessment<T>::record(const Network<T>& network, Index steps) const {
  EpochRecord record{.finished = std::isfinite(totals_.loss()),
                     .loss = totals_.loss(),
                     .penalty = penalty_of(network, objective_.penalties, objective_.penalty_rows),
                     .scores = {},
                     .steps = steps,
                     .rows = totals_.rows()};
  for (std::size_t m = 0; m < objective_.metrics.size(); ++m) record.scores.push_back(totals_.score(m));
  return record;
}

#define CHAINRULE_INSTANTIATE(T)                                                                                       \
  template class Assessment<T>;                                                                                        \
  template double penalty_of(const Network<T>&, const Penalties<T>&, const PenaltyRows&);
CHAINRULE_INSTANTIATE(float)
CHAINRULE_INSTANTIATE(double)

} // namespace chainrule
