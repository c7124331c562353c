// Losses of one element, summed over each row, with the gradient in the same pass: the loop around
// formulas/losses.h.
#include "cpu/operations.h"
#include "cpu/vector_math.h"

namespace chainrule::cpu::CHAINRULE_ISA {
namespace {

/// The same for a single column, rows `range` of p (B, 1), y and dp without gaps: a lane for a row, and no sum. `all`
/// is the scale.
template <class T, class Formula>
void single_column(Formula formula, Range range, const T* p, const T* y, const T* weight, Vec<T> all, T* row_loss,
                   T* dp) {
  each_vector<T>(range, [&](Index i, auto part) {
    const Vec<T> prediction = load(p + i, part), target = load(y + i, part);
    const Vec<T> factor = weight != nullptr ? all * load(weight + i, part) : all;
    const Vec<T> loss = factor * formula.value(prediction, target);
    if (dp != nullptr) store(factor * formula.slope(prediction, target), dp + i, part);
    store(loss, row_loss + i, part);
  });
}

template <class T>
void element_loss(const Team& team, ElementLoss loss, const MatrixView<const T>& p, const MatrixView<const T>& y,
                  const T* weight, double scale, T* row_loss, const MatrixView<T>& dp) {
  const Range rows = team.share(p.rows);
  const bool gaps = p.stride != 1 || y.stride != 1 || (dp.data != nullptr && dp.stride != 1);
  const Vec<T> all(scale);
  with_formula(loss, [&](auto formula) {
    if (p.cols == 1 && !gaps) {
      single_column(formula, rows, p.data, y.data, weight, all, row_loss, dp.data);
      return;
    }
    for (Index i = rows.begin; i < rows.end; ++i) {
      const Vec<T> factor = weight != nullptr ? all * Vec<T>(weight[i]) : all;
      Vec<T> sum(0);
      each_vector<T>({0, p.cols}, [&](Index j, auto part) {
        const Vec<T> prediction = load(p.row(i) + j, part), target = load(y.row(i) + j, part);
        sum = sum + select(lanes_of<T>(part), formula.value(prediction, target), Vec<T>(0));
        if (dp.data != nullptr) store(factor * formula.slope(prediction, target), dp.row(i) + j, part);
      });
      row_loss[i] = factor.v[0] * sum_of_lanes(sum);
    }
  });
}

} // namespace

void list_element_loss(Device& device) {
  device.float32.element_loss = element_loss<float>;
  device.float64.element_loss = element_loss<double>;
}

} // namespace chainrule::cpu::CHAINRULE_ISA
