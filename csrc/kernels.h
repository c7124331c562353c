// THE LIST: every operation that a device must offer, one function pointer each.
//
// Each operation is called by all threads of a team at once and does the share that `team` says is its own. It
// contains no barrier unless it says so: the caller places one where a later operation reads what another thread
// wrote. It does not throw and does not allocate: everything was checked before the team started. (The null table's
// throw, but no network is made for a device that is not available.) Its result does not depend on the number of
// threads.
//
// Gradients of parameters add or overwrite as `Write` says; gradients of activations always overwrite. "May alias"
// means the very same array; what does not say so aliases nothing, and partial overlap is never allowed. Each name
// stands again in python/chainrule/reference.py, where the operation is specified in NumPy.
//
// Letters: B rows of a batch, K classes or outputs, n elements, d columns; core/view.h.
#pragma once

#include <cstdint>

#include "core/random.h"
#include "core/team.h"
#include "core/view.h"
#include "formulas/activations.h"
#include "formulas/losses.h"
#include "formulas/updates.h"

namespace chainrule {

/// Whether a result replaces what was there or is added to it.
enum class Write { overwrite, add };

/// A factor of a matrix product, as it lies in memory and as it is used.
template <class T> struct Factor {
  MatrixView<const T> matrix;
  bool transposed = false;

  CHAINRULE_INLINE Index rows() const { return transposed ? matrix.cols : matrix.rows; }
  CHAINRULE_INLINE Index cols() const { return transposed ? matrix.rows : matrix.cols; }
};

/// What a matrix product does to an element before it is stored: c <- g(c + bias). Only with Write::overwrite.
template <class T> struct Epilogue {
  const T* bias = nullptr; // (cols of c), or none
  Activation activation{};
};

/// The right answers for B rows: class numbers, or one number for each output. Exactly one is set.
template <class T> struct Targets {
  const std::int32_t* labels = nullptr; // (B), each in 0..K-1
  MatrixView<const T> values{};         // (B, K)
};

template <class T> struct Kernels {
  // Products ----------------------------------------------------------------------------------------------------

  /// c (m, n) = g(a (m, k) b (k, n) + bias), or c += a b. c aliases nothing. Sums run along k in an order that
  /// depends on k alone.
  void (*matmul)(const Team&, Factor<T> a, Factor<T> b, MatrixView<T> c, Write, Epilogue<T>);

  // Element by element ------------------------------------------------------------------------------------------

  /// h = g(z), n elements. h may alias z.
  void (*activation_forward)(const Team&, Activation, const T* z, T* h, Index n);
  /// dz = dh * g'(z), with g' taken from the output h, n elements. dz may alias dh.
  void (*activation_backward)(const Team&, Activation, const T* h, const T* dh, T* dz, Index n);
  /// y = x * mask / (1 - rate), with P(mask = 0) = rate, n elements below 2^34. y may alias x. The backward pass is
  /// the same call on the gradient: the mask is a function of the stream and the element's number.
  void (*dropout)(const Team&, Stream, double rate, const T* x, T* y, Index n);
  /// y += factor * x, n elements.
  void (*add_scaled)(const Team&, double factor, const T* x, T* y, Index n);
  /// x = value, n elements.
  void (*fill)(const Team&, double value, T* x, Index n);
  /// One step of an update rule on n parameters w with gradients g and its states; those it has not may be null.
  void (*update)(const Team&, UpdateRule, const UpdateNumbers&, T* w, const T* g, T* state1, T* state2, Index n);

  // Row by row --------------------------------------------------------------------------------------------------

  /// h = exp(z) / sum(exp(z)) in each row, (B, K). h may alias z.
  void (*softmax_forward)(const Team&, MatrixView<const T> z, MatrixView<T> h);
  /// dz = h * (dh - sum(h * dh)) in each row, (B, K). dz may alias dh.
  void (*softmax_backward)(const Team&, MatrixView<const T> h, MatrixView<const T> dh, MatrixView<T> dz);
  /// to (B, d) = the rows of `from` that `rows` (B) numbers.
  void (*gather_rows)(const Team&, MatrixView<const T> from, const std::int32_t* rows, MatrixView<T> to);
  /// to (B) = the labels that `rows` (B) numbers.
  void (*gather_labels)(const Team&, const std::int32_t* from, const std::int32_t* rows, std::int32_t* to, Index count);

  // Losses and scores -------------------------------------------------------------------------------------------

  /// row_loss (B) = scale * weight * sum over j of l(p, y); dp = scale * weight * dl/dp, or not computed where
  /// dp.data is null. weight (B) may be null, for 1. dp may alias p.
  void (*element_loss)(const Team&, ElementLoss, MatrixView<const T> p, MatrixView<const T> y, const T* weight,
                       double scale, T* row_loss, MatrixView<T> dp);
  /// Cross-entropy over K classes, -sum over j of y log f, with f = softmax(p), or f = p kept within
  /// [probability_margin, 1]; otherwise as element_loss. From logits, dp = scale * weight * (f sum(y) - y).
  void (*cross_entropy)(const Team&, bool from_logits, MatrixView<const T> p, Targets<T>, const T* weight, double scale,
                        T* row_loss, MatrixView<T> dp);
  /// row_score (B) = 1 where the greatest p is the target's class (or the greatest target), else 0; the first of
  /// several greatest counts. With K = 1: where p > threshold and y > 1/2 agree. A row with NaN scores 0.
  void (*correct_rows)(const Team&, MatrixView<const T> p, Targets<T>, double threshold, T* row_score);

  // Sums --------------------------------------------------------------------------------------------------------

  /// sum (d) = or += the sum over rows of x (B, d), from the first row to the last.
  void (*column_sum)(const Team&, MatrixView<const T> x, T* sum, Write);
  /// blocks[i] = sum of x^2 over block i of sum_block elements; ceil(n / sum_block) blocks. The caller adds them
  /// up, in order, after a barrier.
  void (*sum_squares)(const Team&, const T* x, Index n, double* blocks);
};

/// Elements that one block of a split sum covers: many enough that the blocks cost nothing, few enough that a
/// large array gives every thread several.
inline constexpr Index sum_block = 4096;

/// A device: its name and its tables.
struct Device {
  const char* name;
  Kernels<float> float32;
  Kernels<double> float64;

  template <class T> const Kernels<T>& kernels() const;
};
template <> inline const Kernels<float>& Device::kernels<float>() const { return float32; }
template <> inline const Kernels<double>& Device::kernels<double>() const { return float64; }

} // namespace chainrule
