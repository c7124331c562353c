// Accuracy, row by row: 1 where the prediction names the target's class, else 0.
#include "cpu/operations.h"
#include "cpu/vector.h"

namespace chainrule::cpu::CHAINRULE_ISA {
namespace {

/// Column of the greatest element, the first of several; -1 if there is a NaN.
template <class T> Index greatest(const T* row, Index cols) {
  Index best = 0;
  for (Index j = 0; j < cols; ++j) {
    if (row[j] != row[j]) return -1;
    if (row[j] > row[best]) best = j;
  }
  return best;
}

template <class T>
void correct_rows(const Team& team, MatrixView<const T> p, Targets<T> targets, double threshold, T* row_score) {
  const Range rows = team.share(p.rows);
  for (Index i = rows.begin; i < rows.end; ++i) {
    bool correct;
    if (targets.labels != nullptr) {
      correct = greatest(p.row(i), p.cols) == targets.labels[i];
    } else if (p.cols == 1) {
      const T prediction = *p.row(i), target = *targets.values.row(i);
      const bool numbers = prediction == prediction && target == target;
      correct = numbers && (static_cast<double>(prediction) > threshold) == (target > T(0.5));
    } else {
      const Index chosen = greatest(p.row(i), p.cols);
      correct = chosen >= 0 && chosen == greatest(targets.values.row(i), p.cols);
    }
    row_score[i] = correct ? T(1) : T(0);
  }
}

} // namespace

void list_correct_rows(Device& device) {
  device.float32.correct_rows = correct_rows<float>;
  device.float64.correct_rows = correct_rows<double>;
}

} // namespace chainrule::cpu::CHAINRULE_ISA
