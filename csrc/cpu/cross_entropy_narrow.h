// Cross-entropy of a few classes from logits, many rows at once: a register holds one class of as many rows as it has
// lanes, so that no lane is idle and nothing is summed across lanes.
//
//   l = log sum_i exp(z_i - m) + keep (m - z_label) + floor sum_j (m - z_j)      m = max z
//   dz_j = factor (exp(z_j - m) / sum_i exp(z_i - m) - floor), and - factor keep at the label
//
// Only for targets that are class numbers; probabilities, and many classes, go row by row (cross_entropy.cpp).
// (64-32-10, AVX2: a step of training takes 0.85 of the time that it takes row by row.)
#pragma once

#include "cpu/turned.h"
#include "cpu/vector_math.h"

namespace chainrule::cpu::CHAINRULE_ISA {
namespace {

/// Beyond, rows fill their registers well enough on their own.
template <class T> constexpr Index narrow_classes = 2 * Vec<T>::width;

/// `count` rows of logits, at most a register's lanes. factor (count) is each row's scale * weight. The rows of dz may
/// be those of z; dz.data may be null.
template <class T>
void narrow_rows(MatrixView<const T> z, Index first, Index count, const std::int32_t* labels, double keep, double floor,
                 const double* factor, T* row_loss, MatrixView<T> dz) {
  constexpr Index width = Vec<T>::width;
  const Index classes = z.cols;
  Vec<T> e[narrow_classes<T>];
  T label_logits[width];
  for (Index k = 0; k < count; ++k) label_logits[k] = z.row(first + k)[labels[k]];

  Vec<T> most(-std::numeric_limits<double>::infinity());
  for (Index j = 0; j < classes; j += width) {
    Vec<T> square[width];
    load_turned(z.row(first) + j, z.stride, count, classes - j < width ? classes - j : width, square);
    for (Index s = 0; s < width && j + s < classes; ++s) {
      e[j + s] = square[s];
      most = max(square[s], most); // NaN is passed over
    }
  }
  Vec<T> total(0), distances(0);
  for (Index j = 0; j < classes; ++j) {
    if (floor != 0) distances = distances + (most - e[j]);
    e[j] = exp(e[j] - most);
    total = total + e[j];
  }

  alignas(alignment_bytes) T logs[width], greatest[width], far[width], factors[width];
  store(log(total), logs);
  store(most, greatest);
  store(distances, far);
  for (Index k = 0; k < count; ++k) {
    const double distance = static_cast<double>(greatest[k]) - static_cast<double>(label_logits[k]);
    const double loss = static_cast<double>(logs[k]) + keep * distance + floor * static_cast<double>(far[k]);
    row_loss[k] = static_cast<T>(factor[k] * loss);
    factors[k] = static_cast<T>(factor[k]);
  }
  if (dz.data == nullptr) return;

  for (Index k = count; k < width; ++k) factors[k] = 0;
  const Vec<T> scale = load(factors), share = scale / total, shift = scale * Vec<T>(floor);
  for (Index j = 0; j < classes; j += width) {
    const Index cols = classes - j < width ? classes - j : width;
    Vec<T> square[width];
    for (Index s = 0; s < width; ++s) square[s] = s < cols ? e[j + s] * share - shift : Vec<T>(0);
    store_turned(square, dz.row(first) + j, dz.stride, count, cols);
  }
  for (Index k = 0; k < count; ++k) dz.row(first + k)[labels[k]] -= static_cast<T>(factor[k] * keep);
}

} // namespace
} // namespace chainrule::cpu::CHAINRULE_ISA
