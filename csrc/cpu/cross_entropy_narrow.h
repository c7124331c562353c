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
void narrow_rows(const MatrixView<const T>& z, Index first, Index count, const std::int32_t* labels, double keep,
                 double floor, const double* factor, T* row_loss, const MatrixView<T>& dz) {
  constexpr Index width = Vec<T>::width;
  alignas(alignment_bytes) T own_class[width] = {}, factors[width] = {}; // 0 in lanes without a row
  for (Index k = 0; k < count; ++k) {
    own_class[k] = static_cast<T>(labels[k]);
    factors[k] = static_cast<T>(factor[k]);
  }
  const Vec<T> label = load(own_class), scale = load(factors);

  Vec<T> label_logits(0), distances(0); // z_label; sum_j (m - z_j)
  NarrowRows<T> rows;                   // before dz is written, whose rows may be those of z
  exponentials(z, first, count, rows, [&](Index j, Vec<T> logits, Vec<T> most) {
    label_logits = select(label == Vec<T>(j), logits, label_logits);
    if (floor != 0) distances = distances + (most - logits);
  });
  const Vec<T> half(0.5), kept = scale * Vec<T>(keep), shift = scale * Vec<T>(floor);
  // Half of m - z_label is a number of T where all of it is not; the mean over rows may be one yet.
  const Vec<T> distance = half * rows.most - half * label_logits;
  const Vec<T> loss = scale * log(rows.total) + (kept + kept) * distance + shift * distances;
  if (count == width) {
    store(loss, row_loss);
  } else {
    store(loss, row_loss, Partial{count});
  }
  if (dz.data == nullptr) return;

  const Vec<T> share = scale / rows.total;
  store_rows(rows, first, count, dz,
             [&](Index j, Vec<T> e) { return e * share - shift - select(label == Vec<T>(j), kept, Vec<T>(0)); });
}

} // namespace
} // namespace chainrule::cpu::CHAINRULE_ISA
