// Rung 1, naive: the definition, read aloud. Every element of c is a row of a times a column of b.
//
//   c[i, j] = sum over p of a[i, p] b[p, j]        for all i, for all j, for all p
//
// Before: nothing. This says what the product is, and no more.
#include "rung.h"

void multiply(const float* a, const float* b, float* c, long m, long k, long n) {
  for (long i = 0; i < m; ++i) {
    for (long j = 0; j < n; ++j) {
      float sum = 0;
      for (long p = 0; p < k; ++p) sum += a[i * k + p] * b[p * n + j];
      c[i * n + j] = sum;
    }
  }
}
