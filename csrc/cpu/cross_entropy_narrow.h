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
  alignas(alignment_bytes) T numbers[width] = {};
  for (Index k = 0; k < count; ++k) numbers[k] = static_cast<T>(factor[k]);
  const Vec<T> scale = load(numbers);
  for (Index k = 0; k < count; ++k) numbers[k] = static_cast<T>(labels[k]);
  const Vec<T> label = load(numbers);

  Vec<T> distance(0), distances(0); // m - z_label, and the sum over all classes
  NarrowRows<T> rows;               // before dz is written, whose rows may be those of z
  exponentials(z, first, count, rows, [&](Index j, Vec<T> to_most) {
    distance = select(label == Vec<T>(j), to_most, distance);
    if (floor != 0) distances = distances + to_most;
  });
  const Vec<T> loss = log(rows.total) + Vec<T>(keep) * distance + Vec<T>(floor) * distances;
  if (count == width) {
    store(scale * loss, row_loss);
  } else {
    store(scale * loss, row_loss, Partial{count});
  }
  if (dz.data == nullptr) return;

  const Vec<T> share = scale / rows.total, shift = scale * Vec<T>(floor), kept = scale * Vec<T>(keep);
  store_rows(rows, first, count, dz,
             [&](Index j, Vec<T> e) { return e * share - shift - select(label == Vec<T>(j), kept, Vec<T>(0)); });
}

} // namespace
} // namespace chainrule::cpu::CHAINRULE_ISA
