// The rung of CUDA: the rows and the parameters lie on the GPU; a step is two kernels, queued one after the other. The
// first has a block for each row of the batch, with a thread for each unit; the second a thread for each parameter.
// native.py checks all that comes in. The letters and the formulas are those of cpp_rung.cpp.
#include <cmath>

#include "device.h"

namespace {

constexpr unsigned unit_threads = 64, parameter_threads = 256; // a block's; of more units, threads do several

/// Overwrites h, dz1, dz2 and the loss of row blockIdx.x of a batch of B. Threads wait where they read another's
/// number.
__global__ void forward_and_back(OnDevice on, Index first, Index B) {
  const Index i = blockIdx.x, row = on.order[first + i], y = on.labels[row], D = on.D, H = on.H, K = on.K;
  const double* x = on.X + row * D;                                       // (D)
  double *h = on.h + i * H, *dz1 = on.dz1 + i * H, *dz2 = on.dz2 + i * K; // (H), (H), (K)
  for (Index j = threadIdx.x; j < H; j += blockDim.x) {
    double z1 = on.b1[j];
    for (Index d = 0; d < D; ++d) z1 += x[d] * on.W1[d * H + j];
    h[j] = z1 > 0 ? z1 : 0;
  }
  __syncthreads();
  for (Index k = threadIdx.x; k < K; k += blockDim.x) {
    dz2[k] = on.b2[k];
    for (Index j = 0; j < H; ++j) dz2[k] += h[j] * on.W2[j * K + k]; // z2 as yet
  }
  __syncthreads();
  if (threadIdx.x == 0) { // K is small: sharing it out would take longer
    double most = dz2[0], sum = 0;
    for (Index k = 1; k < K; ++k) most = dz2[k] > most ? dz2[k] : most;
    const double chosen = dz2[y] - most;
    for (Index k = 0; k < K; ++k) sum += dz2[k] = exp(dz2[k] - most);
    for (Index k = 0; k < K; ++k) dz2[k] = (dz2[k] / sum - (k == y ? 1 : 0)) / static_cast<double>(B);
    on.row_losses[first + i] = log(sum) - chosen;
  }
  __syncthreads();
  for (Index j = threadIdx.x; j < H; j += blockDim.x) {
    double dh = 0;
    for (Index k = 0; k < K; ++k) dh += dz2[k] * on.W2[j * K + k];
    dz1[j] = h[j] > 0 ? dh : 0;
  }
}

/// W and b <- W - lr dW and b - lr db, of W1 and b1, then of W2 and b2: b is one more row of W, with inputs of 1.
__global__ void descend(OnDevice on, Index first, Index B) {
  const Index D = on.D, H = on.H, K = on.K, in_first = (D + 1) * H;
  const Index t = Index{blockIdx.x} * blockDim.x + threadIdx.x, at = t - in_first;
  double g = 0; // a parameter's gradient: a sum over the batch
  if (t < in_first) {
    const Index d = t / H, j = t % H;
    for (Index i = 0; i < B; ++i) g += (d < D ? on.X[on.order[first + i] * D + d] : 1) * on.dz1[i * H + j];
    (d < D ? on.W1[t] : on.b1[j]) -= on.lr * g;
  } else if (at < (H + 1) * K) {
    const Index j = at / K, k = at % K;
    for (Index i = 0; i < B; ++i) g += (j < H ? on.h[i * H + j] : 1) * on.dz2[i * K + k];
    (j < H ? on.W2[at] : on.b2[k]) -= on.lr * g;
  }
}

} // namespace

const char* train(const Problem& problem) try {
  Memory memory;
  const OnDevice on = copied(problem, memory);
  const Index parameters = (on.D + 1) * on.H + (on.H + 1) * on.K;
  for (Index epoch = 0; epoch < on.epochs; ++epoch) {
    for (Index first = 0; first < on.n; first += on.batch_size) {
      const Index B = on.batch_size < on.n - first ? on.batch_size : on.n - first;
      launch(forward_and_back, B, unit_threads, on, first, B);
      launch(descend, (parameters + parameter_threads - 1) / parameter_threads, parameter_threads, on, first, B);
    }
    problem.losses[epoch] = mean(on.row_losses, on.n);
  }
  fetch_parameters(problem, on);
  return nullptr;
} catch (const std::exception& error) {
  return sentence(error.what());
}
