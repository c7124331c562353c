// Cross-entropy over the classes of a row, with its gradient in the same pass.
//
//   from logits:         l = sum_j y'_j (log sum_i exp(z_i - m) + (m - z_j))     dl/dz_j = f_j sum(y') - y'_j
//   from probabilities:  l = - sum_j y'_j log f_j,  f within [margin, 1]         dl/dp_j = - y'_j / f_j
//
// with f = softmax(z), m = max z, and y' = (1 - smoothing) y + smoothing / K. Only differences of logits are taken, so
// that large ones lose nothing; a class with y'_j = 0 adds nothing, even where its logit is -infinity. For a class
// number, y is 1 at that class and 0 elsewhere.
#include "cpu/operations.h"
#include "cpu/softmax_row.h"

namespace chainrule::cpu::CHAINRULE_ISA {
namespace {

/// The logarithm of one number, by way of a register.
template <class T> double log_of(double x) { return static_cast<double>(log(Vec<T>(x)).v[0]); }

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
double row_from_logits(const T* z, const T* y, Smoothing smoothing, T* dz, double factor, Index classes) {
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
  return y_sum * log_of<T>(total) + distance;
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
double row_from_logits(const T* z, std::int32_t label, Smoothing smoothing, T* dz, double factor, Index classes) {
  const double m = greatest_of_row(z, classes);
  double distance = smoothing.keep * (m - static_cast<double>(z[label]));
  if (!smoothing.is_none()) distance += smoothing.floor * sum_of_distances(z, m, classes);
  const double total = shifted_exponentials(z, m, dz, classes);
  if (dz != nullptr) {
    const Vec<T> share(factor / total), floor(factor * smoothing.floor);
    each_vector<T>({0, classes}, [&](Index j, auto part) { store(load(dz + j, part) * share - floor, dz + j, part); });
    dz[label] -= static_cast<T>(factor * smoothing.keep);
  }
  return log_of<T>(total) + distance;
}

/// Loss of one row from probabilities p (K); dp (K) may be null, or alias p. `target_of(j, part)` is y'.
template <class T, class Target>
double row_from_probabilities(const T* p, Target target_of, T* dp, double factor, Index classes) {
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
double row_from_probabilities(const T* p, const T* y, Smoothing smoothing, T* dp, double factor, Index classes) {
  return row_from_probabilities(
      p, [&](Index j, auto part) { return smoothed(smoothing, y + j, part); }, dp, factor, classes);
}

template <class T>
double row_from_probabilities(const T* p, std::int32_t label, Smoothing smoothing, T* dp, double factor,
                              Index classes) {
  const double f = static_cast<double>(within_margin(Vec<T>(p[label])).v[0]);
  double loss = 0;
  if (!smoothing.is_none()) { // all classes count
    const Vec<T> floor(smoothing.floor);
    loss = row_from_probabilities(
        p, [&](Index, auto part) { return select(lanes_of<T>(part), floor, Vec<T>(0)); }, dp, factor, classes);
  } else if (dp != nullptr) {
    for (Index j = 0; j < classes; ++j) dp[j] = 0;
  }
  if (dp != nullptr) dp[label] -= static_cast<T>(factor * smoothing.keep / f);
  return loss - smoothing.keep * log_of<T>(f);
}

template <class T>
void cross_entropy(const Team& team, bool from_logits, double smoothing, MatrixView<const T> p, Targets<T> targets,
                   const T* weight, double scale, T* row_loss, MatrixView<T> dp) {
  const Smoothing smooth{1 - smoothing, smoothing / static_cast<double>(p.cols)};
  const Range rows = team.share(p.rows);
  for (Index i = rows.begin; i < rows.end; ++i) {
    const double factor = scale * (weight != nullptr ? static_cast<double>(weight[i]) : 1);
    T* const d = dp.data != nullptr ? dp.row(i) : nullptr;
    auto row = [&](auto target) { // a class number, or the row's probabilities
      return from_logits ? row_from_logits(p.row(i), target, smooth, d, factor, p.cols)
                         : row_from_probabilities(p.row(i), target, smooth, d, factor, p.cols);
    };
    const double loss = targets.labels != nullptr ? row(targets.labels[i]) : row(targets.values.row(i));
    row_loss[i] = static_cast<T>(factor * loss);
  }
}

} // namespace

void list_cross_entropy(Device& device) {
  device.float32.cross_entropy = cross_entropy<float>;
  device.float64.cross_entropy = cross_entropy<double>;
}

} // namespace chainrule::cpu::CHAINRULE_ISA
