// The rung of C++, on one thread: the loops of the rungs above it, compiled once for each kind of processor (rung.h).
// It checks nothing, native.py does.
//
//   z1 = x W1 + b1      h = max(0, z1)      z2 = h W2 + b2      p = softmax(z2)      loss = mean of -ln p[y]
//   dz2 = (p - onehot(y)) / B               dW2 = h^T dz2       db2 = sum of the rows of dz2
//   dz1 = (dz2 W2^T) where h > 0, else 0    dW1 = x^T dz1       db1 = sum of the rows of dz1
//   W <- W - lr dW                          b <- b - lr db
//
// N rows, n of them in an epoch, B of a batch, D inputs, H hidden units, K classes.
#include "rung.h"

#include <algorithm>
#include <vector>

namespace {

/// W (in, out) <- W - lr a^T dz and b (out) <- b - lr (sum of the rows of dz), with a (B, in) and dz (B, out).
PART_OF_IT void descend(Index B, Index in, Index out, double* a, double* dz, double lr, double* W, double* b) {
  const double one = 1;
  add(B, out, -lr, &one, 0, dz, b);
  for (Index d = 0; d < in; ++d) add(B, out, -lr, a + d, in, dz, W + d * out);
}

FOR_EACH_PROCESSOR void run(const Problem& on, double* x, double* h, double* dz1, double* dz2) {
  for (Index epoch = 0; epoch < on.epochs; ++epoch) {
    double total = 0;
    for (Index first = 0; first < on.n; first += on.batch_size) {
      const Index B = std::min(on.batch_size, on.n - first);
      for (Index i = 0; i < B; ++i) {
        const Index row = on.order[first + i];
        std::copy_n(on.X + row * on.D, on.D, x + i * on.D);
        double *xi = x + i * on.D, *hi = h + i * on.H, *dz1i = dz1 + i * on.H, *dz2i = dz2 + i * on.K;
        total += forward_and_back(on, xi, on.labels[row], B, hi, dz1i, dz2i);
      }
      descend(B, on.H, on.K, h, dz2, on.lr, on.W2, on.b2);
      descend(B, on.D, on.H, x, dz1, on.lr, on.W1, on.b1);
    }
    on.losses[epoch] = total / static_cast<double>(on.n);
  }
}

} // namespace

const char* train(const Problem& on) try {
  const Index B = on.batch_size;
  std::vector<double> x(B * on.D), h(B * on.H), dz1(B * on.H), dz2(B * on.K); // a batch's rows
  run(on, x.data(), h.data(), dz1.data(), dz2.data());
  return nullptr;
} catch (...) { // std::vector is all that throws
  return "there is not enough memory for a batch";
}
