// Cross-entropy of a few classes from logits, many rows at once (narrow_rows.h).
//
//   l = log sum_i exp(z_i - m) + keep (m - z_label) + floor sum_j (m - z_j)      m = max z
//   dz_j = factor (exp(z_j - m) / sum_i exp(z_i - m) - floor), and - factor keep at the label
//
// Only for targets that are class numbers; probabilities, and many classes, go row by row (cross_entropy.cpp).
// (64-32-10, AVX2: a step of training takes 0.85 of the time that it takes row by row.)
#pragma once

#include "cpu/narrow_rows.h"

namespace chainrule::cpu::CHAINRULE_ISA {
namespace {

/// `count` rows of logits, at most a register's lanes. factor (count) is each row's scale * weight. The rows of dz may
/// be those of z; dz.data may be null.
template <class T>
void narrow_rows(MatrixView<const T> z, Index first, Index count, const std::int32_t* labels, double keep, double floor,
                 const double* factor, T* row_loss, MatrixView<T> dz) {
  constexpr Index width = Vec<T>::width;
  T label_logits[width];
  for (Index k = 0; k < count; ++k) label_logits[k] = z.row(first + k)[labels[k]];

  NarrowRows<T> rows; // before dz is written, whose rows may be those of z
  exponentials(z, first, count, floor != 0, rows);

  alignas(alignment_bytes) T logs[width], greatest[width], far[width], factors[width];
  store(log(rows.total), logs);
  store(rows.most, greatest);
  store(rows.distances, far);
  for (Index k = 0; k < count; ++k) {
    const double distance = static_cast<double>(greatest[k]) - static_cast<double>(label_logits[k]);
    const double loss = static_cast<double>(logs[k]) + keep * distance + floor * static_cast<double>(far[k]);
    row_loss[k] = static_cast<T>(factor[k] * loss);
    factors[k] = static_cast<T>(factor[k]);
  }
  if (dz.data == nullptr) return;

  for (Index k = count; k < width; ++k) factors[k] = 0;
  const Vec<T> scale = load(factors), share = scale / rows.total, shift = scale * Vec<T>(floor);
  store_rows(rows, first, count, dz, [&](Vec<T> e) { return e * share - shift; });
  for (Index k = 0; k < count; ++k) dz.row(first + k)[labels[k]] -= static_cast<T>(factor[k] * keep);
}

} // namespace
} // namespace chainrule::cpu::CHAINRULE_ISA
