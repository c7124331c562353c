// Rung 3, vectors: one instruction works on a register of numbers.
//
//   c[i, j : j + width] += a[i, p] b[p, j : j + width]        in the order of rung 2
//
// Before: one number an instruction, where a register holds 4 (SSE, NEON), 8 (AVX2) or 16 (AVX-512).
// Now: a vector of b's row is multiplied and added to a vector of c's row. What is left of a row goes one by one.
#include "rung.h"

void multiply(const float* a, const float* b, float* c, long m, long k, long n) {
  using namespace ladder;
  const long whole = n / width * width;
  for (long i = 0; i < m; ++i) {
    float* row = c + i * n; // (n)
    for (long j = 0; j < n; ++j) row[j] = 0;
    for (long p = 0; p < k; ++p) {
      const float element = a[i * k + p];
      const float* from = b + p * n; // (n)
      for (long j = 0; j < whole; j += width) store(load(row + j) + element * load(from + j), row + j);
      for (long j = whole; j < n; ++j) row[j] += element * from[j];
    }
  }
}
