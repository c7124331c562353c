// Cross-entropy over the classes of a row, with its gradient in the same pass.
//
//   from logits:         l = sum_j y'_j (log sum_i exp(z_i - m) + (m - z_j))     dl/dz_j = f_j sum(y') - y'_j
//   from probabilities:  l = - sum_j y'_j log f_j,  f within [margin, 1]         dl/dp_j = - y'_j / f_j
//
// with f = softmax(z), m = max z, and y' = (1 - smoothing) y + smoothing / K. Only differences of logits are taken, so
// that large ones lose nothing; a class with y'_j = 0 adds nothing, even where its logit is -infinity. For a class
// number, y is 1 at that class and 0 elsewhere.
#include "cpu/cross_entropy_narrow.h"
#include "cpu/operations.h"
#include "cpu/softmax_row.h"

namespace chainrule::cpu::CHAINRULE_ISA {
namespace {

/// The loss of a row, but for its logarithm: times * log(argument) + rest. The logarithms of many rows are taken at
/// once.
struct RowLoss {
  double times, argument, rest;
};

template <class T> Vec<T> within_margin(Vec<T> p) {
  const Vec<T> least(probability_margin), most(1);
  return select(p < least, least, select(p > most, most, p));
}

/// How the targets y (K) of a row become y': y' = keep y + floor.
struct Smoothing {
  double keep, floor;
  bool is_none() const { return floor == 0; }
};

/// y' at the lanes of a row, 0 beyond them.
template <class T> Vec<T> smoothed(Smoothing smoothing, const T* y, auto part) {
  const Vec<T> target = Vec<T>(smoothing.keep) * load(y, part) + Vec<T>(smoothing.floor);
  return select(lanes_of<T>(part), target, Vec<T>(0));
}

/// Loss of one row from logits z (K) against probabilities y (K). dz (K) may be null, or alias z.
template <class T>
RowLoss row_from_logits(const T* z, const T* y, Smoothing smoothing, T* dz, double factor, Index classes) {
  const double m = greatest_of_row(z, classes);
  const Vec<T> most(m);
  Vec<T> targets(0), distances(0);
  each_vector<T>({0, classes}, [&](Index j, auto part) {
    const Vec<T> target = smoothed(smoothing, y + j, part);
    targets = targets + target;
    distances = distances + select(target == Vec<T>(0), Vec<T>(0), target * (most - load(z + j, part)));
  });
  const double y_sum = static_cast<double>(sum_of_lanes(targets));
  const double distance = static_cast<double>(sum_of_lanes(distances));
  const double total = shifted_exponentials(z, m, dz, classes);
  if (dz != nullptr) {
    const Vec<T> share(y_sum / total), scale(factor);
    each_vector<T>({0, classes}, [&](Index j, auto part) {
      store(scale * (load(dz + j, part) * share - smoothed(smoothing, y + j, part)), dz + j, part);
    });
  }
  return {y_sum, total, distance};
}

/// The sum of m - z_j over a row.
template <class T> double sum_of_distances(const T* z, double m, Index classes) {
  const Vec<T> most(m);
  Vec<T> distances(0);
  each_vector<T>({0, classes}, [&](Index j, auto part) {
    distances = distances + select(lanes_of<T>(part), most - load(z + j, part), Vec<T>(0));
  });
  return static_cast<double>(sum_of_lanes(distances));
}

/// The same against a class number.
template <class T>
RowLoss row_from_logits(const T* z, std::int32_t label, Smoothing smoothing, T* dz, double factor, Index classes) {
  const double m = greatest_of_row(z, classes);
  double distance = smoothing.keep * (m - static_cast<double>(z[label]));
  if (!smoothing.is_none()) distance += smoothing.floor * sum_of_distances(z, m, classes);
  const double total = shifted_exponentials(z, m, dz, classes);
  if (dz != nullptr) {
    const Vec<T> share(factor / total), floor(factor * smoothing.floor);
    each_vector<T>({0, classes}, [&](Index j, auto part) { store(load(dz + j, part) * share - floor, dz + j, part); });
    dz[label] -= static_cast<T>(factor * smoothing.keep);
  }
  return {1, total, distance};
}

/// Loss of one row from probabilities p (K); dp (K) may be null, or alias p. `target_of(j, part)` is y'.
template <class T, class Target>
double sum_from_probabilities(const T* p, Target target_of, T* dp, double factor, Index classes) {
  Vec<T> loss(0);
  const Vec<T> scale(factor);
  each_vector<T>({0, classes}, [&](Index j, auto part) {
    const Vec<T> target = target_of(j, part), f = within_margin(load(p + j, part));
    loss = loss - target * log(f); // target is 0 in the lanes beyond the row, and f is not 0
    if (dp != nullptr) store(Vec<T>(0) - scale * target / f, dp + j, part);
  });
  return static_cast<double>(sum_of_lanes(loss));
}

template <class T>
RowLoss row_from_probabilities(const T* p, const T* y, Smoothing smoothing, T* dp, double factor, Index classes) {
  auto target_of = [&](Index j, auto part) { return smoothed(smoothing, y + j, part); };
  return {0, 1, sum_from_probabilities(p, target_of, dp, factor, classes)};
}

template <class T>
RowLoss row_from_probabilities(const T* p, std::int32_t label, Smoothing smoothing, T* dp, double factor,
                               Index classes) {
  const double f = static_cast<double>(within_margin(Vec<T>(p[label])).v[0]);
  double loss = 0;
  if (!smoothing.is_none()) { // all classes count
    const Vec<T> floor(smoothing.floor);
    auto target_of = [&](Index, auto part) { return select(lanes_of<T>(part), floor, Vec<T>(0)); };
    loss = sum_from_probabilities(p, target_of, dp, factor, classes);
  } else if (dp != nullptr) {
    for (Index j = 0; j < classes; ++j) dp[j] = 0;
  }
  if (dp != nullptr) dp[label] -= static_cast<T>(factor * smoothing.keep / f);
  return {-smoothing.keep, f, loss};
}

template <class T>
void cross_entropy(const Team& team, bool from_logits, double smoothing, const MatrixView<const T>& p,
                   const Targets<T>& targets, const T* weight, double scale, T* row_loss, const MatrixView<T>& dp) {
  const Smoothing smooth{1 - smoothing, smoothing / static_cast<double>(p.cols)};
  constexpr Index group = Vec<T>::width; // rows whose logarithms fill a register
  const Range rows = team.share(p.rows);
  for (Index first = rows.begin; first < rows.end; first += group) {
    const Index count = rows.end - first < group ? rows.end - first : group;
    double factors[group];
    for (Index k = 0; k < count; ++k) {
      factors[k] = scale * (weight != nullptr ? static_cast<double>(weight[first + k]) : 1);
    }
    if (from_logits && targets.labels != nullptr && p.cols <= narrow_classes<T>) {
      narrow_rows(p, first, count, targets.labels + first, smooth.keep, smooth.floor, factors, row_loss + first, dp);
      continue;
    }
    RowLoss losses[group];
    alignas(alignment_bytes) T logs[group] = {};
    for (Index k = 0; k < count; ++k) {
      const Index i = first + k;
      T* const d = dp.data != nullptr ? dp.row(i) : nullptr;
      auto row = [&](auto target) { // a class number, or the row's probabilities
        return from_logits ? row_from_logits(p.row(i), target, smooth, d, factors[k], p.cols)
                           : row_from_probabilities(p.row(i), target, smooth, d, factors[k], p.cols);
      };
      losses[k] = targets.labels != nullptr ? row(targets.labels[i]) : row(targets.values.row(i));
      logs[k] = static_cast<T>(losses[k].argument);
    }
    for (Index k = count; k < group; ++k) logs[k] = 1;
    store(log(load(logs)), logs);
    for (Index k = 0; k < count; ++k) {
      const double loss = losses[k].times * static_cast<double>(logs[k]) + losses[k].rest;
      row_loss[first + k] = static_cast<T>(factors[k] * loss);
    }
  }
}

} // namespace

void list_cross_entropy(Device& device) {
  device.float32.cross_entropy = cross_entropy<float>;
  device.float64.cross_entropy = cross_entropy<double>;
}

} // namespace chainrule::cpu::CHAINRULE_ISA
