// Accuracy, row by row: 1 where the target's class is among the k that the prediction names first, else 0.
#include "cpu/greatest.h"
#include "cpu/operations.h"

namespace chainrule::cpu::CHAINRULE_ISA {
namespace {

template <class T>
void correct_rows(const Team& team, const MatrixView<const T>& p, const Targets<T>& targets, Index k, double threshold,
                  T* row_score) {
  const Range rows = team.share(p.rows);
  for (Index i = rows.begin; i < rows.end; ++i) {
    bool correct;
    if (targets.labels != nullptr) {
      correct = among_greatest(p.row(i), p.cols, targets.labels[i], k);
    } else if (p.cols == 1) {
      const T prediction = *p.row(i), target = *targets.values.row(i);
      const bool numbers = prediction == prediction && target == target;
      correct = numbers && (static_cast<double>(prediction) > threshold) == (target > T(0.5));
    } else {
      const Index right = greatest(targets.values.row(i), p.cols);
      correct = right >= 0 && among_greatest(p.row(i), p.cols, right, k);
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
