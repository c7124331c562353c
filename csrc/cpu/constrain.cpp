// Constraints on the columns of a weight matrix, each the incoming weights w of a unit.
//
//   max_norm      w <- w c / |w| where |w| > c        unit_norm  w <- w / |w| where |w| > 0
//   non_negative  w <- max(w, 0), NaN stays NaN
//
// The squares of a norm are summed in double precision, from the first row to the last: no weight in single precision
// is too large or too small for that. A column that obeys, or that has a NaN, keeps its bits.
#include "cpu/operations.h"
#include "cpu/vector.h"

namespace chainrule::cpu::CHAINRULE_ISA {
namespace {

constexpr Index strip_columns = 256; // whose numbers take 2 KB, of a cache of 32 KB

/// Multiplies each column by factor(its norm).
template <class T, class Factor> void scale_columns(const MatrixView<T>& w, Range columns, Factor factor) {
  double numbers[strip_columns]; // of each column: the sum of squares, then the factor
  for (Index begin = columns.begin; begin < columns.end; begin += strip_columns) {
    const Index count = columns.end - begin < strip_columns ? columns.end - begin : strip_columns;
    for (Index j = 0; j < count; ++j) numbers[j] = 0;
    auto each = [&](auto body) { // body(the weights, their columns' numbers, part)
      for (Index i = 0; i < w.rows; ++i) {
        each_vector<double>({0, count}, [&](Index j, auto part) { body(w.row(i) + begin + j, numbers + j, part); });
      }
    };
    each([](const T* weights, double* sums, auto part) {
      const Vec<double> x = load_as<double>(weights, part);
      store(load(sums, part) + x * x, sums, part);
    });
    for (Index j = 0; j < count; ++j) numbers[j] = factor(__builtin_sqrt(numbers[j]));
    each([](T* weights, const double* factors, auto part) {
      store_as(load(factors, part) * load_as<double>(weights, part), weights, part);
    });
  }
}

template <class T> void non_negative(const MatrixView<T>& w, Range columns) {
  const Vec<T> zero(0);
  for (Index i = 0; i < w.rows; ++i) {
    each_vector<T>(columns, [&](Index j, auto part) {
      const Vec<T> weight = load(w.row(i) + j, part);
      store(select(weight < zero, zero, weight), w.row(i) + j, part);
    });
  }
}

template <class T>
void constrain_columns(const Team& team, ColumnConstraint constraint, double limit, const MatrixView<T>& w) {
  const Range columns = team.share(w.cols, line_elements<T>);
  switch (constraint) {
  case ColumnConstraint::max_norm:
    return scale_columns(w, columns, [&](double norm) { return norm > limit ? limit / norm : 1; });
  case ColumnConstraint::unit_norm:
    return scale_columns(w, columns, [](double norm) { return norm > 0 ? 1 / norm : 1; });
  case ColumnConstraint::non_negative:
    return non_negative(w, columns);
  }
}

} // namespace

void list_constrain(Device& device) {
  device.float32.constrain_columns = constrain_columns<float>;
  device.float64.constrain_columns = constrain_columns<double>;
}

} // namespace chainrule::cpu::CHAINRULE_ISA
