// The rung of OpenMP: that of C++, where the formulas stand, with its loops shared out among threads. `omp for` divides
// the turns of a loop, and at its end each thread waits for all others, unless it is told not to (`nowait`).
//
// Two waits a step: before the updates, which read what all threads have written, and after them. native.py checks all.
#include "rung.h"

#include <algorithm>
#include <numeric>
#include <vector>

namespace {

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
