// THE LIST: every operation that a device must offer, one function pointer each.
//
// Each operation is called by all threads of a team at once and does the share that `team` says is its own. It
// contains no barrier unless it says so: the caller places one where a later operation reads what another thread
// wrote. It does not throw and does not allocate: everything was checked before the team started. (The null table's
// throw, but no network is made for a device that is not available; a GPU's throw what the GPU reports, and there the
// team is one thread.) Its result does not depend on the number of threads.
//
// Gradients of parameters add or overwrite as `Write` says; gradients of activations always overwrite. "May alias"
// means the very same array; what does not say so aliases nothing, and partial overlap is never allowed. Each name
// stands again in python/chainrule/reference, where the operation is specified in NumPy.
//
// Letters: B rows of a batch, K classes or outputs, n elements, d columns; core/view.h.
#pragma once

#include <cstdint>

#include "core/feed.h"
#include "core/memory.h"
#include "core/random.h"
#include "core/replay.h"
#include "core/team.h"
#include "core/view.h"
#include "formulas/activations.h"
#include "formulas/images.h"
#include "formulas/losses.h"
#include "formulas/penalties.h"
#include "formulas/shuffle.h"
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

/// What a matrix product does to an element of its result: c <- g(c + bias), or, on the way back, c <- c g'(h), as
/// activation_backward does. Only with Write::overwrite. Products of sparse rows have no h.
template <class T> struct Epilogue {
  const T* bias = nullptr; // (cols of c), or none
  Activation activation{};
  const T* h = nullptr; // as c, neither with gaps between its rows, and no bias; null for g itself
};

/// The right answers for B rows: class numbers, or one number for each output. Exactly one is set.
template <class T> struct Targets {
  const std::int32_t* labels = nullptr; // (B), each in 0..K-1
  MatrixView<const T> values{};         // (B, K)
};

/// Which elements of a matrix (B, d) are dropped: a function of the stream and an element's place, so that the way
/// back needs no copy of it.
struct DropMask {
  Stream stream;
  double rate = 0;   // each element on its own, with this probability; 0 to below 1
  Index count = -1;  // or, where at least 0: so many of each row, every choice of them being equally likely
  bool same = false; // whether all rows share the mask of row 0
};

/// Which rows of the data set those of a batch are, each below 2^31.
struct RowNumbers {
  const std::int32_t* numbers = nullptr; // (B), or null for first, first + 1, ...
  Index first = 0;

  CHAINRULE_INLINE constexpr Index operator[](Index i) const { return numbers != nullptr ? numbers[i] : first + i; }
};

/// Rows of a matrix of which only some elements are kept, the others being 0 (CSR). Row i is the numbers[i]-th that is
/// kept, and has values[e] in column columns[e] for e in kept(i), in any order; what a column has twice is added.
template <class T> struct SparseRows {
  const Index* offsets = nullptr;        // where the elements of each kept row begin, and the end of the last
  const std::int32_t* columns = nullptr; // of each element, in 0..cols-1
  const T* values = nullptr;
  Index rows = 0; // B
  Index cols = 0;
  RowNumbers numbers{};

  CHAINRULE_INLINE Range kept(Index i) const { return {offsets[numbers[i]], offsets[numbers[i] + 1]}; }
  /// Others of the same rows.
  SparseRows chosen(RowNumbers others, Index count) const { return {offsets, columns, values, count, cols, others}; }
};

/// The state of an update rule, arrays as long as the parameters; those that a rule has not are null.
template <class T> struct UpdateStates { T *first = nullptr, *second = nullptr, *third = nullptr; };

/// What may be required of the incoming weights of a unit, a column w of a weight matrix, with c the limit:
///   max_norm      w <- w c / max(|w|, c)
///   unit_norm     w <- w / |w|, where |w| > 0
///   non_negative  w <- max(w, 0)
enum class ColumnConstraint { max_norm, unit_norm, non_negative };

inline constexpr const char* column_constraint_names[] = {"max_norm", "unit_norm", "non_negative"};

template <class T> struct Kernels {
  // Products ----------------------------------------------------------------------------------------------------

  /// c (m, n) = g(a (m, k) b (k, n) + bias), c = (a b) g'(h), or c += a b. c aliases nothing. Sums run along k in an
  /// order that shape and transposes decide; on a CPU, the number of rows m only where b is transposed.
  void (*matmul)(const Team&, const Factor<T>& a, const Factor<T>& b, const MatrixView<T>& c, Write,
                 const Epilogue<T>&);

  // Element by element ------------------------------------------------------------------------------------------

  /// h = g(z), n elements. h may alias z.
  void (*activation_forward)(const Team&, Activation, const T* z, T* h, Index n);
  /// dz = dh * g'(z), with g' taken from the output h, n elements. dz may alias dh.
  void (*activation_backward)(const Team&, Activation, const T* h, const T* dh, T* dz, Index n);
  /// y = 0 where the mask drops, else scale * x; (B, d) of fewer than 2^34 elements, both without gaps between their
  /// rows. y may alias x. The backward pass is the same call on the gradient.
  void (*dropout)(const Team&, const DropMask&, double scale, const MatrixView<const T>& x, const MatrixView<T>& y);
  /// y = x + deviation * N(0, 1), n elements below 2^34. y may alias x.
  void (*add_noise)(const Team&, Stream, double deviation, const T* x, T* y, Index n);
  /// y += factor * x, n elements. y may alias x.
  void (*add_scaled)(const Team&, double factor, const T* x, T* y, Index n);
  /// y = factor * x, n elements. y may alias x.
  void (*scale)(const Team&, double factor, const T* x, T* y, Index n);
  /// y = x * factors, n elements. y may alias either.
  void (*multiply)(const Team&, const T* x, const T* factors, T* y, Index n);
  /// y = x kept within [-limit, limit], n elements; NaN stays NaN. y may alias x.
  void (*clip)(const Team&, double limit, const T* x, T* y, Index n);
  /// g *= limit / (norm + 1e-6) where that is below 1, n elements; norm is the root of `squares`, one number. Where the
  /// norm is not a number, nothing changes.
  void (*clip_norm)(const Team&, double limit, const double* squares, T* g, Index n);
  /// y = sign(x) max(|x| - threshold, 0), n elements; NaN stays NaN. y may alias x.
  void (*soft_threshold)(const Team&, double threshold, const T* x, T* y, Index n);
  /// x = value, n elements.
  void (*fill)(const Team&, double value, T* x, Index n);
  /// One step of an update rule on n parameters w with gradients g and its states, after w <- keep * w.
  void (*update)(const Team&, UpdateRule, const UpdateNumbers&, T* w, const T* g, const UpdateStates<T>&, Index n);

  /// order (n) = the rows 0..n-1 as they come in an epoch, n being that of the shuffle.
  void (*shuffled_order)(const Team&, const Shuffle&, std::int32_t* order);

  // Row by row --------------------------------------------------------------------------------------------------

  /// h = exp(z) / sum(exp(z)) in each row, (B, K). h may alias z.
  void (*softmax_forward)(const Team&, const MatrixView<const T>& z, const MatrixView<T>& h);
  /// dz = h * (dh - sum(h * dh)) in each row, (B, K). dz may alias dh.
  void (*softmax_backward)(const Team&, const MatrixView<const T>& h, const MatrixView<const T>& dh,
                           const MatrixView<T>& dz);
  /// h (B, d) = the greatest of the pieces z (B, pieces * d), unit j having the columns j, d + j, 2 d + j, ...; NaN if
  /// one is. The number of pieces is z.cols / h.cols.
  void (*max_pieces_forward)(const Team&, const MatrixView<const T>& z, const MatrixView<T>& h);
  /// dz (B, pieces * d) = dh at the first piece that is greatest, 0 at the others. dz may alias z.
  void (*max_pieces_backward)(const Team&, const MatrixView<const T>& z, const MatrixView<const T>& dh,
                              const MatrixView<T>& dz);
  /// to (B, d) = the rows of `from` that `rows` (B) numbers.
  void (*gather_rows)(const Team&, const MatrixView<const T>& from, const std::int32_t* rows, const MatrixView<T>& to);
  /// to (B) = the labels that `rows` (B) numbers.
  void (*gather_labels)(const Team&, const std::int32_t* from, const std::int32_t* rows, std::int32_t* to, Index count);
  /// y (B, d) = x + deviation * N(0, 1), d below 2^34, with numbers that row i draws by numbers[i], and by the stream,
  /// whose step is an epoch; not by i. y may alias x.
  void (*noise_rows)(const Team&, Stream, double deviation, RowNumbers numbers, const MatrixView<const T>& x,
                     const MatrixView<T>& y);
  /// y (B, height * width * channels) = the pictures x, changed as numbers say that are drawn so.
  void (*augment_images)(const Team&, const ImageChanges&, Stream, RowNumbers numbers, const MatrixView<const T>& x,
                         const MatrixView<T>& y);

  // Column by column ---------------------------------------------------------------------------------------------

  /// mean (d) and variance (d) of the columns of x (B, d), B >= 1; the variance is divided by B ("biased").
  void (*column_moments)(const Team&, const MatrixView<const T>& x, T* mean, T* variance);
  /// h = gamma * xhat + beta, with xhat = (x - mean) / sqrt(variance + epsilon), (B, d). h may alias x. Columns are
  /// shared out as by column_moments.
  void (*normalize_forward)(const Team&, const MatrixView<const T>& x, const T* mean, const T* variance, double epsilon,
                            const T* gamma, const T* beta, const MatrixView<T>& h);
  /// The way back: dgamma (d) and dbeta (d) = or += column sums of dh xhat and of dh, not computed where dgamma is
  /// null (dbeta then too); dx, unless dx.data is null, by whether the moments were those of x itself:
  ///   dx = gamma / sqrt(variance + epsilon) * (dh - sum(dh) / B - xhat * sum(dh xhat) / B), or without the sums.
  /// dx may alias dh.
  void (*normalize_backward)(const Team&, const MatrixView<const T>& x, const T* mean, const T* variance,
                             double epsilon, const T* gamma, const MatrixView<const T>& dh, bool moments_of_x, Write,
                             T* dgamma, T* dbeta, const MatrixView<T>& dx);
  /// Makes each column of w (in, out) obey a constraint; the limit is that of max_norm.
  void (*constrain_columns)(const Team&, ColumnConstraint, double limit, const MatrixView<T>& w);

  // Losses and scores -------------------------------------------------------------------------------------------

  /// row_loss (B) = scale * weight * sum over j of l(p, y); dp = scale * weight * dl/dp, or not computed where
  /// dp.data is null. weight (B) may be null, for 1. dp may alias p.
  void (*element_loss)(const Team&, ElementLoss, const MatrixView<const T>& p, const MatrixView<const T>& y,
                       const T* weight, double scale, T* row_loss, const MatrixView<T>& dp);
  /// Cross-entropy over K classes, -sum over j of y' log f, with f = softmax(p), or f = p kept within
  /// [probability_margin, 1], and y' = (1 - smoothing) y + smoothing / K; otherwise as element_loss. From logits,
  /// dp = scale * weight * (f sum(y') - y').
  void (*cross_entropy)(const Team&, bool from_logits, double smoothing, const MatrixView<const T>& p,
                        const Targets<T>&, const T* weight, double scale, T* row_loss, const MatrixView<T>& dp);
  /// row_score (B) = 1 where the target's class (or the greatest target) is among the k classes of the greatest p, else
  /// 0; of equals the first count as greater. With K = 1 and values: where p > threshold and y > 1/2 agree, whatever k.
  /// A row with NaN scores 0.
  void (*correct_rows)(const Team&, const MatrixView<const T>& p, const Targets<T>&, Index k, double threshold,
                       T* row_score);
  /// counts (3, K) += for each column the rows that are of it, the rows predicted to be of it, and those of both. Where
  /// columns exclude each other, as they do with labels: a row is of its label (or of the greatest target), and
  /// predicted to be of the greatest p, the first of equals; with a NaN, of none. Else each column is a question of its
  /// own: y > 1/2, and p > threshold; a NaN means no.
  void (*count_classes)(const Team&, const MatrixView<const T>& p, const Targets<T>&, bool exclusive, double threshold,
                        double* counts);

  // Sums --------------------------------------------------------------------------------------------------------

  /// sum (d) = or += the sum over rows of x (B, d), from the first row to the last.
  void (*column_sum)(const Team&, const MatrixView<const T>& x, T* sum, Write);
  /// total, one number, += factor * sum of x (n), in double precision. All of it is done by rank 0.
  void (*accumulate)(const Team&, const T* x, Index n, double factor, double* total);
  /// blocks[i] = the sum of a penalty's terms over block i of sum_block elements of w; sum_blocks(n) of them.
  void (*penalty_sum)(const Team&, PenaltyTerm, const T* w, Index n, double* blocks);
  /// sum, one number, = the sum of blocks (n). All of it is done by rank 0.
  void (*sum_up)(const Team&, const double* blocks, Index n, double* sum);
  /// g += factor * the derivative of a penalty's term at w, n elements; where `sum` is not null, times the derivative
  /// of the term's root at that one number (root_slope of formulas/penalties.h).
  void (*penalty_gradient)(const Team&, PenaltyTerm, double factor, const double* sum, const T* w, T* g, Index n);
};

/// Elements that one block of a split sum covers: many enough that the blocks cost nothing, few enough that a
/// large array gives every thread several.
inline constexpr Index sum_block = 4096;
/// Blocks of a split sum over n elements.
CHAINRULE_INLINE constexpr Index sum_blocks(Index n) { return (n + sum_block - 1) / sum_block; }

// Narrow networks -----------------------------------------------------------------------------------------------------

/// A layer of a narrow network: h = g(x W + b). Its gradients are overwritten; null where it does not learn.
template <class T> struct NarrowLayer {
  Index inputs = 0, outputs = 0;
  Activation activation{};
  const T* weight = nullptr; // (inputs, outputs)
  const T* bias = nullptr;   // (outputs), or none
  T* dweight = nullptr;
  T* dbias = nullptr;
};

/// Its loss: the cross_entropy of the list, from logits, or an element_loss.
struct NarrowLoss {
  bool cross_entropy = false;
  double smoothing = 0;  // of cross_entropy
  ElementLoss element{}; // otherwise
  double scale = 1;
};

inline constexpr Index most_narrow_layers = 8;

/// What a batch makes of a narrow network: row_loss (B), p (B, K), unless p.data is null, and the gradients of all
/// layers that learn. Specified by what its parts are in python/chainrule/reference: matmul, the loss,
/// activation_backward and column_sum, one after the other.
template <class T> struct NarrowStep {
  NarrowLayer<T> layers[most_narrow_layers];
  Index depth = 0;
  NarrowLoss loss;
  MatrixView<const T> x{}; // (B, inputs)
  Targets<T> targets{};
  const T* weight = nullptr; // (B), or null for 1
  T* row_loss = nullptr;
  MatrixView<T> p{};
};

/// What a device may offer besides the list, where it is quicker: all of a narrow network's step as one. Its sums are
/// those of the list in another order, which depends on shapes alone.
template <class T> struct NarrowSteps {
  /// Whether it takes networks of such layers; looks at their shapes alone.
  bool (*takes)(const NarrowStep<T>&) = nullptr;
  void (*take)(const NarrowStep<T>&) = nullptr;
};

// Sparse rows ---------------------------------------------------------------------------------------------------------

/// What a device may offer besides the list: the products of a first layer with sparse rows s (B, in). An element that
/// is not kept multiplies nothing: beside it, an infinity does not become NaN.
template <class T> struct SparseProducts {
  /// z (B, d) = g(s w + bias), w (in, d). Sums run along the elements of a row, in their order.
  void (*sparse_product)(const Team&, const SparseRows<T>& s, const MatrixView<const T>& w, const MatrixView<T>& z,
                         const Epilogue<T>&) = nullptr;
  /// dw (in, d) = or += s^T dz, dz (B, d), from the first row to the last. All of dw is written to overwrite.
  void (*sparse_gradient)(const Team&, const SparseRows<T>& s, const MatrixView<const T>& dz, const MatrixView<T>& dw,
                          Write) = nullptr;
};

/// Many multiply-adds that touch no memory, and a result that no compiler can leave out. No operation of the list: what
/// a device could do at most, by which benchmarks judge its products.
struct Multiplied {
  double operations, result;
};
using MultiplyAdds = Multiplied (*)(Index rounds);

/// A device: its name, its tables, and its memory, in which all arrays lie that an operation is given.
struct Device {
  const char* name;
  Kernels<float> float32;
  Kernels<double> float64;
  MultiplyAdds multiply_adds32 = nullptr, multiply_adds64 = nullptr;
  NarrowSteps<float> narrow32{}; // null where it does not offer them
  NarrowSteps<double> narrow64{};
  SparseProducts<float> sparse32{}; // null where it does not offer them
  SparseProducts<double> sparse64{};
  const Memory* memory = &host_memory;
  /// Waits for all that the calling thread has asked for; null where that is done when it returns.
  void (*wait)() = nullptr;
  /// Makes a way to repeat work; null where there is none to gain by.
  Replay* (*make_replay)() = nullptr;
  /// Makes a feed of lots of so many bytes and less; null where the device reads the memory of this process.
  Feed* (*make_feed)(std::size_t bytes) = nullptr;
  /// Bytes of its memory that could be asked for now; null where nobody counts them.
  std::size_t (*free_memory)() = nullptr;

  /// Whether its arrays lie in the memory of this process. Then operations are shared out among the threads of a team
  /// and done when they return; else a team is one thread, and they are done in the order in which it asks.
  CHAINRULE_INLINE bool is_host() const { return memory == &host_memory; }

  CHAINRULE_INLINE void finish() const {
    if (wait != nullptr) wait();
  }

  template <class T> const Kernels<T>& kernels() const;
  template <class T> const NarrowSteps<T>& narrow() const;
  template <class T> const SparseProducts<T>& sparse() const;
  template <class T> MultiplyAdds multiply_adds() const { return sizeof(T) == 4 ? multiply_adds32 : multiply_adds64; }
};
template <> inline const Kernels<float>& Device::kernels<float>() const { return float32; }
template <> inline const Kernels<double>& Device::kernels<double>() const { return float64; }
template <> inline const NarrowSteps<float>& Device::narrow<float>() const { return narrow32; }
template <> inline const NarrowSteps<double>& Device::narrow<double>() const { return narrow64; }
template <> inline const SparseProducts<float>& Device::sparse<float>() const { return sparse32; }
template <> inline const SparseProducts<double>& Device::sparse<double>() const { return sparse64; }

} // namespace chainrule
