// Metrics: scores of a prediction beside the loss, one number a row, whose mean over rows is reported.
//
//   accuracy         1 where the right class is named, else 0
//   top_k_accuracy   1 where it is among the k named first, else 0: "top_5_accuracy"
//   mae              mean over outputs of |p - y|
//   mse              mean over outputs of (p - y)^2
//
// What is no mean over rows (precision, recall, F1) the caller makes of counted classes (objective.h).
#pragma once

#include <string>
#include <vector>

#include "nn/pass.h"
#include "train/data.h"

namespace chainrule {

enum class MetricKind { accuracy, mae, mse };
inline constexpr const char* metric_names[] = {"accuracy", "mae", "mse"};

struct Metric {
  MetricKind kind;
  Index k = 1; // of accuracy: how many classes are named
};

/// Throws a message that lists the known names.
Metric metric_named(const std::string& name);

/// row_score (B) of one metric. Called by all threads; the caller places a barrier after it.
template <class T>
void score_rows(const Pass<T>& pass, const Metric& metric, const MatrixView<const T>& p, const Targets<T>& targets,
                double threshold, T* row_score) {
  if (metric.kind == MetricKind::accuracy) {
    pass.kernels.correct_rows(pass.team, p, targets, metric.k, threshold, row_score);
    return;
  }
  const ElementLoss difference{metric.kind == MetricKind::mae ? ElementLossKind::absolute_difference
                                                              : ElementLossKind::squared_difference};
  pass.kernels.element_loss(pass.team, difference, p, targets.values, nullptr, 1 / static_cast<double>(p.cols),
                            row_score, {});
}

} // namespace chainrule
