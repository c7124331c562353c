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

// Of so many classes each member counts its rows apart, in 3 KiB, before it adds them to the others': two members that
// count in one place wait for each other at every row. Of more classes, few rows are of the same.
constexpr Index most_apart = 128;

/// *count += more, also where other members do the same. By the compiler's own functions: std::atomic_ref would be
/// inline functions of the library.
CHAINRULE_INLINE void add(const Team& team, double* count, double more) {
  if (team.size() == 1) { // nobody else does, and it takes a few cycles less
    *count += more;
    return;
  }
  double before, after;
  __atomic_load(count, &before, __ATOMIC_RELAXED);
  do {
    after = before + more;
  } while (!__atomic_compare_exchange(count, &before, &after, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
}

/// Calls add_one(place) for each count that a row of the share adds to.
template <class T, class AddOne>
CHAINRULE_INLINE void for_counts(Range rows, const MatrixView<const T>& p, const Targets<T>& targets,
                                 const Counts& counts, AddOne add_one) {
  for (Index i = rows.begin; i < rows.end; ++i) {
    const Index right = targets.labels != nullptr ? Index{targets.labels[i]} : greatest(targets.values.row(i), p.cols);
    const Index chosen = greatest(p.row(i), p.cols);
    if (right >= 0) add_one(counts.actual + right);
    if (chosen >= 0) add_one(counts.predicted + chosen);
    if (chosen >= 0 && chosen == right) add_one(counts.correct + right);
  }
}

/// Cut by rows: two of them may be of one class. Whole numbers are added, so the order changes nothing.
template <class T>
void count_rows(const Team& team, const MatrixView<const T>& p, const Targets<T>& targets, double* counts) {
  const Range rows = team.share(p.rows);
  const Index classes = p.cols;
  if (classes > most_apart) {
    const Counts three{counts, counts + classes, counts + 2 * classes};
    for_counts(rows, p, targets, three, [&](double* count) { add(team, count, 1); });
    return;
  }
  double own[3 * most_apart];
  for (Index i = 0; i < 3 * classes; ++i) own[i] = 0;
  for_counts(rows, p, targets, {own, own + classes, own + 2 * classes}, [](double* count) { *count += 1; });
  for (Index i = 0; i < 3 * classes; ++i) {
    if (own[i] > 0) add(team, counts + i, own[i]);
  }
}

/// Cut by columns.
template <class T>
void count_columns(const Team& team, const MatrixView<const T>& p, const MatrixView<const T>& y, double threshold,
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
void count_classes(const Team& team, const MatrixView<const T>& p, const Targets<T>& targets, bool exclusive,
                   double threshold, double* counts) {
  if (exclusive || targets.labels != nullptr) {
    count_rows(team, p, targets, counts);
  } else {
    count_columns(team, p, targets.values, threshold, {counts, counts + p.cols, counts + 2 * p.cols});
  }
}

} // namespace

void list_count_classes(Device& device) {
  device.float32.count_classes = count_classes<float>;
  device.float64.count_classes = count_classes<double>;
}

} // namespace chainrule::cpu::CHAINRULE_ISA
