// Rows of each class, rows predicted to be of it, and rows of which both is true: what precision, recall and F1 are
// made of. It divides nothing.
#include "cpu/greatest.h"
#include "cpu/operations.h"

namespace chainrule::cpu::CHAINRULE_ISA {
namespace {

/// The three rows of the counts.
struct Counts {
  double *actual, *predicted, *correct; // (K) each
};

/// *count += 1, also where other members do the same. By the compiler's own functions: std::atomic_ref would be inline
/// functions of the library.
CHAINRULE_INLINE void add_one(const Team& team, double* count) {
  if (team.size() == 1) { // nobody else does, and it takes a few cycles less
    *count += 1;
    return;
  }
  double before, after;
  __atomic_load(count, &before, __ATOMIC_RELAXED);
  do {
    after = before + 1;
  } while (!__atomic_compare_exchange(count, &before, &after, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
}

/// Cut by rows: two of them may be of one class.
template <class T>
void count_rows(const Team& team, MatrixView<const T> p, const Targets<T>& targets, const Counts& counts) {
  const Range rows = team.share(p.rows);
  for (Index i = rows.begin; i < rows.end; ++i) {
    const Index right = targets.labels != nullptr ? Index{targets.labels[i]} : greatest(targets.values.row(i), p.cols);
    const Index chosen = greatest(p.row(i), p.cols);
    if (right >= 0) add_one(team, counts.actual + right);
    if (chosen >= 0) add_one(team, counts.predicted + chosen);
    if (chosen >= 0 && chosen == right) add_one(team, counts.correct + right);
  }
}

/// Cut by columns.
template <class T>
void count_columns(const Team& team, MatrixView<const T> p, MatrixView<const T> y, double threshold,
                   const Counts& counts) {
  const Range columns = team.share(p.cols, line_elements<double>);
  for (Index i = 0; i < p.rows; ++i) {
    for (Index j = columns.begin; j < columns.end; ++j) {
      const bool right = y.row(i)[j] > T(0.5), chosen = static_cast<double>(p.row(i)[j]) > threshold;
      counts.actual[j] += right;
      counts.predicted[j] += chosen;
      counts.correct[j] += right && chosen;
    }
  }
}

template <class T>
void count_classes(const Team& team, MatrixView<const T> p, Targets<T> targets, bool exclusive, double threshold,
                   double* counts) {
  const Counts three{counts, counts + p.cols, counts + 2 * p.cols};
  if (exclusive || targets.labels != nullptr) {
    count_rows(team, p, targets, three);
  } else {
    count_columns(team, p, targets.values, threshold, three);
  }
}

} // namespace

void list_count_classes(Device& device) {
  device.float32.count_classes = count_classes<float>;
  device.float64.count_classes = count_classes<double>;
}

} // namespace chainrule::cpu::CHAINRULE_ISA
