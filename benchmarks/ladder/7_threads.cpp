// Rung 7, threads: each core computes its own columns of c.
//
//   c[:, J] = a b[:, J]        one share J of the columns for each thread, by the loops of rung 6
//
// Before: one core worked, the others looked on.
// Now: c is cut, never the sum: no thread waits for another, no two write the same number, and the result is the same
// for any number of threads. A share is whole tiles; each thread packs its own columns of b, and all of a.
#include <thread>
#include <vector>

#include "packed_product.h"

// The runner says how many: -DTHREADS=2.
#if !defined(THREADS)
#error "compile with -DTHREADS=, the number of threads"
#endif

void multiply(const float* a, const float* b, float* c, long m, long k, long n) {
  using namespace ladder;
  const long tiles = (n + tile_cols - 1) / tile_cols;
  auto first_column = [&](long share) { return smaller(share * tiles / THREADS * tile_cols, n); };
  auto work = [&](long share) {
    const long first = first_column(share), cols = first_column(share + 1) - first;
    if (cols > 0) multiply_packed(a, b + first, c + first, m, k, cols, n);
  };
  std::vector<std::jthread> others; // joined at the end of the block
  for (long share = 1; share < THREADS; ++share) others.emplace_back(work, share);
  work(0);
}
