// exp, expm1, log, log1p and tanh of a register of numbers, and cosine and sine in double precision. Errors are stated
// in units in the last place (ULP) and tested over dense sweeps in tests/test_vector_math.py.
//
//   exp(x):  n = round(x / ln 2),  r = x - n ln 2,  |r| <= ln 2 / 2,   exp(x) = 2^n (1 + q),  q = exp(r) - 1
//   log(x):  x = 2^e m,  sqrt(1/2) <= m < sqrt(2),  s = (m - 1) / (m + 1),   log(x) = e ln 2 + 2 atanh(s)
//   cos and sin of 2 pi u:  n = round(4 u),  a = pi / 2 (4 u - n),  |a| <= pi / 4,   by the quarter n of the circle
//
// All series are the Taylor series, cut where the next term falls below half a unit in the last place.
#pragma once

#include "cpu/vector.h"

namespace chainrule::cpu::CHAINRULE_ISA {
namespace {

template <class T> struct MathConstants;
template <> struct MathConstants<float> {
  static constexpr int mantissa_bits = 23, exponent_bias = 127;
  static constexpr double round_to_integer = 0x1.8p23; // adding it leaves no bits behind the point
  static constexpr double ln2_high = 0.693359375;      // 9 bits: n * ln2_high is exact
  static constexpr double ln2_low = -2.12194440054690583e-4;
  static constexpr double exp_least = -104, exp_most = 89; // beyond, the result is 0 or infinity anyway
  static constexpr int exp_terms = 7;                      // (ln 2 / 2)^8 / 8! = 5e-9 < 2^-24
  static constexpr int atanh_terms = 5;                    // s^2 <= 0.0295: s^10 / 11 = 2e-9
};
template <> struct MathConstants<double> {
  static constexpr int mantissa_bits = 52, exponent_bias = 1023;
  static constexpr double round_to_integer = 0x1.8p52;
  static constexpr double ln2_high = 6.93145751953125e-1; // 20 bits
  static constexpr double ln2_low = 1.42860682030941723212e-6;
  static constexpr double exp_least = -746, exp_most = 710;
  static constexpr int exp_terms = 13;   // (ln 2 / 2)^14 / 14! = 4e-18 < 2^-53
  static constexpr int atanh_terms = 11; // s^22 / 23 = 6e-19
};

template <class T> using Bits = typename Vec<T>::Bits;

/// 2^n for n within the exponents of normal numbers.
template <class T> Vec<T> power_of_two(Bits<T> n) {
  using C = MathConstants<T>;
  return Vec<T>::from_bits((n + C::exponent_bias) << C::mantissa_bits);
}

/// x = n ln 2 + r and q = exp(r) - 1.
template <class T> struct ReducedExp {
  Bits<T> n;
  Vec<T> q;
};

template <class T> ReducedExp<T> reduce_exp(Vec<T> x) {
  using C = MathConstants<T>;
  const Vec<T> shift(C::round_to_integer);
  const Vec<T> shifted = x * Vec<T>(1.4426950408889634074) + shift;
  const Vec<T> n = shifted - shift;
  const Vec<T> r = (x - n * Vec<T>(C::ln2_high)) - n * Vec<T>(C::ln2_low);
  // q = r + r^2 (1/2! + r (1/3! + ...)): the largest term is added last.
  double factorial = 1;
  for (int k = 2; k <= C::exp_terms; ++k) factorial *= k;
  Vec<T> sum(1 / factorial);
  for (int k = C::exp_terms; k > 2; --k) {
    factorial /= k;
    sum = sum * r + Vec<T>(1 / factorial);
  }
  return {shifted.bits() - shift.bits(), r + r * r * sum};
}

/// e^x, 0 below and infinity above the range of T. Error: 1.1 ULP for normal results.
template <class T> Vec<T> exp(Vec<T> x) {
  using C = MathConstants<T>;
  const Vec<T> least(C::exp_least), most(C::exp_most);
  const ReducedExp<T> reduced = reduce_exp(select(x < least, least, select(x > most, most, x)));
  const Bits<T> half = reduced.n >> 1; // 2^n in two factors: n itself may lie outside the exponents of T
  return (reduced.q + Vec<T>(1)) * power_of_two<T>(half) * power_of_two<T>(reduced.n - half);
}

/// e^x - 1 for x <= 0, accurate near 0 too; 0 above, where no formula asks for it. Error: 2 ULP.
template <class T> Vec<T> expm1(Vec<T> x) {
  const Vec<T> least(-40), most(0); // e^-40 is below half a ULP of 1 in both precisions
  const ReducedExp<T> reduced = reduce_exp(select(x < least, least, select(x > most, most, x)));
  const Vec<T> scale = power_of_two<T>(reduced.n);
  return scale * reduced.q + (scale - Vec<T>(1));
}

/// (1 - e^-2x) / (1 + e^-2x), by way of t = e^-2|x| - 1:  tanh |x| = -t / (t + 2). Error: 3 ULP.
template <class T> Vec<T> tanh(Vec<T> x) {
  const Vec<T> t = expm1(Vec<T>(-2) * abs(x));
  const Vec<T> magnitude = (Vec<T>(0) - t) / (t + Vec<T>(2));
  const Bits<T> sign = x.bits() & ~std::numeric_limits<typename Vec<T>::Bit>::max();
  return Vec<T>::from_bits(magnitude.bits() | sign);
}

/// ln x for x that is 0, positive and normal, infinite, or NaN. Error: 2 ULP.
template <class T> Vec<T> log(Vec<T> x) {
  using C = MathConstants<T>;
  // Counting exponents from sqrt(1/2) instead of 1 leaves m between sqrt(1/2) and sqrt(2).
  const Bits<T> offset = Vec<T>(0.70710678118654752440).bits();
  const Bits<T> exponent = (x.bits() - offset) >> C::mantissa_bits;
  const Vec<T> m = Vec<T>::from_bits(x.bits() - (exponent << C::mantissa_bits));
  const Vec<T> e(__builtin_convertvector(exponent, typename Vec<T>::Numbers));
  const Vec<T> f = m - Vec<T>(1);
  const Vec<T> s = f / (m + Vec<T>(1));
  const Vec<T> s2 = s * s;
  Vec<T> sum(2.0 / (2 * C::atanh_terms + 1));
  for (int k = C::atanh_terms - 1; k > 0; --k) sum = sum * s2 + Vec<T>(2.0 / (2 * k + 1));
  // 2 s = f - s f exactly in real numbers, and with a smaller rounding error, since f is exact.
  const Vec<T> log_m = f - s * (f - s2 * sum);
  const Vec<T> result = e * Vec<T>(C::ln2_high) + (log_m + e * Vec<T>(C::ln2_low));
  const Vec<T> infinity(std::numeric_limits<double>::infinity());
  return select(x == Vec<T>(0), Vec<T>(0) - infinity, select(x < infinity, result, x));
}

/// ln(1 + x) for x >= 0, accurate near 0 too: what 1 + x rounds away is put back. Error: 3 ULP.
template <class T> Vec<T> log1p(Vec<T> x) {
  const Vec<T> y = Vec<T>(1) + x;
  return log(y) + (x - (y - Vec<T>(1))) / y;
}

struct CosineSine {
  Vec<double> cosine, sine;
};

/// cos(2 pi u) and sin(2 pi u) for |u| <= 2^20. Error: 2.5e-16, that is, 2.3 units in the last place of numbers just
/// below 1.
inline CosineSine cosine_and_sine_of_turns(Vec<double> u) {
  constexpr int terms = 8; // (pi / 4)^18 / 18! = 2e-18, (pi / 4)^19 / 19! = 8e-20
  const Vec<double> quarters = Vec<double>(4) * u, shift(MathConstants<double>::round_to_integer);
  const Vec<double> shifted = quarters + shift;
  const Vec<double> a = Vec<double>(1.57079632679489661923) * (quarters - (shifted - shift));
  const Vec<double> square = a * a;
  // From the last term on:  cos a = 1 - a^2 / (1 2) (1 - a^2 / (3 4) (1 - ...))
  //                         sin a = a (1 - a^2 / (2 3) (1 - a^2 / (4 5) (1 - ...)))
  Vec<double> cosine(1), sine(1);
  for (int k = terms; k > 0; --k) {
    cosine = Vec<double>(1) - square * Vec<double>(1.0 / (2 * k * (2 * k - 1))) * cosine;
    sine = Vec<double>(1) - square * Vec<double>(1.0 / (2 * k * (2 * k + 1))) * sine;
  }
  sine = a * sine;
  // A quarter turn on: (cos, sin) becomes (-sin, cos). The lowest two bits of n count quarters.
  const Bits<double> n = shifted.bits() - shift.bits();
  const Bits<double> sign = Vec<double>(-0.0).bits();
  const Mask<double> odd{(Bits<double>)((n & 1) != 0)};
  const Bits<double> cosine_sign = sign & (Bits<double>)(((n + 1) & 2) != 0),
                     sine_sign = sign & (Bits<double>)((n & 2) != 0);
  return {Vec<double>::from_bits(select(odd, sine, cosine).bits() ^ cosine_sign),
          Vec<double>::from_bits(select(odd, cosine, sine).bits() ^ sine_sign)};
}

} // namespace
} // namespace chainrule::cpu::CHAINRULE_ISA
