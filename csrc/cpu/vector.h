// Vec<T>: one register of numbers, the number type of formulas/ on the CPU.
//
// Compiled once per instruction set; the widest register of the set gives the width. Built on the vector
// extensions of GCC and Clang; intrinsics stand only where those have no words (masked access, square root).
// Everything here has internal linkage: were two instruction sets to share an inline function, the linker would
// keep one copy, and an old processor could meet the wrong one.
#pragma once

#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>

#include "core/view.h"

#if defined(__SSE2__)
#include <immintrin.h>
#endif

#if !defined(CHAINRULE_ISA)
#error "files of cpu/ are compiled with CHAINRULE_ISA set to the name of an instruction set"
#endif

namespace chainrule::cpu::CHAINRULE_ISA {
namespace {

#if defined(__AVX512F__)
constexpr int vector_bytes = 64;
#elif defined(__AVX2__)
constexpr int vector_bytes = 32;
#else
constexpr int vector_bytes = 16;
#endif

template <class T> struct Registers;
template <> struct Registers<float> {
  typedef float Numbers __attribute__((vector_size(vector_bytes)));
  typedef std::int32_t Bits __attribute__((vector_size(vector_bytes)));
  using Bit = std::int32_t;
};
template <> struct Registers<double> {
  typedef double Numbers __attribute__((vector_size(vector_bytes)));
  typedef std::int64_t Bits __attribute__((vector_size(vector_bytes)));
  using Bit = std::int64_t;
};

/// The result of a comparison: all bits of a lane are set, or none.
template <class T> struct Mask { typename Registers<T>::Bits bits; };

template <class T> struct Vec {
  using Numbers = typename Registers<T>::Numbers;
  using Bits = typename Registers<T>::Bits;
  using Bit = typename Registers<T>::Bit;
  static constexpr int width = vector_bytes / static_cast<int>(sizeof(T));

  Numbers v;

  Vec() = default;
  explicit Vec(Numbers numbers) : v(numbers) {}
  /// The number in every lane. (x - 0 is x; 0 + x would lose -0.)
  template <class Number>
  requires std::is_arithmetic_v<Number>
  explicit Vec(Number number) : v(static_cast<T>(number) - Numbers{}) {}
  static Vec from_bits(Bits bits) { return Vec((Numbers)bits); }
  Bits bits() const { return (Bits)v; }

  friend Vec operator+(Vec a, Vec b) { return Vec(a.v + b.v); }
  friend Vec operator-(Vec a, Vec b) { return Vec(a.v - b.v); }
  friend Vec operator*(Vec a, Vec b) { return Vec(a.v * b.v); }
  friend Vec operator/(Vec a, Vec b) { return Vec(a.v / b.v); }
  friend Mask<T> operator<(Vec a, Vec b) { return {(Bits)(a.v < b.v)}; }
  friend Mask<T> operator>(Vec a, Vec b) { return {(Bits)(a.v > b.v)}; }
  friend Mask<T> operator>=(Vec a, Vec b) { return {(Bits)(a.v >= b.v)}; }
  friend Mask<T> operator==(Vec a, Vec b) { return {(Bits)(a.v == b.v)}; }
};

template <class T> Vec<T> select(Mask<T> where, Vec<T> yes, Vec<T> no) { return Vec<T>(where.bits ? yes.v : no.v); }

template <class T> Vec<T> abs(Vec<T> x) {
  return Vec<T>::from_bits(x.bits() & std::numeric_limits<typename Vec<T>::Bit>::max());
}

template <class T> Vec<T> max(Vec<T> a, Vec<T> b) { return select(a > b, a, b); }

// Loads and stores -------------------------------------------------------------------------------------------------

/// A whole register.
struct Full {};
/// The first `count` lanes of a register, 0 < count < width.
struct Partial {
  Index count;
};

template <class T> Vec<T> load(const T* from, Full = {}) {
  Vec<T> x;
  std::memcpy(&x.v, from, sizeof x.v);
  return x;
}
template <class T> void store(Vec<T> x, T* to, Full = {}) { std::memcpy(to, &x.v, sizeof x.v); }

/// The numbers of the lanes: 0, 1, 2, ...
template <class T> typename Vec<T>::Bits lane_numbers() {
  typename Vec<T>::Bits lanes{};
  for (int lane = 0; lane < Vec<T>::width; ++lane) lanes[lane] = lane;
  return lanes;
}

template <class T> Mask<T> lanes_of(Full) { return {~typename Vec<T>::Bits{}}; }
template <class T> Mask<T> lanes_of(Partial part) {
  return {(typename Vec<T>::Bits)(lane_numbers<T>() < static_cast<typename Vec<T>::Bit>(part.count))};
}

// Partial loads give zero in the other lanes; partial access touches no memory beyond `count`.
#if defined(__AVX512F__)
inline __mmask16 low16(Partial part) { return static_cast<__mmask16>((1u << part.count) - 1); }
inline __mmask8 low8(Partial part) { return static_cast<__mmask8>((1u << part.count) - 1); }
inline Vec<float> load(const float* from, Partial part) {
  return Vec<float>((Vec<float>::Numbers)_mm512_maskz_loadu_ps(low16(part), from));
}
inline Vec<double> load(const double* from, Partial part) {
  return Vec<double>((Vec<double>::Numbers)_mm512_maskz_loadu_pd(low8(part), from));
}
inline void store(Vec<float> x, float* to, Partial part) { _mm512_mask_storeu_ps(to, low16(part), (__m512)x.v); }
inline void store(Vec<double> x, double* to, Partial part) { _mm512_mask_storeu_pd(to, low8(part), (__m512d)x.v); }
#elif defined(__AVX2__)
inline Vec<float> load(const float* from, Partial part) {
  return Vec<float>((Vec<float>::Numbers)_mm256_maskload_ps(from, (__m256i)lanes_of<float>(part).bits));
}
inline Vec<double> load(const double* from, Partial part) {
  return Vec<double>((Vec<double>::Numbers)_mm256_maskload_pd(from, (__m256i)lanes_of<double>(part).bits));
}
// In halves, quarters and eighths: a masked store keeps AMD's processors busy for some 12 cycles.
inline void store(Vec<float> x, float* to, Partial part) {
  __m128 rest = _mm256_castps256_ps128((__m256)x.v);
  if ((part.count & 4) != 0) {
    _mm_storeu_ps(to, rest);
    to += 4;
    rest = _mm256_extractf128_ps((__m256)x.v, 1);
  }
  if ((part.count & 2) != 0) {
    std::memcpy(to, &rest, 2 * sizeof *to);
    to += 2;
    rest = _mm_movehl_ps(rest, rest);
  }
  if ((part.count & 1) != 0) _mm_store_ss(to, rest);
}
inline void store(Vec<double> x, double* to, Partial part) {
  __m128d rest = _mm256_castpd256_pd128((__m256d)x.v);
  if ((part.count & 2) != 0) {
    _mm_storeu_pd(to, rest);
    to += 2;
    rest = _mm256_extractf128_pd((__m256d)x.v, 1);
  }
  if ((part.count & 1) != 0) _mm_store_sd(to, rest);
}
#else
template <class T> Vec<T> load(const T* from, Partial part) {
  Vec<T> x(0);
  for (Index lane = 0; lane < part.count; ++lane) x.v[lane] = from[lane];
  return x;
}
template <class T> void store(Vec<T> x, T* to, Partial part) {
  for (Index lane = 0; lane < part.count; ++lane) to[lane] = x.v[lane];
}
#endif

/// from[places] in the lanes of `where`, `otherwise` in the others, whose places are not looked at.
#if defined(__AVX512F__)
inline Vec<float> gather(const float* from, Vec<float>::Bits places, Mask<float> where, Vec<float> otherwise) {
  const __mmask16 lanes = _mm512_movepi32_mask((__m512i)where.bits);
  return Vec<float>(
      (Vec<float>::Numbers)_mm512_mask_i32gather_ps((__m512)otherwise.v, lanes, (__m512i)places, from, sizeof *from));
}
inline Vec<double> gather(const double* from, Vec<double>::Bits places, Mask<double> where, Vec<double> otherwise) {
  const __mmask8 lanes = _mm512_movepi64_mask((__m512i)where.bits);
  return Vec<double>(
      (Vec<double>::Numbers)_mm512_mask_i64gather_pd((__m512d)otherwise.v, lanes, (__m512i)places, from, sizeof *from));
}
#elif defined(__AVX2__)
inline Vec<float> gather(const float* from, Vec<float>::Bits places, Mask<float> where, Vec<float> otherwise) {
  return Vec<float>((Vec<float>::Numbers)_mm256_mask_i32gather_ps((__m256)otherwise.v, from, (__m256i)places,
                                                                  (__m256)where.bits, sizeof *from));
}
inline Vec<double> gather(const double* from, Vec<double>::Bits places, Mask<double> where, Vec<double> otherwise) {
  return Vec<double>((Vec<double>::Numbers)_mm256_mask_i64gather_pd((__m256d)otherwise.v, from, (__m256i)places,
                                                                    (__m256d)where.bits, sizeof *from));
}
#else
template <class T> Vec<T> gather(const T* from, typename Vec<T>::Bits places, Mask<T> where, Vec<T> otherwise) {
  for (int lane = 0; lane < Vec<T>::width; ++lane) {
    if (where.bits[lane] != 0) otherwise.v[lane] = from[places[lane]];
  }
  return otherwise;
}
#endif

/// As numbers of another precision: `Vec<To>::width` elements of `from`, or the first of them.
template <class To, class From> Vec<To> load_as(const From* from, Full) {
  if constexpr (std::is_same_v<To, From>) return load(from);
  typedef From Numbers __attribute__((vector_size(sizeof(From) * Vec<To>::width)));
  Numbers x;
  std::memcpy(&x, from, sizeof x);
  return Vec<To>(__builtin_convertvector(x, typename Vec<To>::Numbers));
}
template <class To, class From> Vec<To> load_as(const From* from, Partial part) {
  Vec<To> x(0);
  for (Index lane = 0; lane < part.count; ++lane) x.v[lane] = static_cast<To>(from[lane]);
  return x;
}
template <class From, class To> void store_as(Vec<From> x, To* to, Full) {
  if constexpr (std::is_same_v<To, From>) return store(x, to);
  typedef To Numbers __attribute__((vector_size(sizeof(To) * Vec<From>::width)));
  const Numbers y = __builtin_convertvector(x.v, Numbers);
  std::memcpy(to, &y, sizeof y);
}
template <class From, class To> void store_as(Vec<From> x, To* to, Partial part) {
  for (Index lane = 0; lane < part.count; ++lane) to[lane] = static_cast<To>(x.v[lane]);
}

/// std::min belongs to all instruction sets: none may compile it for its own.
constexpr Index smaller(Index a, Index b) { return a < b ? a : b; }

/// Calls body(i, Full{}) for every whole register of `range` and body(i, Partial{rest}) for what is left.
template <class T, class Body> void each_vector(Range range, Body body) {
  constexpr Index width = Vec<T>::width;
  Index i = range.begin;
  for (; i + width <= range.end; i += width) body(i, Full{});
  if (i < range.end) body(i, Partial{range.end - i});
}

/// Elements that fill a cache line: threads that write neighbouring shares never share a line.
template <class T> constexpr Index line_elements = static_cast<Index>(alignment_bytes / sizeof(T));

// Across the lanes -------------------------------------------------------------------------------------------------

/// Folds halves onto each other: lane i with lane i + width / 2, and so on. The order depends on the width alone.
template <class T, class Fold> T fold_lanes(Vec<T> x, Fold fold) {
  alignas(alignment_bytes) T lanes[Vec<T>::width];
  store(x, lanes);
  for (int half = Vec<T>::width / 2; half > 0; half /= 2) {
    for (int lane = 0; lane < half; ++lane) lanes[lane] = fold(lanes[lane], lanes[lane + half]);
  }
  return lanes[0];
}
template <class T> T sum_of_lanes(Vec<T> x) {
  return fold_lanes(x, [](T a, T b) { return a + b; });
}
template <class T> T max_of_lanes(Vec<T> x) {
  return fold_lanes(x, [](T a, T b) { return a > b ? a : b; });
}

// Square root ------------------------------------------------------------------------------------------------------

#if defined(__AVX512F__)
// The forms without a mask start from an "undefined" register, of which GCC 12 warns (its bug 105593).
inline Vec<float> sqrt(Vec<float> x) {
  return Vec<float>((Vec<float>::Numbers)_mm512_maskz_sqrt_ps(0xffff, (__m512)x.v));
}
inline Vec<double> sqrt(Vec<double> x) {
  return Vec<double>((Vec<double>::Numbers)_mm512_maskz_sqrt_pd(0xff, (__m512d)x.v));
}
#elif defined(__AVX2__)
inline Vec<float> sqrt(Vec<float> x) { return Vec<float>((Vec<float>::Numbers)_mm256_sqrt_ps((__m256)x.v)); }
inline Vec<double> sqrt(Vec<double> x) { return Vec<double>((Vec<double>::Numbers)_mm256_sqrt_pd((__m256d)x.v)); }
#else
inline Vec<float> sqrt(Vec<float> x) {
  for (int lane = 0; lane < Vec<float>::width; ++lane) x.v[lane] = __builtin_sqrtf(x.v[lane]);
  return x;
}
inline Vec<double> sqrt(Vec<double> x) {
  for (int lane = 0; lane < Vec<double>::width; ++lane) x.v[lane] = __builtin_sqrt(x.v[lane]);
  return x;
}
#endif

} // namespace
} // namespace chainrule::cpu::CHAINRULE_ISA
