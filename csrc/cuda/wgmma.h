// Hopper's own instructions: copies of whole panels into shared memory that go by themselves, the barriers that count
// their bytes, and products for which the tensor cores read shared memory themselves. Only what a product needs.
//
//   D (64, n) += A (64, k) B (k, n),  32 bytes of a line are k terms: 8 in TF32, 16 in bfloat16; D in float32
//
// Four warps multiply together, a warpgroup. Of D, warp w and lane 4 g + t hold in d[4 j + 2 i + q]
//
//   row 16 w + g + 8 i, column 8 j + 2 t + q        (PTX ISA, "Register Fragments for wgmma.mma_async.m64nNk16")
//
// Both factors lie with their terms side by side ("K-major"), a row of A and a column of B being a line. A panel has
// 128 bytes of each line, one line behind the other, the groups of eight lines 1024 bytes apart; in line i the piece of
// 16 bytes number c lies at place c ^ (i % 8): a column of pieces then falls on all banks ("128-byte swizzle"). The
// hardware takes i % 8 from the address: panels begin at multiples of 1024.
//
// Code for other GPUs has none of this: CHAINRULE_HOPPER says whether it is there.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "cuda/mma.h"

// The instructions are those of compute capability 9.0 alone, which the compiler calls 9.0a. The host has none of them:
// tests/emulated_cuda writes them out, under the same names.
#if !defined(__CUDACC__)
#define CHAINRULE_HOPPER
#include <emulated_wgmma.h>
#elif defined(__CUDA_ARCH_FEAT_SM90_ALL)
#define CHAINRULE_HOPPER
namespace ptx {

/// Where something in shared memory lies, as instructions want it.
__device__ inline unsigned shared_address(const void* place) {
  return static_cast<unsigned>(__cvta_generic_to_shared(place));
}

// Barriers: 8 bytes of shared memory. A phase of a barrier ends when so many threads have arrived and all bytes that
// were announced are there; the next begins at once. Phases count 0, 1, 0, 1, ...

__device__ inline void barrier_init(unsigned barrier, unsigned threads) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(barrier), "r"(threads) : "memory");
}

/// Lets the copies see barriers that the calling thread has made.
__device__ inline void fence_barrier_init() {
  asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}

__device__ inline void barrier_arrive(unsigned barrier) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(barrier) : "memory");
}

/// Arrives, and announces bytes.
__device__ inline void barrier_arrive_expect(unsigned barrier, unsigned bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(barrier), "r"(bytes) : "memory");
}

/// Waits until the barrier is no longer in a phase of this number; the other is over at first.
__device__ inline void barrier_wait(unsigned barrier, unsigned phase) {
  unsigned over = 0;
  while (over == 0) {
    asm volatile("{\n"
                 ".reg .pred over;\n"
                 "mbarrier.try_wait.parity.shared::cta.b64 over, [%1], %2;\n"
                 "selp.u32 %0, 1, 0, over;\n"
                 "}"
                 : "=r"(over)
                 : "r"(barrier), "r"(phase)
                 : "memory");
  }
}

/// Copies bytes from memory, which count at the barrier as they come. All three are multiples of 16.
__device__ inline void copy_bulk(unsigned to, const void* from, unsigned bytes, unsigned barrier) {
  asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(to),
               "l"(__cvta_generic_to_global(from)), "r"(bytes), "r"(barrier)
               : "memory");
}

// Products are asked for, gathered in groups, and waited for: until then nobody may touch D, or what A and B lie in.

__device__ inline void wgmma_fence() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
__device__ inline void wgmma_commit() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }

/// Waits until at most `groups` of the warpgroup's are not done.
template <int groups> __device__ inline void wgmma_wait() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(groups) : "memory");
}

/// Tells the compiler, after a wait, that the numbers are others now.
template <int count> __device__ inline void wgmma_settle(float (&d)[count]) {
#pragma unroll
  for (int i = 0; i < count; ++i) asm volatile("" : "+f"(d[i])::"memory");
}

#define CHAINRULE_D8(i)                                                                                                \
  "+f"(d[i]), "+f"(d[(i) + 1]), "+f"(d[(i) + 2]), "+f"(d[(i) + 3]), "+f"(d[(i) + 4]), "+f"(d[(i) + 5]),                \
      "+f"(d[(i) + 6]), "+f"(d[(i) + 7])
#define CHAINRULE_D64(i)                                                                                               \
  CHAINRULE_D8(i), CHAINRULE_D8(i + 8), CHAINRULE_D8(i + 16), CHAINRULE_D8(i + 24), CHAINRULE_D8(i + 32),              \
      CHAINRULE_D8(i + 40), CHAINRULE_D8(i + 48), CHAINRULE_D8(i + 56)
#define CHAINRULE_FIRST_64                                                                                             \
  "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, %19, %20, %21, %22, %23, "     \
  "%24, %25, %26, %27, %28, %29, %30, %31, %32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, "     \
  "%46, %47, %48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"
#define CHAINRULE_NEXT_64                                                                                              \
  "%64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79, %80, %81, %82, %83, %84, %85, "     \
  "%86, %87, %88, %89, %90, %91, %92, %93, %94, %95, %96, %97, %98, %99, %100, %101, %102, %103, %104, %105, %106, "   \
  "%107, %108, %109, %110, %111, %112, %113, %114, %115, %116, %117, %118, %119, %120, %121, %122, %123, %124, %125, " \
  "%126, %127"

// The numbers behind the descriptors: D is added to, no factor is negated, and none of bfloat16 lies across.

__device__ inline void wgmma_k8_tf32(float (&d)[64], std::uint64_t a, std::uint64_t b) {
  asm volatile("wgmma.mma_async.sync.aligned.m64n128k8.f32.tf32.tf32 {" CHAINRULE_FIRST_64 "}, %64, %65, 1, 1, 1;"
               : CHAINRULE_D64(0)
               : "l"(a), "l"(b));
}
__device__ inline void wgmma_k8_tf32(float (&d)[128], std::uint64_t a, std::uint64_t b) {
  asm volatile("wgmma.mma_async.sync.aligned.m64n256k8.f32.tf32.tf32 {" CHAINRULE_FIRST_64 ", " CHAINRULE_NEXT_64
               "}, %128, %129, 1, 1, 1;"
               : CHAINRULE_D64(0), CHAINRULE_D64(64)
               : "l"(a), "l"(b));
}
__device__ inline void wgmma_k16_bf16(float (&d)[64], std::uint64_t a, std::uint64_t b) {
  asm volatile("wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 {" CHAINRULE_FIRST_64
               "}, %64, %65, 1, 1, 1, 0, 0;"
               : CHAINRULE_D64(0)
               : "l"(a), "l"(b));
}
__device__ inline void wgmma_k16_bf16(float (&d)[128], std::uint64_t a, std::uint64_t b) {
  asm volatile("wgmma.mma_async.sync.aligned.m64n256k16.f32.bf16.bf16 {" CHAINRULE_FIRST_64 ", " CHAINRULE_NEXT_64
               "}, %128, %129, 1, 1, 1, 0, 0;"
               : CHAINRULE_D64(0), CHAINRULE_D64(64)
               : "l"(a), "l"(b));
}

#undef CHAINRULE_D8
#undef CHAINRULE_D64
#undef CHAINRULE_FIRST_64
#undef CHAINRULE_NEXT_64

} // namespace ptx
#endif

namespace chainrule::cuda {

inline constexpr int warpgroup_threads = 128;

// A panel: 128 bytes of each of so many lines. A product reads 32 bytes of them.
inline constexpr int panel_lines = 128, line_bytes = 128, panel_bytes = panel_lines * line_bytes;
inline constexpr int step_bytes = 32;
inline constexpr int piece_bytes = 16, pieces_of_line = line_bytes / piece_bytes;
inline constexpr int panel_alignment = 8 * line_bytes;

/// Where in its line a piece lies, of panels as the tensor cores read them.
__device__ inline int swizzled(int piece, int line) { return piece ^ line % 8; }

/// What tells a product where its lines lie, of a panel or further down in one ("Matrix Descriptor Format"): in units
/// of 16 bytes the address and, from bit 32 on, the way to the next eight lines; in bits 62 and 63 a 1 for the 128-byte
/// swizzle. Bits 16 to 29 are not asked for in this layout, where CUTLASS writes 1.
__device__ inline std::uint64_t lines_at(unsigned address) {
  constexpr std::uint64_t layout =
      std::uint64_t{1} << 62 | std::uint64_t{panel_alignment / 16} << 32 | std::uint64_t{1} << 16;
  return layout | (address & 0x3ffffU) >> 4;
}

#if defined(CHAINRULE_HOPPER)
/// The sums of a warpgroup += A B, for 32 bytes of each line.
template <int count> __device__ void multiply_lines(Tf32, float (&d)[count], std::uint64_t a, std::uint64_t b) {
  ptx::wgmma_k8_tf32(d, a, b);
}
template <int count> __device__ void multiply_lines(Bfloat16, float (&d)[count], std::uint64_t a, std::uint64_t b) {
  ptx::wgmma_k16_bf16(d, a, b);
}
#endif

} // namespace chainrule::cuda
