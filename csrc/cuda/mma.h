// The tensor cores: rounding to what they multiply, and the two instructions by which a warp multiplies. Nothing else
// in cuda/ is written in PTX but what only a Hopper has (wgmma.h).
//
//   D (16, 8) = A (16, k) B (k, 8) + C,  k = 8 in TF32, 16 in bfloat16, C and D in float32
//
// Each lane holds a few elements of A, B and C, as the PTX ISA says in "Matrix Fragments for mma.m16n8k8" and "...
// mma.m16n8k16 with floating point type". In words of 32 bits, of one number in TF32 and of two neighbours along the
// sum in bfloat16, both are the same: lane = 4 g + t, and
//
//   a[0], a[1], a[2], a[3]   rows g, g + 8, g, g + 8; words t, t, t + 4, t + 4
//   b[0], b[1]               words t, t + 4; column g
//   c[0], c[1], c[2], c[3]   rows g, g, g + 8, g + 8; columns 2 t, 2 t + 1, 2 t, 2 t + 1
//
// The products are exact; how an instruction rounds when it adds them, NVIDIA does not say.
#pragma once

#include <cuda_runtime.h>

// The host has no such instructions: tests/emulated_cuda writes them out, under the same names.
#if defined(__CUDACC__)
namespace ptx {

__device__ inline unsigned cvt_rna_tf32(float x) {
  unsigned rounded;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(rounded) : "f"(x));
  return rounded;
}

__device__ inline unsigned cvt_rn_bf16x2(float high, float low) {
  unsigned rounded;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(rounded) : "f"(high), "f"(low));
  return rounded;
}

// volatile: all lanes must take part, so none of these may be moved to where a lane needs its result.
__device__ inline void mma_m16n8k8_tf32(float (&c)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
  asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
               "{%0, %1, %2, %3};"
               : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

__device__ inline void mma_m16n8k16_bf16(float (&c)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
               "{%0, %1, %2, %3};"
               : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

} // namespace ptx
#else
#include <emulated_mma.h>
#endif

namespace chainrule::cuda {

// How a factor is rounded. Infinity and NaN stay what they are; a finite number that is too great becomes infinite.

/// To 11 bits of significand, the nearest, of two as near the greater in size: wrong by at most 2^-11 of a number. The
/// exponent is that of float32.
struct Tf32 {
  static constexpr int terms = 1; // of a word
  __device__ static unsigned word(const float (&x)[terms]) { return ptx::cvt_rna_tf32(x[0]); }
  __device__ static void multiply_add(float (&c)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
    ptx::mma_m16n8k8_tf32(c, a, b);
  }
};

/// To 8 bits of significand, the nearest, of two as near the even one: wrong by at most 2^-8 of a number. The exponent
/// is that of float32.
struct Bfloat16 {
  static constexpr int terms = 2; // of a word, the first one in its lower half
  __device__ static unsigned word(const float (&x)[terms]) { return ptx::cvt_rn_bf16x2(x[1], x[0]); }
  __device__ static void multiply_add(float (&c)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
    ptx::mma_m16n8k16_bf16(c, a, b);
  }
};

} // namespace chainrule::cuda
