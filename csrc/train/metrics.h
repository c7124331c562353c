// Metrics: scores of a prediction beside the loss, one number a row, whose mean over rows is reported.
//
//   accuracy   1 where the right class is named, else 0
//   mae        mean over outputs of |p - y|
//   mse        mean over outputs of (p - y)^2
#pragma once

#include <string>
#include <vector>

#include "nn/pass.h"
#include "train/data.h"

namespace chainrule {

enum class Metric { accuracy, mae, mse };
inline constexpr const char* metric_names[] = {"accuracy", "mae", "mse"};

/// Throws a message that lists the known names.
Metric metric_named(const std::string& name);

/// row_score (B) of one metric. Called by all threads; the caller places a barrier after it.
template <class T>
void score_rows(const Pass<T>& pass, Metric metric, MatrixView<const T> p, Targets<T> targets, double threshold,
                T* row_score) {
  if (metric == Metric::accuracy) {
    pass.kernels.correct_rows(pass.team, p, targets, threshold, row_score);
    return;
  }
  const ElementLoss difference{metric == Metric::mae ? ElementLossKind::absolute_difference
                                                     : ElementLossKind::squared_difference};
  pass.kernels.element_loss(pass.team, difference, p, targets.values, nullptr, 1 / static_cast<double>(p.cols),
                            row_score, {});
}

/// Sums over the steps of an epoch: the loss and the metrics, weighted by rows.
class Totals {
public:
  Totals(bool mean_loss, std::size_t metrics) : mean_loss_(mean_loss), scores_(metrics) {}

  /// One batch: row_loss (B), as a loss gives it, and row_scores (metrics, B).
  template <class T> double add(Index rows, const T* row_loss, const T* row_scores, Index score_stride) {
    double batch_loss = 0;
    for (Index i = 0; i < rows; ++i) batch_loss += static_cast<double>(row_loss[i]);
    loss_ += mean_loss_ ? batch_loss * static_cast<double>(rows) : batch_loss;
    for (std::size_t m = 0; m < scores_.size(); ++m) {
      const T* score = row_scores + static_cast<Index>(m) * score_stride;
      for (Index i = 0; i < rows; ++i) scores_[m] += static_cast<double>(score[i]);
    }
    rows_ += rows;
    return batch_loss;
  }

  Index rows() const { return rows_; }
  /// The mean over rows, or the sum where the loss is one.
  double loss() const { return mean_loss_ && rows_ > 0 ? loss_ / static_cast<double>(rows_) : loss_; }
  double score(std::size_t metric) const { return rows_ > 0 ? scores_[metric] / static_cast<double>(rows_) : 0; }

private:
  bool mean_loss_;
  double loss_ = 0;
  std::vector<double> scores_;
  Index rows_ = 0;
};

} // namespace chainrule
