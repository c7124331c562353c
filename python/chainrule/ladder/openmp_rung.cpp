// The rung of OpenMP: that of C++, where the formulas stand, with its loops shared out among threads. `omp for` divides
// the turns of a loop, and at its end each thread waits for all others, unless it is told not to (`nowait`).
//
// Two waits a step: before the updates, which read what all threads have written, and after them. native.py checks all.
#include "rung.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

namespace {

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

/// W (in, out) <- W - lr a^T dz and b (out) <- b - lr (sum of the rows of dz), with a (B, in) and dz (B, out).
PART_OF_IT void descend(Index B, Index in, Index out, double* a, double* dz, double lr, double* W, double* b) {
  const double one = 1;
#pragma omp single nowait
  add(B, out, -lr, &one, 0, dz, b);
#pragma omp for nowait
  for (Index d = 0; d < in; ++d) add(B, out, -lr, a + d, in, dz, W + d * out);
}

/// What every thread does. No sum is divided, so results are the same, bit by bit, for any number of threads.
FOR_EACH_PROCESSOR void run(const Problem& on, double* x, double* h, double* dz1, double* dz2, double* loss) {
  for (Index epoch = 0; epoch < on.epochs; ++epoch) {
    for (Index first = 0; first < on.n; first += on.batch_size) {
      const Index B = std::min(on.batch_size, on.n - first);
#pragma omp for
      for (Index i = 0; i < B; ++i) {
        const Index row = on.order[first + i];
        std::copy_n(on.X + row * on.D, on.D, x + i * on.D);
        double *xi = x + i * on.D, *hi = h + i * on.H, *dz1i = dz1 + i * on.H, *dz2i = dz2 + i * on.K;
        loss[first + i] = forward_and_back(on, xi, on.labels[row], B, hi, dz1i, dz2i);
      }
      descend(B, on.H, on.K, h, dz2, on.lr, on.W2, on.b2);
      descend(B, on.D, on.H, x, dz1, on.lr, on.W1, on.b1);
#pragma omp barrier
    }
#pragma omp single
    on.losses[epoch] = std::accumulate(loss, loss + on.n, 0.0) / static_cast<double>(on.n);
  }
}

} // namespace

const char* train(const Problem& on) try {
  const Index B = on.batch_size;
  std::vector<double> x(B * on.D), h(B * on.H), dz1(B * on.H), dz2(B * on.K), loss(on.n);
#pragma omp parallel
  run(on, x.data(), h.data(), dz1.data(), dz2.data(), loss.data());
  return nullptr;
} catch (...) { // std::vector is all that throws
  return "there is not enough memory for a batch";
}
