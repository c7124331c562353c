// Rung 2, loop order: the same products, added in another order of the loops.
//
//   c[i, :] = sum over p of a[i, p] b[p, :]        for all i, for all p, for all j
//
// Before: b was read down its columns. Each number came from another cache line, and the 15 others of the line were not
// used before it had left the first-level cache. And each sum waited for its last addition: a chain, 4 cycles a link.
// Now: the inner loop runs along a row of b and a row of c. All of a line is used, the next one is fetched ahead, and
// the additions of a row do not wait for each other.
#include "rung.h"

void multiply(const float* a, const float* b, float* c, long m, long k, long n) {
  for (long i = 0; i < m; ++i) {
    float* row = c + i * n; // (n)
    for (long j = 0; j < n; ++j) row[j] = 0;
    for (long p = 0; p < k; ++p) {
      const float element = a[i * k + p];
      const float* from = b + p * n; // (n)
      for (long j = 0; j < n; ++j) row[j] += element * from[j];
    }
  }
}
