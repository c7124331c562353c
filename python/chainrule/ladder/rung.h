// What the native rungs share: the problem as Python hands it over, the one function that each library exports, and for
// those on the CPU the sum that all products are made of, and the way of a row.
//
// native.py has the same struct for ctypes, and checks all before a call: sizes above 0, rows and labels in range.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

using Index = std::int64_t;

/// Rows X (N, D) with labels (N); the order (n) of the rows of an epoch; parameters, which are overwritten: W1 (D, H),
/// b1 (H), W2 (H, K), b2 (K); and the mean loss of each epoch (epochs), to be overwritten.
struct Problem {
  const double* X;
  const Index* labels;
  const Index* order;
  Index N, n, epochs, batch_size, D, H, K;
  double lr;
  double *W1, *b1, *W2, *b2, *losses;
};

/// Trains; returns null, or a sentence that says what went wrong. The sentence stays until the next call.
extern "C" [[gnu::visibility("default")]] const char* train(const Problem& on);

// Before a function: compile it once for each of these processors; the loader takes what the one it runs on can do.
#if defined(__x86_64__) && defined(__GLIBC__)
#define FOR_EACH_PROCESSOR [[gnu::target_clones("arch=skylake-avx512", "arch=haswell", "default")]]
#else
#define FOR_EACH_PROCESSOR
#endif
// What such a function calls must become part of it, or it would be compiled for the oldest processor only.
#define PART_OF_IT [[gnu::always_inline]] inline

/// y (n) <- y + c (a x), a (m) in steps of `stride`, x (m, n): what all products are made of. Four rows of x at a time,
/// so that y is loaded and stored a quarter as often. x and y lie apart: so an instruction may do several numbers.
PART_OF_IT void add(Index m, Index n, double c, const double* a, Index stride, const double* x, double* __restrict y) {
  Index i = 0;
  for (; i + 4 <= m; i += 4, a += 4 * stride, x += 4 * n) {
    const double a0 = c * a[0], a1 = c * a[stride], a2 = c * a[2 * stride], a3 = c * a[3 * stride];
    for (Index j = 0; j < n; ++j) y[j] += a0 * x[j] + a1 * x[n + j] + a2 * x[2 * n + j] + a3 * x[3 * n + j];
  }
  for (; i < m; ++i, a += stride, x += n) {
    for (Index j = 0; j < n; ++j) y[j] += c * a[0] * x[j];
  }
}

/// Overwrites h (H), dz1 (H) and dz2 (K) of one row x (D), class y, of a batch of B; returns its loss.
PART_OF_IT double forward_and_back(const Problem& on, double* x, Index y, Index B, double* h, double* dz1,
                                   double* dz2) {
  const Index D = on.D, H = on.H, K = on.K;
  std::copy_n(on.b1, H, h);
  add(D, H, 1, x, 1, on.W1, h);
  for (Index j = 0; j < H; ++j) h[j] = std::max(h[j], 0.0);
  std::copy_n(on.b2, K, dz2);
  add(H, K, 1, h, 1, on.W2, dz2);
  const double most = *std::max_element(dz2, dz2 + K), chosen = dz2[y] - most;
  double sum = 0;
  for (Index k = 0; k < K; ++k) sum += dz2[k] = std::exp(dz2[k] - most);
  for (Index k = 0; k < K; ++k) dz2[k] /= sum * static_cast<double>(B);
  dz2[y] -= 1 / static_cast<double>(B);
  for (Index j = 0; j < H; ++j) {
    double dh = 0;
    for (Index k = 0; k < K; ++k) dh += dz2[k] * on.W2[j * K + k];
    dz1[j] = h[j] > 0 ? dh : 0;
  }
  return std::log(sum) - chosen;
}
