// Integers of 32 bits in 64-bit lanes, in which their products are whole.
#pragma once

#include <cstdint>

#include "cpu/vector.h"

namespace chainrule::cpu::CHAINRULE_ISA {
namespace {

typedef std::uint64_t WideWords __attribute__((vector_size(vector_bytes)));
constexpr int wide_width = vector_bytes / 8;

/// The 64-bit products of the low halves.
#if defined(__AVX512F__)
inline WideWords product(WideWords a, WideWords b) { // see sqrt in cpu/vector.h for why with a mask
  return (WideWords)_mm512_maskz_mul_epu32(0xff, (__m512i)a, (__m512i)b);
}
#elif defined(__AVX2__)
inline WideWords product(WideWords a, WideWords b) { return (WideWords)_mm256_mul_epu32((__m256i)a, (__m256i)b); }
#elif defined(__SSE2__)
inline WideWords product(WideWords a, WideWords b) { return (WideWords)_mm_mul_epu32((__m128i)a, (__m128i)b); }
#else
inline WideWords product(WideWords a, WideWords b) { return (a & 0xffffffff) * (b & 0xffffffff); }
#endif

/// Stores the low halves.
inline void store_low(WideWords words, std::uint32_t* to) {
  typedef std::uint32_t Halves __attribute__((vector_size(vector_bytes / 2)));
  const Halves halves = __builtin_convertvector(words, Halves);
  std::memcpy(to, &halves, sizeof halves);
}

} // namespace
} // namespace chainrule::cpu::CHAINRULE_ISA
