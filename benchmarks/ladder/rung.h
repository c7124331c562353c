// What every rung gives, and the vectors of rungs 3 and up: words of GCC and Clang, no intrinsics.
//
//   c = a b        a (m, k), b (k, n), c (m, n); element (i, j) of a matrix with n columns lies at [i * n + j]
//
// c may hold anything before, NaN included. Any of m, k and n may be 0: then c is empty, or all its sums are.
#pragma once

#include <cstring>

extern "C" void multiply(const float* a, const float* b, float* c, long m, long k, long n);

namespace ladder {

// The widest register of the machine that it is compiled for; ARM's NEON and SSE2 have 16 bytes.
#if defined(__AVX512F__)
constexpr int vector_bytes = 64;
#elif defined(__AVX__)
constexpr int vector_bytes = 32;
#else
constexpr int vector_bytes = 16;
#endif

/// One register of numbers: `x * y` multiplies lane by lane, `2 * x` every lane by 2.
typedef float Vector __attribute__((vector_size(vector_bytes)));
constexpr long width = vector_bytes / sizeof(float);

// A copy of constant size is one instruction, wherever the numbers lie.
inline Vector load(const float* from) {
  Vector x;
  std::memcpy(&x, from, sizeof x);
  return x;
}
inline void store(Vector x, float* to) { std::memcpy(to, &x, sizeof x); }

constexpr long smaller(long a, long b) { return a < b ? a : b; }

} // namespace ladder
